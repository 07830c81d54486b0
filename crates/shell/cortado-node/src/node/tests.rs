//! Three nodes with peers between them that record messages and may answer in a node's place.

use super::*;
use crate::cluster_identity::identity;
use crate::components::{Components, Founding};
use crate::directory::MemoryDirectories;
use crate::replica_handle::ReplicaHandle;
use crate::settings::RawSettings;
use crate::store_factory::StoreFactory;
use bytes::Bytes;
use cortado_document::{Condition, Document, DocumentAction, Operation, TableDefinition};
use cortado_driver::ReplicaRole;
use cortado_gateway::{Database, DatabaseSpec, Declared, WriteError, WriteRequest};
use cortado_log::LogEntry;
use cortado_log::memory::{SharedMemoryBeats, SharedMemoryLog};
use cortado_metrics::Registry;
use cortado_model::{
    DirectoryUuid, DocumentKey, EntryRange, LogId, LogOffset, LogPosition, NodeId, NodeIncarnation,
    PartitionUuid, Scn, Sequence,
};
use cortado_peer::conformance::{Answer, FnPeer, Question};
use cortado_peer::{
    Level, Look, Membership, MemoryNetwork, MemoryPeers, Message, PeerLife, PeerNetwork, Read,
    ReadAnswer, SnapshotAnswer, SnapshotChunk, SnapshotId, write_snapshot,
};
use cortado_replica::{Barrier, Body, ChainHash, FoldState, Frame, Record, StepDown, encode};
use cortado_store::{Fault, MemoryStore};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::File;
use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, interval};

/// Longer than anything here takes on a busy machine, and shorter than an idle replica sleeps.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a node says when it is asked how it is, instead of the truth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Nothing,
    Sick,
    /// Its replicas have accepted more than any other, far behind everything in the log.
    HasMore,
}

/// A snapshot that every node gives instead of its own.
struct Given {
    chunks: Vec<Bytes>,
    /// What comes behind them.
    then: SnapshotChunk,
    /// How often it was opened.
    opened: usize,
    /// How often its end was asked for.
    ended: usize,
}

/// Stands between all nodes.
#[derive(Clone, Default)]
struct Between {
    peers: Arc<MemoryPeers>,
    says: Arc<Mutex<BTreeMap<NodeId, Says>>>,
    /// What each node has told last of each replica: whether it has room.
    room: Arc<Mutex<BTreeMap<(NodeId, PartitionId), bool>>>,
    gives: Arc<Mutex<Option<Given>>>,
}

impl Between {
    /// What is answered in the place of the node that is asked.
    fn answer(&self, question: &Question) -> Option<Answer> {
        let mut gives = self.gives.lock();
        let given = gives.as_mut()?;
        match question {
            Question::OpenSnapshot(..) => {
                given.opened += 1;
                Some(Answer::OpenSnapshot(SnapshotAnswer::Opened(SnapshotId(1))))
            }
            Question::SnapshotChunk(_, number, _) => {
                let chunk = given.chunks.get(*number as usize).cloned();
                given.ended += usize::from(chunk.is_none());
                Some(Answer::SnapshotChunk(
                    chunk.map_or_else(|| given.then.clone(), SnapshotChunk::Chunk),
                ))
            }
            _ => None,
        }
    }
}

impl Peers for Between {
    fn nodes(&self) -> Vec<NodeId> {
        self.peers.nodes()
    }

    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        let peer = self.peers.peer(node)?;
        let (asked, says, room) =
            (Arc::clone(&peer), Arc::clone(&self.says), Arc::clone(&self.room));
        let between = self.clone();
        let call = move |question: Question| -> cortado_peer::Pending<'static, _> {
            if let Some(answer) = between.answer(&question) {
                return Box::pin(std::future::ready(Ok(answer)));
            }
            let (peer, says) = (Arc::clone(&asked), says.lock().get(&node).copied());
            Box::pin(async move {
                let mut answer = question.put_to(peer.as_ref()).await?;
                match (&mut answer, says) {
                    (Answer::Report(_), Some(Says::Nothing)) => pending().await,
                    (Answer::Report(report), Some(Says::Sick)) => {
                        report.sick = Some("its log fails".to_owned());
                        report.fit = false;
                    }
                    (Answer::Standing(Some(standing)), Some(Says::HasMore)) => {
                        let folded = standing.folded.as_mut().unwrap();
                        folded.accepted.scn.sequence = Sequence::MAX;
                        folded.below = LogOffset(u64::MAX);
                    }
                    _ => {}
                }
                Ok(answer)
            })
        };
        let tell = move |message: Message| {
            if let Message::Progress(progress) = &message {
                let told = progress.replicas.iter();
                let told = told.map(|told| ((progress.node, told.partition), told.has_room));
                room.lock().extend(told);
            }
            peer.tell(message);
        };
        let at_once = Box::new(|_: &_| None);
        Some(Arc::new(FnPeer { call: Box::new(call), at_once, tell: Box::new(tell) }))
    }
}

#[derive(Default)]
struct Stores {
    stores: Mutex<BTreeMap<NodeId, Arc<MemoryStore>>>,
    /// Whether there is room for a snapshot on its way.
    disk_full: AtomicBool,
}

impl StoreFactory for Stores {
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::clone(self.stores.lock().entry(node).or_default()) as Arc<dyn Store>)
    }

    fn spool(&self) -> io::Result<File> {
        if self.disk_full.load(Ordering::Relaxed) {
            return File::options().read(true).write(true).open("/dev/full");
        }
        tempfile::tempfile()
    }
}

/// Three nodes with a database of two partitions.
struct World {
    nodes: BTreeMap<NodeId, Node>,
    log: SharedMemoryLog,
    stores: Arc<Stores>,
    between: Between,
    database: Arc<Database>,
    _joined: Vec<Membership>,
    _failures: mpsc::UnboundedReceiver<NodeFailure>,
}

impl World {
    async fn start() -> World {
        let mut raw = RawSettings::default();
        // No node dies here, and on a slow machine none shall be taken for dead.
        raw.detection.dead_after_ms = Some(60_000);
        let (settings, registry) = (Arc::new(raw.validate().unwrap()), Registry::default());
        let (log, beats) = (SharedMemoryLog::new(), Arc::new(SharedMemoryBeats::default()));
        let (stores, between) = (Arc::new(Stores::default()), Between::default());
        let names: Vec<NodeId> = settings.nodes().collect();
        let components = Components {
            log: Arc::new(log.clone()),
            beats: Arc::clone(&beats) as Arc<dyn Beats>,
            network: Arc::new(MemoryNetwork::default()),
            stores: Arc::clone(&stores) as Arc<dyn StoreFactory>,
            directories: Arc::new(MemoryDirectories::default()),
            metrics: Arc::default(),
            warnings: Vec::new(),
            founding: Founding::Create,
            belongs_to: None,
        };
        let cluster = identity(&components, &names).await.unwrap();
        let metrics = NodeMetrics::register(&registry, names.into_iter());
        let gateway_metrics = Arc::new(GatewayMetrics::register(&registry));
        let (failures, failed) = mpsc::unbounded_channel();
        let (mut nodes, mut joined) = (BTreeMap::new(), Vec::new());
        for (node, metrics) in metrics {
            let directory = DirectoryUuid(u128::from(node.0));
            let me = NodeLife { node, incarnation: NodeIncarnation(1), directory, nonce: 1 };
            let started = Node::start(NodeParts {
                me,
                duty: Duty::Member,
                cluster,
                settings: Arc::clone(&settings),
                log: Arc::new(log.clone()),
                beats: Arc::clone(&beats) as Arc<dyn Beats>,
                store: stores.open(node).unwrap(),
                stores: Arc::clone(&stores) as Arc<dyn StoreFactory>,
                peers: Arc::new(between.clone()),
                clock: Clock::start(),
                metrics,
                gateway_metrics: Arc::clone(&gateway_metrics),
                refusals: Arc::default(),
                reach: Arc::new(RequestReach::new(NodeId(0))),
                failures: failures.clone(),
            });
            let started = started.unwrap();
            joined.push(between.peers.join(node, started.service()));
            let (cluster, incarnation) = (cluster, NodeIncarnation(1));
            let life = PeerLife { cluster, node, incarnation, directory, is_asked: true };
            started.announce(MemoryNetwork::default().enter(life));
            nodes.insert(node, started);
        }
        let database = database_on(&nodes).await;
        World { nodes, log, stores, between, database, _joined: joined, _failures: failed }
    }

    fn partition(&self, number: u32) -> PartitionId {
        self.database.partition_id(number)
    }

    /// Through a door of `node`, into a partition.
    async fn write(&self, node: NodeId, number: u32) -> Result<Scn, WriteError> {
        let mut keys = (0..).map(|id| DocumentKey::from_parts(&[&format!("k{id}")]).unwrap());
        let key = keys.find(|key| self.database.partition_of(key) == number).unwrap();
        let value = Document::parse(Bytes::from_static(b"{}")).unwrap();
        let (table, action) = (self.database.table("t").unwrap().id, DocumentAction::Put { value });
        let operations = vec![Operation { table, key, action, condition: Condition::default() }];
        let request = WriteRequest { operations, idempotency: None, deadline: deadline() };
        self.nodes[&node].gateway().write(&self.database, request).await.map(|written| written.scn)
    }

    /// Of the replica on `node` alone.
    async fn read(&self, node: NodeId, number: u32, level: Level) -> ReadAnswer {
        let (partition, look) = (self.partition(number), Look::Position);
        let read = Read { partition, level, look, deadline: deadline() };
        self.nodes[&node].service().read(read).await.unwrap()
    }

    /// A record in the name of the leader, which leaves out the one before it.
    async fn leave_a_gap(&self, number: u32) {
        let partition = self.partition(number);
        let read = self.log.read(partition, LogPosition::START, usize::MAX).await.unwrap();
        let record = |entry: &LogEntry| Frame::read_any(&entry.record).unwrap().record().unwrap();
        let Body::Genesis(genesis) = record(&read.entries[0]).body else { panic!("no genesis") };
        let mut header = record(read.entries.last().unwrap()).header;
        header.scn.sequence.0 += 2;
        let record = Record { header, body: Body::Barrier(Barrier::default()) };
        let (record, _) = encode(genesis.identity.partition, &record, ChainHash::default());
        self.log.with(|log| log.append_now(partition, vec![record]));
    }

    fn leader(&self, number: u32) -> Option<NodeId> {
        let route = |node: &Node| node.host().routes.route(self.partition(number));
        self.nodes.iter().find(|(_, node)| route(node).serving().is_some()).map(|(node, _)| *node)
    }

    fn replica(&self, node: NodeId, number: u32) -> Arc<ReplicaHandle> {
        self.nodes[&node].host().routes.route(self.partition(number)).replica().unwrap()
    }

    /// The successors that the leaders of a partition have named at their step-downs, in order.
    async fn named(&self, number: u32) -> Vec<Option<NodeId>> {
        let read = self.log.read(self.partition(number), LogPosition::START, usize::MAX).await;
        let bodies = read.unwrap().entries.into_iter().map(|entry| {
            let frame = Frame::read_any(&entry.record).unwrap();
            frame.record().unwrap().body
        });
        let named = bodies.filter_map(|body| match body {
            Body::StepDown(StepDown { to }) => Some(to),
            _ => None,
        });
        named.collect()
    }

    /// The store of a node takes nothing any more, or again.
    fn fill(&self, node: NodeId, is_full: bool) {
        self.stores.stores.lock()[&node].set_fault(is_full.then_some(Fault::Full));
    }

    /// What `node` has told last of its replica: whether it has room.
    fn room_told(&self, node: NodeId, number: u32) -> Option<bool> {
        self.between.room.lock().get(&(node, self.partition(number))).copied()
    }

    /// What a node's store holds of partition 0: its checkpoint, and the keys of its documents.
    fn stored(&self, node: NodeId) -> (FoldState, Vec<DocumentKey>) {
        let view = self.stores.stores.lock()[&node].view(self.partition(0)).unwrap();
        let checkpoint = view.checkpoint().unwrap().expect("the replica has a state");
        let range = EntryRange::documents(self.database.table("t").unwrap().id, &[]);
        let keys = view.documents(&range).map(|found| found.unwrap().0).collect();
        (FoldState::decode(&checkpoint).unwrap(), keys)
    }

    async fn end(self) {
        for node in self.nodes.values() {
            node.end().await;
        }
    }
}

/// Once every node is a member.
async fn database_on(nodes: &BTreeMap<NodeId, Node>) -> Arc<Database> {
    let gateway = nodes[&NodeId(1)].gateway();
    eventually("all have registered", || gateway.catalog().members().count() == nodes.len()).await;
    let definition = TableDefinition::new(vec!["id".to_owned()], None).unwrap();
    let tables = BTreeMap::from([("t".to_owned(), definition)]);
    let spec = DatabaseSpec { partitions: Some(2), tables, ..DatabaseSpec::default() };
    let declared = gateway.create_database("d", spec, deadline()).await.unwrap();
    let Declared::Created(database) = declared else { panic!("there was one already") };
    database
}

fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    eventually_asking(what, async || holds()).await;
}

async fn eventually_asking(what: &str, holds: impl AsyncFn() -> bool) {
    let (give_up_at, mut look_again) = (deadline(), interval(Duration::from_millis(5)));
    while !holds().await {
        assert!(Instant::now() < give_up_at, "not so after {PATIENCE:?}: {what}");
        look_again.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_told_of_a_full_store_by_every_replica_at_once() {
    let world = World::start().await;
    let told = |node, room| [0, 1].iter().all(|p| world.room_told(node, *p) == Some(room));
    let leaders = [0, 1].map(|number| world.leader(number));
    let mut nodes = world.nodes.keys().copied();
    let follower = nodes.find(|node| !leaders.contains(&Some(*node))).unwrap();
    eventually("there is room", || told(follower, true)).await;
    world.fill(follower, true);
    world.write(follower, 0).await.unwrap();
    eventually("the idle replica has told it, too", || told(follower, false)).await;
    world.fill(follower, false);
    eventually("there is room again", || told(follower, true)).await;
    world.end().await;
}

/// Which node succeeds the leader of partition 0 when that has no room.
///
/// * `first`, `second`: what the other two say when they are asked how they are, in order.
async fn check_successor(first: Option<Says>, second: Option<Says>, want: usize) {
    let world = World::start().await;
    eventually("partition 0 is led", || world.leader(0).is_some()).await;
    let leader = world.leader(0).unwrap();
    for number in [0, 1] {
        let written = world.write(leader, number).await.unwrap();
        let holds_it = || world.replica(leader, number).applied() >= written;
        eventually("its leader's node holds it", holds_it).await;
    }
    let others: Vec<_> = world.nodes.keys().copied().filter(|node| *node != leader).collect();
    let named_before = world.named(0).await.len();
    world.fill(leader, true);
    // The replica of the other partition is the first to know.
    let other = world.write(leader, 1).await;
    assert!(matches!(other, Ok(_) | Err(WriteError::Unknown { .. })), "{other:?}");
    let waits = || world.replica(leader, 1).role() == ReplicaRole::Full;
    eventually("the other replica waits for room", waits).await;
    let says = others.iter().copied().zip([first, second]);
    world.between.says.lock().extend(says.filter_map(|(node, says)| Some((node, says?))));
    // A machine that is slow makes nodes sick for a moment, too.
    let written = async || world.write(leader, 0).await.is_ok();
    eventually_asking("a node that is well takes the write", written).await;
    assert_eq!(world.named(0).await.get(named_before), Some(&Some(others[want])));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_node_keeps_no_other_from_leading_for_a_full_one() {
    check_successor(Some(Says::Nothing), None, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sick_node_is_not_named_to_lead_for_a_full_one() {
    check_successor(None, Some(Says::Sick), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_node_holds_up_no_drop_and_keeps_the_log() {
    let world = World::start().await;
    let partition = world.partition(0);
    world.between.says.lock().insert(NodeId(3), Says::Nothing);
    let until = deadline();
    world.nodes[&NodeId(1)].gateway().drop_database("d", until).await.unwrap();
    assert!(Instant::now() < until, "it has not been waited for");
    let is_stored = |store: &Arc<MemoryStore>| store.partitions().unwrap().contains(&partition);
    let removed = || !world.stores.stores.lock().values().any(is_stored);
    eventually("the stores are empty", removed).await;
    let has_log = || world.log.with(|log| log.end(partition)) > LogOffset::ZERO;
    assert!(has_log());
    world.between.says.lock().clear();
    eventually("the log is removed", || !has_log()).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_may_lack_a_record_serves_no_bounded_reads() {
    let world = World::start().await;
    eventually("partition 0 is led", || world.leader(0).is_some()).await;
    let leader = world.leader(0).unwrap();
    let written = world.write(leader, 0).await.unwrap();
    let follower = world.nodes.keys().copied().find(|node| *node != leader).unwrap();
    let holds_it = || world.replica(follower, 0).applied() >= written;
    eventually("the follower holds it", holds_it).await;
    let is_served = async |level| {
        let answer = world.read(follower, 0, level).await;
        assert!(matches!(answer, ReadAnswer::Seen(_) | ReadAnswer::Behind), "{answer:?}");
        answer != ReadAnswer::Behind
    };
    let bounded = Level::Bounded { max_lag_ms: u64::MAX };
    assert!(is_served(bounded).await);
    let all = world.nodes.keys().map(|node| (*node, Says::HasMore));
    world.between.says.lock().extend(all);
    world.leave_a_gap(0).await;
    eventually_asking("its state is of no known age", async || !is_served(bounded).await).await;
    assert!(is_served(Level::AtLeast(written)).await, "that is there all the same");
    // What stands there next in the leader's name is what was missing.
    world.write(leader, 0).await.unwrap();
    eventually_asking("it has what was missing", async || is_served(bounded).await).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dropped_database_held_paces_no_rounds() {
    let world = World::start().await;
    let node = &world.nodes[&NodeId(1)];
    let (effort, partition) = (&node.host().effort, world.partition(0));
    let is_here = || node.host().routes.route(partition).replica().is_some();
    eventually("the replica is here", is_here).await;
    effort.set_state_bytes(partition, 1 << 40);
    assert!(effort.state_bytes() >= 1 << 40);
    node.gateway().drop_database("d", deadline()).await.unwrap();
    eventually("it is forgotten", || effort.state_bytes() < 1 << 40).await;
    // The last hash of it comes to its end.
    effort.set_state_bytes(partition, 1 << 40);
    assert!(effort.state_bytes() < 1 << 40);
    world.end().await;
}

/// Snapshots of no use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gives {
    Half,
    OfAnotherPartition,
    OfAnotherLog,
    ToAFullDisk,
}

/// What becomes of a condemned replica while no other gives it a snapshot of use.
///
/// * `gives`: what the others give.
/// * `is_read`: whether it is read to its end.
async fn check_kept(gives: Gives, is_read: bool) {
    let world = World::start().await;
    eventually("partition 0 is led", || world.leader(0).is_some()).await;
    let leader = world.leader(0).unwrap();
    let follower = world.nodes.keys().copied().find(|node| *node != leader).unwrap();
    let written = world.write(leader, 0).await.unwrap();
    let has_applied = |scn| move |replica: Arc<ReplicaHandle>| replica.applied() >= scn;
    let holds = has_applied(written);
    eventually("the follower holds it", || holds(world.replica(follower, 0))).await;
    let (mut fold, documents) = world.stored(follower);
    assert_eq!(documents.len(), 1);
    // It cannot be folded again.
    let below = LogOffset(1);
    world.log.trim(world.partition(0), fold.log, below).await.unwrap();

    world.stores.disk_full.store(gives == Gives::ToAFullDisk, Ordering::Relaxed);
    match gives {
        Gives::Half | Gives::ToAFullDisk => {}
        Gives::OfAnotherPartition => fold.genesis.identity.partition = PartitionUuid(7),
        Gives::OfAnotherLog => fold.log = LogId(7),
    }
    let (view, mut chunks) = (MemoryStore::new().view(world.partition(0)).unwrap(), Vec::new());
    let entries = view.entries(None);
    write_snapshot(world.partition(0), &fold.encode(), entries, |chunk| {
        chunks.push(chunk);
        true
    })
    .unwrap();
    let mut then = SnapshotChunk::End;
    if gives == Gives::Half {
        let first = chunks.remove(0);
        chunks.push(first.slice(..first.len() - 1));
        then = SnapshotChunk::Gone;
    }
    *world.between.gives.lock() = Some(Given { chunks, then, opened: 0, ended: 0 });
    let role = || world.replica(follower, 0).role();
    let given = || {
        let gives = world.between.gives.lock();
        gives.as_ref().map(|given| (given.opened, given.ended)).unwrap()
    };
    eventually("it is copied", || {
        // Perhaps it has not heard of the others for a while.
        if role().is_readable() && given().0 == 0 {
            let (partition, why) = (world.partition(0), "told to".to_owned());
            world.nodes[&follower].service().tell(Message::Condemned { partition, why });
        }
        given().0 > 0
    })
    .await;
    // The second one is asked when the first has been of no use, on a full disk after a while.
    eventually("it is copied again", || given().0 > 1).await;
    let (opened, ended) = given();
    assert!(if is_read { ended + 1 >= opened } else { ended == 0 }, "{opened} {ended}");
    assert_eq!(world.stored(follower).1, documents);
    assert_eq!(role(), ReplicaRole::Restoring, "its state was said to be wrong");

    *world.between.gives.lock() = None;
    world.stores.disk_full.store(false, Ordering::Relaxed);
    eventually("it has a right one", || role().is_readable()).await;
    let holds = has_applied(world.write(leader, 0).await.unwrap());
    eventually("it follows", || holds(world.replica(follower, 0))).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_dies_in_the_middle_takes_nothing_away() {
    check_kept(Gives::Half, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_another_partition_is_refused_at_its_beginning() {
    check_kept(Gives::OfAnotherPartition, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_another_log_is_refused_at_its_beginning() {
    check_kept(Gives::OfAnotherLog, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_finds_no_room_takes_nothing_away() {
    check_kept(Gives::ToAFullDisk, false).await;
}
