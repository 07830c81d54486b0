//! What a gateway makes of what nodes answer. The nodes are scripts: there is nothing behind them.

use super::*;
use crate::catalog::{Database, Dropped, Table};
use crate::database_log::spec_of_dropped;
use bytes::Bytes;
use cortado_document::{Condition, DocumentAction, Operation, TableDefinition};
use cortado_driver::{PeerStanding, ReplicaRole, Written};
use cortado_log::LogSpec;
use cortado_log::memory::SharedMemoryLog;
use cortado_metrics::{Counter, Registry};
use cortado_model::{
    ClusterUuid, DocumentKey, Etag, Generation, LogOffset, NodeIncarnation, PartitionUuid,
    ReplicaIncarnation, Scn, Sequence, TableId,
};
use cortado_peer::conformance::{Answer, FnPeer, Question};
use cortado_peer::{
    CallError, DocumentPage, KnownLeader, Level, NodeReport, ReadAnswer, ReplicaProgress,
    ReplicaReport, Seen, ServedRole, Sight, WriteAnswer,
};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What n1, n2 and n3 answer, each one time after another; then it cannot be reached.
type Scripts<'a> = [&'a [Result<Answer, CallError>]; 3];

/// A gateway to three nodes, and which of them it has asked.
struct World {
    gateway: Gateway,
    database: Arc<Database>,
    asked: Arc<Mutex<Vec<u32>>>,
    /// What each read has asked for.
    levels: Arc<Mutex<Vec<Level>>>,
    /// How many operations each write has asked for.
    sizes: Arc<Mutex<Vec<usize>>>,
    /// Nodes that take questions and never answer.
    silent: Arc<Mutex<BTreeSet<u32>>>,
    /// What replicas say that they do; those of other nodes cannot be asked.
    roles: Roles,
}

type Roles = Arc<Mutex<BTreeMap<u32, ReplicaRole>>>;

struct Scripted(BTreeMap<NodeId, Arc<dyn Peer>>);

impl Peers for Scripted {
    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        self.0.get(&node).cloned()
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.0.keys().copied().collect()
    }
}

impl World {
    /// * `own`: the node that the gateway belongs to; 0 for a router's.
    fn new(own: u32, scripts: Scripts<'_>) -> World {
        let asked: Arc<Mutex<Vec<u32>>> = Arc::default();
        let levels: Arc<Mutex<Vec<Level>>> = Arc::default();
        let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
        let silent: Arc<Mutex<BTreeSet<u32>>> = Arc::default();
        let roles = Roles::default();
        let node = |(node, script): (u32, &[Result<Answer, CallError>])| {
            let (asked, script) = (Arc::clone(&asked), Mutex::new(VecDeque::from(script.to_vec())));
            let (levels, sizes) = (Arc::clone(&levels), Arc::clone(&sizes));
            let (silent, roles) = (Arc::clone(&silent), Arc::clone(&roles));
            let peer = FnPeer {
                call: Box::new(move |question| {
                    if let Question::Standing(..) = question {
                        let role = roles.lock().get(&node).copied().ok_or(CallError::Unreachable);
                        let standing = role.map(|role| Answer::Standing(Some(stands(node, role))));
                        return Box::pin(std::future::ready(standing));
                    }
                    asked.lock().push(node);
                    match question {
                        Question::Read(read) => levels.lock().push(read.level),
                        Question::Write(write) => sizes.lock().push(write.operations.len()),
                        _ => {}
                    }
                    if silent.lock().contains(&node) {
                        return Box::pin(std::future::pending());
                    }
                    let answer = script.lock().pop_front();
                    Box::pin(std::future::ready(answer.unwrap_or(Err(CallError::Unreachable))))
                }),
                at_once: Box::new(|_| None),
                tell: Box::new(|_| {}),
            };
            (NodeId(node), Arc::new(peer) as Arc<dyn Peer>)
        };
        let mut nodes: BTreeMap<_, _> = (1..).zip(scripts).map(node).collect();
        let own = nodes.remove_entry(&NodeId(own));
        let database = database();
        let (metrics, wall_clock) = (Registry::default(), || WallMillis(0));
        let gateway = Gateway::new(GatewayParts {
            cluster: cluster_with(&database, own.as_ref().map(|(node, _)| *node)),
            own,
            peers: Arc::new(Scripted(nodes)),
            log: Arc::new(SharedMemoryLog::new()),
            wall_clock,
            decisions: Decisions::new(NodeId(0), wall_clock, Counter::default()).0,
            journal_entries_max: 10,
            refusals: Arc::default(),
            metrics: Arc::new(GatewayMetrics::register(&metrics)),
        });
        World { gateway, database, asked, levels, sizes, silent, roles }
    }

    async fn write(&self, key: Option<&'static str>) -> Result<WriteReceipt, WriteError> {
        let (key_of, condition) = (DocumentKey::from_parts(&["a"]).unwrap(), Condition::default());
        let (table, action) = (TableId(1), DocumentAction::Delete);
        let operations = vec![Operation { table, key: key_of, action, condition }];
        let idempotency = key.map(|key| {
            let key = Bytes::from_static(key.as_bytes());
            IdempotencyKey { key, fingerprint: 0, ttl_ms: 1_000 }
        });
        let request = WriteRequest { operations, idempotency, deadline: soon() };
        self.gateway.write(&self.database, request).await
    }

    async fn read(&self, consistency: Consistency) -> Result<NodeId, ReadError> {
        self.read_from(consistency, None).await
    }

    async fn read_from(
        &self,
        consistency: Consistency,
        at_least: Option<Scn>,
    ) -> Result<NodeId, ReadError> {
        let key = DocumentKey::from_parts(&["a"]).unwrap();
        let read = ReadOptions { consistency, at_least, deadline: soon() };
        let table = self.database.table("t").unwrap();
        self.gateway.get(&self.database, table, &key, &read).await.map(|served| served.node)
    }

    /// The same for many documents, of whose partition the client has seen `at_least`.
    async fn read_many(&self, consistency: Consistency, at_least: Option<Scn>) {
        let keys = ["a", "b"].map(|key| (TableId(1), DocumentKey::from_parts(&[key]).unwrap()));
        let read = ReadOptions { consistency, at_least: None, deadline: soon() };
        let found =
            self.gateway.batch_get(&self.database, &keys, |_| at_least, 1 << 20, &read).await;
        assert!(found.iter().all(|found| matches!(found, Some(Ok(_)))), "{found:?}");
    }
}

fn stands(node: u32, role: ReplicaRole) -> PeerStanding {
    let incarnation = ReplicaIncarnation { node: NodeIncarnation(1), life: 1 };
    PeerStanding { node: NodeId(node), incarnation, role, folded: None, wall: WallMillis(0) }
}

/// One of one partition, on all nodes.
fn database() -> Arc<Database> {
    let definition = TableDefinition::new(vec!["id".to_owned()], None).unwrap();
    let table = Arc::new(Table {
        id: TableId(1),
        name: "t".to_owned(),
        definition,
        schema: None,
        schema_version: 0,
        dropped: false,
        emptied: false,
    });
    Arc::new(Database {
        id: DatabaseId(1),
        name: "d".to_owned(),
        uuid: PartitionUuid(1),
        partitions: 1,
        replication: 3,
        log: None,
        owner: None,
        next_table: TableId(2),
        tables: BTreeMap::from([("t".to_owned(), Arc::clone(&table))]),
        tables_by_id: BTreeMap::from([(TableId(1), table)]),
        placements: vec![[1, 2, 3].map(NodeId).to_vec()],
        after: Generation(0),
        written: crate::catalog::WrittenAt::NOWHERE,
    })
}

fn cluster_with(database: &Arc<Database>, own: Option<NodeId>) -> Arc<KnownCluster> {
    let uuid = ClusterUuid(1);
    let cluster = KnownCluster::new(uuid, [1, 2, 3].map(NodeId).into(), own);
    let mut catalog = Catalog::empty(uuid);
    catalog.databases.insert(database.name.clone(), Arc::clone(database));
    catalog.databases_by_id.insert(database.id, Arc::clone(database));
    cluster.catalog.publish(Some(Arc::new(catalog)), Scn::ZERO);
    Arc::new(cluster)
}

/// Later than any answer; the tests' clock runs by itself.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn written() -> Result<Answer, CallError> {
    let (scn, time, etag) = (Scn::ZERO, WallMillis(0), Etag(1));
    let written = Written { scn, time, etag, results: Vec::new(), repeated: false };
    Ok(Answer::Write(WriteAnswer::Written(Box::new(written))))
}

/// Does not lead; has heard of `leader` in `generation`.
fn wrong_node(generation: u32, leader: u32) -> Result<Answer, CallError> {
    Ok(Answer::Write(WriteAnswer::WrongNode(KnownLeader {
        generation: Generation(generation),
        stepped_down: false,
        node: Some(NodeId(leader)),
    })))
}

fn seen() -> Result<Answer, CallError> {
    let (seen, role) = (Seen::Document(None), ServedRole::Follower);
    Ok(Answer::Read(ReadAnswer::Seen(Box::new(Sight { seen, applied: Scn::ZERO, role }))))
}

fn behind() -> Result<Answer, CallError> {
    Ok(Answer::Read(ReadAnswer::Behind))
}

/// The nodes that a router's write asks, one after another, and why it is not done.
async fn check_write(
    key: Option<&'static str>,
    scripts: Scripts<'_>,
    asked: &[u32],
    want: Result<(), WriteError>,
) {
    let world = World::new(0, scripts);
    assert_eq!(world.write(key).await.map(drop), want);
    assert_eq!(*world.asked.lock(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_write_finds_the_leader() {
    check_write(None, [&[written()], &[], &[]], &[1], Ok(())).await;
    // A node that knows of a leader names it.
    check_write(None, [&[wrong_node(2, 3)], &[], &[written()]], &[1, 3], Ok(())).await;
    // An unreachable node is passed over.
    check_write(None, [&[], &[written()], &[]], &[1, 2], Ok(())).await;
    // A hint at an older leadership is not followed.
    let scripts: Scripts<'_> = [&[wrong_node(3, 2)], &[wrong_node(2, 1), written()], &[]];
    check_write(None, scripts, &[1, 2, 1, 2], Ok(())).await;
}

#[tokio::test(start_paused = true)]
async fn the_node_that_served_last_is_asked_first() {
    let twice = async |scripts: Scripts<'_>, asked: &[u32]| {
        let world = World::new(0, scripts);
        for _ in 0..2 {
            assert!(world.write(None).await.is_ok());
        }
        assert_eq!(*world.asked.lock(), asked);
    };
    twice([&[], &[written(), written()], &[]], &[1, 2, 2]).await;
    // Whatever was said before: the node that was said to lead may be gone.
    let scripts: Scripts<'_> = [&[wrong_node(2, 3)], &[written(), written()], &[]];
    twice(scripts, &[1, 3, 1, 2, 2]).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_leader_is_lost_is_repeated_under_a_key_only() {
    let lost = || Err(CallError::Lost);
    let unknown = Err(WriteError::Unknown { why: UnknownReason::LeaderLost });
    check_write(None, [&[lost()], &[written()], &[]], &[1], unknown).await;
    check_write(Some("k"), [&[lost()], &[written()], &[]], &[1, 2], Ok(())).await;
}

/// Answers a read: does not lead, and has heard of `leader` in `generation`.
fn says(generation: u32, leader: u32) -> Result<Answer, CallError> {
    let Ok(Answer::Write(WriteAnswer::WrongNode(leader))) = wrong_node(generation, leader) else {
        unreachable!()
    };
    Ok(Answer::Read(ReadAnswer::WrongNode(leader)))
}

/// A world whose n1 leads generation 2, as was heard, and says nothing any more.
fn with_silent_leader(scripts: Scripts<'_>) -> World {
    let world = World::new(0, scripts);
    let generation = Generation(2);
    let leader = KnownLeader { generation, stepped_down: false, node: Some(NodeId(1)) };
    world.gateway.cluster().routes.route(world.database.partition_id(0)).learn(leader);
    world.silent.lock().insert(1);
    world
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_silent_is_left_when_another_one_leads() {
    // At first n2 has heard of no other leader either, then of n3.
    let scripts: Scripts<'_> =
        [&[], &[says(2, 1), says(3, 3)], &[says(2, 1), written(), seen(), seen()]];
    let keyed = with_silent_leader(scripts);
    assert!(keyed.write(Some("k")).await.is_ok());
    assert_eq!(*keyed.asked.lock(), [1, 2, 3, 2, 3]);
    // The next one goes there at once.
    assert_eq!(keyed.read(Consistency::Strong).await, Ok(NodeId(3)));
    let world = with_silent_leader(scripts);
    let unknown = WriteError::Unknown { why: UnknownReason::LeaderLost };
    assert_eq!(world.write(None).await.map(drop), Err(unknown), "perhaps it was done");
    // Who leads says so itself.
    let generation = Scn::new(Generation(4), Sequence(1));
    let (seen_there, role) = (Seen::Position(generation), ServedRole::Leader);
    let sight = Sight { seen: seen_there, applied: generation, role };
    let leads = Ok(Answer::Read(ReadAnswer::Seen(Box::new(sight))));
    let world = with_silent_leader([&[], &[leads, seen()], &[]]);
    assert_eq!(world.read(Consistency::Strong).await, Ok(NodeId(2)));
    assert_eq!(*world.asked.lock(), [1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_slow_is_waited_for() {
    let says_so = || says(2, 1);
    let world = with_silent_leader([&[], &[says_so(), says_so()], &[says_so(), says_so()]]);
    let asked = timeout(Duration::from_millis(1_500), world.write(Some("k"))).await;
    assert!(asked.is_err(), "it leads: {asked:?}");
    // Each time after twice as long, one request for all.
    assert_eq!(*world.asked.lock(), [1, 2, 3, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_under_a_write_leaves_it_open() {
    let answer = |answer| Ok(Answer::Write(answer));
    let unknown = Err(WriteError::Unknown { why: UnknownReason::Deadline });
    for key in [None, Some("k")] {
        let check = async |answer: Result<Answer, CallError>, want| {
            check_write(key, [&[answer], &[written()], &[]], &[1], want).await;
        };
        check(answer(WriteAnswer::UnknownLate), unknown.clone()).await;
        check(Err(CallError::Late), unknown.clone()).await;
        // That one was withdrawn before it was begun.
        check(answer(WriteAnswer::Late), Err(WriteError::DeadlineBefore)).await;
    }
}

/// A world whose replicas do this, and that no request is served by.
fn unserved(roles: [Option<ReplicaRole>; 3], scripts: Scripts<'_>) -> World {
    let world = World::new(0, scripts);
    let told = (1..).zip(roles).filter_map(|(node, role)| Some((node, role?)));
    world.roles.lock().extend(told);
    world
}

/// What requests come to, and how many milliseconds they have waited for it.
async fn timed<T>(request: impl Future<Output = T>) -> (T, u128) {
    let begun = Instant::now();
    let answer = request.await;
    (answer, begun.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_must_end_is_not_waited_for() {
    let disputed = Some(ReplicaRole::Disputed);
    let why = NotDoneWhy::StandsStill(Standstill::Disputed);
    // The first request finds out; those after it are told.
    let world = unserved([disputed, disputed, None], [&[], &[], &[]]);
    for patience in [1_500, 300, 300] {
        let (written, waited) = timed(world.write(None)).await;
        assert!(matches!(written, Err(WriteError::NotDone { why: w, .. }) if w == why));
        assert!(waited < patience, "{waited} ms");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    for level in [Consistency::Strong, Consistency::Strict, Consistency::Eventual] {
        let (read, waited) = timed(world.read(level)).await;
        let why = Standstill::Disputed;
        assert!(matches!(read, Err(ReadError::StandsStill { why: w, .. }) if w == why));
        assert!(waited < 300, "{level:?}: {waited} ms");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // What may have been done before is not denied.
    let world = unserved([disputed; 3], [&[Err(CallError::Lost)], &[], &[]]);
    let (written, waited) = timed(world.write(Some("k"))).await;
    let unknown = WriteError::Unknown { why: UnknownReason::LeaderLost };
    assert_eq!(written.map(drop), Err(unknown));
    assert!(waited < 1_500, "{waited} ms");
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_by_itself_is_waited_for() {
    let (disputed, follower) = (Some(ReplicaRole::Disputed), Some(ReplicaRole::Follower));
    // One that has no doubt may claim.
    let world = unserved([disputed, disputed, follower], [&[], &[], &[]]);
    let (ended, waited) = timed(world.write(None)).await;
    assert!(ended.is_err() && waited >= 5_000, "{waited} ms: {ended:?}");
    // Those in doubt may agree.
    let world = unserved([disputed; 3], [&[], &[], &[]]);
    let (ended, waited) = timed(async {
        tokio::join!(world.write(None), async {
            for _ in 0..60 {
                tokio::time::advance(Duration::from_millis(10)).await;
            }
            world.roles.lock().insert(1, ReplicaRole::Opening);
        })
        .0
    })
    .await;
    assert!(ended.is_err() && waited >= 5_000, "{waited} ms: {ended:?}");
    // What was resolved since is known within a moment.
    let world = unserved([disputed; 3], [&[], &[], &[]]);
    let (ended, waited) = timed(world.write(None)).await;
    assert!(ended.is_err() && waited < 1_500, "{waited} ms: {ended:?}");
    world.roles.lock().insert(2, ReplicaRole::Leader);
    tokio::time::advance(Duration::from_secs(1)).await;
    let (ended, waited) = timed(world.write(None)).await;
    let why = NotDoneWhy::NoLeader;
    assert!(matches!(ended, Err(WriteError::NotDone { why: w, .. }) if w == why), "{ended:?}");
    assert!(waited >= 5_000, "{waited} ms");
}

/// The answer to a bulk of which a record took `count` operations.
fn taken(count: usize) -> Result<Answer, CallError> {
    let (scn, time, etag) = (Scn::ZERO, WallMillis(0), Etag(1));
    let written = Written { scn, time, etag, results: Vec::new(), repeated: false };
    Ok(Answer::Write(WriteAnswer::Each(vec![Ok(written); count])))
}

/// What becomes of a bulk of removals, and which nodes were asked for how many of them.
async fn check_bulk(
    key: Option<&'static str>,
    names: &[&str],
    scripts: Scripts<'_>,
    want: &[&str],
    asked: &[(u32, usize)],
) {
    let world = World::new(0, scripts);
    let operation = |(index, name): (u16, &&str)| {
        let key = DocumentKey::from_parts(&[name]).unwrap();
        let (table, action, condition) = (TableId(1), DocumentAction::Delete, Condition::default());
        let operation = Operation { table, key, action, condition };
        BulkOperation { operation, index, fingerprint: 0 }
    };
    let operations = (0..).zip(names).map(operation).collect();
    let key = key.map(|key| BulkKey { key: Bytes::from_static(key.as_bytes()), ttl_ms: 1_000 });
    let request = BulkRequest { operations, idempotency: key, deadline: soon() };
    let ended = world.gateway.bulk(&world.database, request).await;
    let ended = ended.into_iter().map(|ended| match ended {
        Ok(_) => "done",
        Err(WriteError::Unknown { .. }) => "unknown",
        Err(WriteError::NotDone { why: NotDoneWhy::NoLeader, .. }) => "not begun",
        Err(other) => panic!("{other}"),
    });
    assert_eq!(ended.collect::<Vec<_>>(), want);
    let asked_of = world.asked.lock().clone().into_iter().zip(world.sizes.lock().clone());
    assert_eq!(asked_of.collect::<Vec<_>>(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_goes_together_as_far_as_it_can() {
    let ok = ["done"; 4];
    check_bulk(None, &["a", "b", "c"], [&[taken(3)], &[], &[]], &ok[..3], &[(1, 3)]).await;
    // A document's second state follows its first one.
    let scripts: Scripts<'_> = [&[taken(2), taken(2)], &[], &[]];
    check_bulk(None, &["a", "b", "a", "c"], scripts, &ok, &[(1, 2), (1, 2)]).await;
    // The leader's record took two of three.
    let scripts: Scripts<'_> = [&[taken(2), taken(1)], &[], &[]];
    check_bulk(None, &["a", "b", "c"], scripts, &ok[..3], &[(1, 3), (1, 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn operations_whose_leader_is_lost_are_repeated_under_a_key_only() {
    let lost = || Err(CallError::Lost);
    let names = ["a", "b", "a"];
    // Were the last one done now, it might be undone by a repetition of the first.
    let scripts: Scripts<'_> = [&[lost()], &[taken(1)], &[]];
    let want = ["unknown", "unknown", "not begun"];
    check_bulk(None, &names, scripts, &want, &[(1, 2)]).await;
    let scripts: Scripts<'_> = [&[lost()], &[taken(2), taken(1)], &[]];
    let asked = [(1, 2), (2, 2), (2, 1)];
    check_bulk(Some("k"), &names, scripts, &["done"; 3], &asked).await;
}

#[tokio::test(start_paused = true)]
async fn a_bulk_that_is_answered_otherwise_is_open() {
    let open = ["unknown"; 2];
    for answer in [taken(0), taken(3), written()] {
        check_bulk(Some("k"), &["a", "b"], [&[answer], &[], &[]], &open, &[(1, 2)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_ends_begins_nothing() {
    let world = World::new(0, [&[written()], &[], &[]]);
    world.gateway.end();
    let ended = world.write(None).await;
    let ending = NotDoneWhy::Ending;
    assert!(matches!(ended, Err(WriteError::NotDone { why, .. }) if why == ending), "{ended:?}");
    assert!(world.asked.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_any_replica_may_serve_goes_to_the_own_node_or_round() {
    let all: Scripts<'_> = [&[seen(), seen()], &[seen(), seen()], &[seen(), seen()]];
    let own = World::new(2, all);
    let router = World::new(0, all);
    for _ in 0..2 {
        assert_eq!(own.read(Consistency::Eventual).await, Ok(NodeId(2)));
    }
    for node in [1, 2, 3, 1] {
        assert_eq!(router.read(Consistency::Eventual).await, Ok(NodeId(node)));
    }
    let behind = World::new(2, [&[seen()], &[behind()], &[]]);
    assert_eq!(behind.read(Consistency::Eventual).await, Ok(NodeId(1)));
}

fn seen_many() -> Result<Answer, CallError> {
    let (seen, role) = (Seen::Documents(vec![None]), ServedRole::Follower);
    Ok(Answer::Read(ReadAnswer::Seen(Box::new(Sight { seen, applied: Scn::ZERO, role }))))
}

#[tokio::test(start_paused = true)]
async fn each_level_asks_for_what_it_promises() {
    let check = async |consistency, at_least, want: Level| {
        let world = World::new(1, [&[seen()], &[], &[]]);
        assert_eq!(world.read_from(consistency, at_least).await, Ok(NodeId(1)));
        assert_eq!(*world.levels.lock(), [want], "{consistency:?}");
        // Each resource is read by itself.
        let world = World::new(1, [&[seen_many(), seen_many()], &[], &[]]);
        world.read_many(consistency, at_least).await;
        assert_eq!(*world.levels.lock(), [want, want], "{consistency:?} of many documents");
    };
    let token = Some(Scn::new(Generation(3), Sequence(8)));
    for token in [None, token] {
        check(Consistency::Strong, token, Level::Strong).await;
        check(Consistency::Strict, token, Level::Strict).await;
        check(Consistency::Eventual, token, Level::AtLeast(Scn::ZERO)).await;
        let seen = token.unwrap_or(Scn::ZERO);
        check(Consistency::Session, token, Level::AtLeast(seen)).await;
        let max_lag_ms = 7;
        check(Consistency::Bounded { max_lag_ms }, token, Level::Bounded { max_lag_ms }).await;
    }
    // If no replica is that recent, the leader is asked, which always is.
    let world = World::new(1, [&[behind(), seen()], &[behind()], &[behind()]]);
    assert_eq!(world.read(Consistency::Bounded { max_lag_ms: 7 }).await, Ok(NodeId(1)));
    let bounded = Level::Bounded { max_lag_ms: 7 };
    assert_eq!(*world.levels.lock(), [bounded, bounded, bounded, Level::Strong]);
}

/// A node that has replicas of these databases, and of no others.
fn has(databases: &[u32]) -> Result<Answer, CallError> {
    let replica = |database: &u32| ReplicaReport {
        progress: ReplicaProgress {
            partition: PartitionId { database: DatabaseId(*database), number: 0 },
            role: ReplicaRole::Follower,
            leader: KnownLeader::default(),
            applied: Scn::ZERO,
            folded: LogOffset::ZERO,
            has_room: true,
        },
        end: LogOffset::ZERO,
        behind_ms: 0,
        unverified: false,
        feature_level: 1,
    };
    Ok(Answer::Report(NodeReport {
        incarnation: NodeIncarnation(1),
        address: String::new(),
        sick: None,
        fit: true,
        replicas: databases.iter().map(replica).collect(),
    }))
}

#[tokio::test(start_paused = true)]
async fn a_drop_waits_for_nodes_with_replicas_but_not_for_silent_ones() {
    let silent = || Err(CallError::Late);
    let scripts: Scripts<'_> =
        [&[has(&[7]), has(&[])], &[silent(), silent(), silent()], &[has(&[]), has(&[])]];
    let world = World::new(0, scripts);
    world.gateway.await_silence(DatabaseId(7), soon()).await;
    assert_eq!(*world.asked.lock(), [1, 2, 3, 1, 2, 3]);
}

/// A page of a table in which nothing is.
fn no_documents() -> Result<Answer, CallError> {
    let seen = Seen::Page(DocumentPage { documents: Vec::new(), next: None });
    let sight = Sight { seen, applied: Scn::ZERO, role: ServedRole::Leader };
    Ok(Answer::Read(ReadAnswer::Seen(Box::new(sight))))
}

/// Databases that were dropped, with their logs.
async fn drop_databases<const N: usize>(world: &World, ids: [u32; N]) -> [LogSpec; N] {
    let mut catalog = Catalog::empty(ClusterUuid(1));
    let specs = ids.map(|id| {
        let dropped = Dropped { name: format!("d{id}"), uuid: PartitionUuid(7), partitions: 1 };
        let spec = spec_of_dropped(DatabaseId(id), &dropped);
        catalog.dropped.insert(DatabaseId(id), dropped);
        spec
    });
    for spec in &specs {
        world.gateway.parts().log.create(spec).await.unwrap();
    }
    world.gateway.cluster().catalog.publish(Some(Arc::new(catalog)), Scn::ZERO);
    specs
}

#[tokio::test(start_paused = true)]
async fn logs_of_dropped_databases_are_kept_until_every_node_answers() {
    let scripts: Scripts<'_> = [
        &[has(&[]), has(&[]), no_documents(), written()],
        &[Err(CallError::Late), has(&[8])],
        &[has(&[]), has(&[])],
    ];
    let world = World::new(0, scripts);
    let specs = drop_databases(&world, [7, 8]).await;
    for (asked, kept) in [(3, [true, true]), (8, [false, true])] {
        // It looks once a second.
        let controller = world.gateway.clone().control(|| true);
        assert!(timeout(Duration::from_millis(1_500), controller).await.is_err());
        assert_eq!(world.asked.lock().len(), asked, "each node once, however many were dropped");
        for (spec, kept) in specs.iter().zip(kept) {
            assert_eq!(world.gateway.parts().log.verify(spec).await.is_ok(), kept, "{spec:?}");
        }
    }
}
