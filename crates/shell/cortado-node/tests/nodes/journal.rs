//! The journal: made once, written whatever dies, read on from any event.

use crate::world::{
    N1, N2, N3, PATIENCE, Stores, World, deadline, eventually, eventually_asking, settings,
};
use cortado_document::TableDefinition;
use cortado_gateway::{
    AdminError, Database, DatabaseSpec, DecisionEvent, EventKind, EventsError, Gateway,
    JournalPosition, PartitionStatus,
};
use cortado_log::memory::SharedMemoryLog;
use cortado_log::{
    CreateError, Extent, Follower, Log, LogPage, LogReadError, LogSpec, LogTraits, Pending,
    Producer, RemoveError, TrimError, Verified, VerifyError,
};
use cortado_metrics::Registry;
use cortado_model::{LogId, LogOffset, LogPosition, NodeId, PartitionId};
use cortado_node::Cluster;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn journal_of(gateway: &Gateway) -> Arc<Database> {
    Arc::clone(gateway.catalog().database("_journal").unwrap())
}

async fn partitions(world: &World) -> Vec<PartitionStatus> {
    let status = world.gateway.status().await;
    status.databases.into_iter().find(|database| database.name == "_journal").unwrap().partitions
}

async fn await_led(world: &World, nodes: &[NodeId]) {
    let led = |partition: &PartitionStatus| partition.leader.is_some_and(|l| nodes.contains(&l));
    eventually_asking("the journal is led", async || partitions(world).await.iter().all(led)).await;
}

/// Some events behind the one with the id `after`.
async fn page(
    gateway: &Gateway,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<DecisionEvent>, EventsError> {
    let after = after.map(|id| JournalPosition::parse(id).unwrap());
    gateway.events(after.as_ref(), limit, deadline()).await
}

/// The oldest event, once something is told. One look has to do for both: between two leaders the
/// next one may show less.
async fn oldest(gateway: &Gateway) -> DecisionEvent {
    let mut oldest = None;
    eventually_asking("something is told", async || {
        oldest = page(gateway, None, 1).await.unwrap().pop();
        oldest.is_some()
    })
    .await;
    oldest.unwrap()
}

/// Every event behind `after`, page by page.
async fn walk(gateway: &Gateway, after: Option<&str>, limit: usize) -> Vec<DecisionEvent> {
    let mut told: Vec<DecisionEvent> = Vec::new();
    loop {
        let after = told.last().map(|event| event.id.as_str()).or(after);
        let more = page(gateway, after, limit).await.unwrap();
        if more.is_empty() {
            return told;
        }
        told.extend(more);
    }
}

/// An event without its place.
fn told(event: &DecisionEvent) -> String {
    format!("{:?}", DecisionEvent { id: String::new(), ..event.clone() })
}

fn all_told(events: &[DecisionEvent]) -> BTreeSet<String> {
    events.iter().map(told).collect()
}

/// Declares a table, which is a decision to tell of.
async fn declare(gateway: &Gateway, number: usize) {
    let definition = TableDefinition::new(vec!["key".to_owned()], None).unwrap();
    let name = format!("t{number}");
    gateway.put_table("music", &name, definition, deadline()).await.unwrap();
}

/// Kills a node that has nothing left to tell: what a node has not yet written dies with it.
async fn kill_after(world: &World, node: NodeId, declared: usize) {
    eventually_asking("what was declared is told", async || {
        let events = walk(&world.gateway, None, 100).await;
        (0..declared).all(|number| tells_of(&events, number))
    })
    .await;
    world.nodes.kill(node).await.unwrap();
}

fn tells_of(events: &[DecisionEvent], number: usize) -> bool {
    let what = format!("declared table music/t{number}, schema 0");
    events.iter().any(|event| event.what == what)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_there_from_the_start_and_refuses_declarations() {
    let world = World::start().await;
    let gateway = &world.gateway;
    let journal = journal_of(gateway);
    assert!(journal.is_system());
    assert_eq!((journal.partitions, journal.replication), (4, 3));
    await_led(&world, &[N1, N2, N3]).await;
    assert!(gateway.ready().await.is_ok());
    let definition = || TableDefinition::new(vec!["key".to_owned()], None).unwrap();
    let create = gateway.create_database("_journal", DatabaseSpec::default(), deadline()).await;
    assert!(matches!(create, Err(AdminError::BadName)), "{create:?}");
    let drop = gateway.drop_database("_journal", deadline()).await;
    assert!(matches!(drop, Err(AdminError::BadName)), "{drop:?}");
    let put = gateway.put_table("_journal", "entries", definition(), deadline()).await;
    assert!(matches!(put, Err(AdminError::BadName)), "{put:?}");
    let drop_table = gateway.drop_table("_journal", "entries", deadline()).await;
    assert!(matches!(drop_table, Err(AdminError::BadName)), "{drop_table:?}");
    // What was decided before there was a journal has waited.
    eventually_asking("every node's start is told", async || {
        let events = walk(gateway, None, 100).await;
        let started = events.iter().filter(|event| event.kind == EventKind::NodeStarted);
        started.count() == 3
    })
    .await;
    let (log, stores) = world.shutdown().await;
    let world = World::over(log, stores, settings()).await;
    assert_eq!(journal_of(&world.gateway).uuid, journal.uuid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_outlives_its_leaders_and_its_process() {
    let world = World::start().await;
    world.music(1).await;
    await_led(&world, &[N1, N2, N3]).await;
    declare(&world.gateway, 0).await;
    kill_after(&world, N1, 1).await;
    declare(&world.gateway, 1).await;
    await_led(&world, &[N2, N3]).await;
    declare(&world.gateway, 2).await;
    let is_whole = |events: &[DecisionEvent]| {
        let led = |event: &&DecisionEvent| {
            event.kind == EventKind::Claim && event.database.as_deref() == Some("_journal")
        };
        (0..3).all(|number| tells_of(events, number)) && events.iter().any(|e| led(&e))
    };
    eventually_asking("the journal tells of its own failover", async || {
        is_whole(&walk(&world.gateway, None, 100).await)
    })
    .await;
    let before = walk(&world.gateway, None, 100).await;
    world.nodes.start(N1).await.unwrap();
    let (log, stores) = world.shutdown().await;

    let world = World::over(log, stores, settings()).await;
    await_led(&world, &[N1, N2, N3]).await;
    let kept = |after: &[DecisionEvent]| all_told(after).is_superset(&all_told(&before));
    eventually_asking("what was told is told again", async || {
        kept(&walk(&world.gateway, None, 100).await)
    })
    .await;
    // Where a reader was before, it goes on; nothing of what follows was told before.
    let rest = walk(&world.gateway, Some(&before.last().unwrap().id), 10).await;
    assert!(all_told(&rest).is_disjoint(&all_told(&before)), "{rest:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_misses_nothing_while_leaders_change() {
    const DECLARED: usize = 30;
    let world = World::start().await;
    world.music(1).await;
    let reader = {
        let gateway = world.gateway.clone();
        tokio::spawn(async move {
            let mut told: Vec<DecisionEvent> = Vec::new();
            while !(0..DECLARED).all(|number| tells_of(&told, number)) {
                let after = told.last().map(|event| event.id.clone());
                told.extend(page(&gateway, after.as_deref(), 3).await.unwrap());
                tokio::task::yield_now().await;
            }
            told
        })
    };
    for (round, node) in [N1, N2, N3].into_iter().enumerate() {
        for number in 0..DECLARED / 3 {
            let declared = round * DECLARED / 3 + number;
            if number == 3 {
                kill_after(&world, node, declared).await;
            }
            if number == 7 {
                world.nodes.start(node).await.unwrap();
            }
            declare(&world.gateway, declared).await;
        }
        await_led(&world, &[N1, N2, N3]).await;
    }
    let mut read = tokio::time::timeout(PATIENCE, reader).await.unwrap().unwrap();
    let all = all_told(&walk(&world.gateway, None, 100).await);
    eventually_asking("the reader has read everything", async || {
        let after = read.last().map(|event| event.id.clone());
        read.extend(page(&world.gateway, after.as_deref(), 3).await.unwrap());
        all_told(&read).is_superset(&all)
    })
    .await;
    assert_eq!(all_told(&read).len(), read.len(), "nothing twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_of_another_cluster_is_refused() {
    let world = World::start().await;
    let other = World::start().await;
    let id = oldest(&other.gateway).await.id;
    assert_eq!(page(&world.gateway, Some(&id), 10).await, Err(EventsError::OtherJournal));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_entries_make_room_for_new_ones() {
    const KEPT: usize = 10;
    let mut raw = settings();
    raw.journal_entries_max = KEPT as u64;
    let world = World::start_with(raw.clone()).await;
    world.music(1).await;
    let first = oldest(&world.gateway).await;
    declare(&world.gateway, 0).await;
    eventually_asking("the first is told", async || {
        tells_of(&walk(&world.gateway, None, 1_000).await, 0)
    })
    .await;
    // What is too old goes with the writes behind it, and each partition takes its turn.
    let mut declared = 1;
    eventually_asking("the journal is short, and its first entries are gone", async || {
        for _ in 0..KEPT {
            declare(&world.gateway, declared).await;
            declared += 1;
        }
        let events = walk(&world.gateway, None, 1_000).await;
        !tells_of(&events, 0) && events.len() <= 4 * KEPT
    })
    .await;
    // A reader that has read no further than what is gone goes on with what is left.
    let mut rest = walk(&world.gateway, Some(&first.id), 7).await;
    eventually_asking("the rest is read", async || {
        let after = rest.last().unwrap_or(&first).id.clone();
        rest.extend(walk(&world.gateway, Some(&after), 7).await);
        tells_of(&rest, declared - 1)
    })
    .await;
    assert!(!tells_of(&rest, 0), "{rest:#?}");
    assert_eq!(all_told(&rest).len(), rest.len(), "nothing twice");
}

/// A log that makes none for the journal.
struct NoJournal {
    log: SharedMemoryLog,
    asked: Arc<AtomicU64>,
}

impl Log for NoJournal {
    fn traits(&self) -> LogTraits {
        self.log.traits()
    }
    fn create(&self, spec: &LogSpec) -> Pending<Result<LogId, CreateError>> {
        if spec.name != "_journal" {
            return self.log.create(spec);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Err(CreateError::Unavailable(io::Error::other("not today"))) })
    }
    fn verify(&self, spec: &LogSpec) -> Pending<Result<Verified, VerifyError>> {
        self.log.verify(spec)
    }
    fn remove(&self, spec: &LogSpec) -> Pending<Result<(), RemoveError>> {
        self.log.remove(spec)
    }
    fn extents(&self, partitions: &[PartitionId]) -> Pending<Result<Vec<Extent>, LogReadError>> {
        self.log.extents(partitions)
    }
    fn producer(&self, partition: PartitionId) -> Box<dyn Producer> {
        self.log.producer(partition)
    }
    fn follow(&self, partition: PartitionId, from: LogPosition) -> Box<dyn Follower> {
        self.log.follow(partition, from)
    }
    fn read(
        &self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Pending<Result<LogPage, LogReadError>> {
        self.log.read(partition, from, bytes_max)
    }
    fn local_end(&self, partition: PartitionId) -> Option<LogOffset> {
        self.log.local_end(partition)
    }
    fn trim(
        &self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Pending<Result<(), TrimError>> {
        self.log.trim(partition, log, below)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_start_finishes_a_journal_that_was_begun() {
    let (log, stores) = (SharedMemoryLog::new(), Arc::<Stores>::default());
    let asked = Arc::<AtomicU64>::default();
    let without = NoJournal { log: log.clone(), asked: Arc::clone(&asked) };
    let components = stores.components(Arc::new(without), Arc::new(Registry::default()));
    let starting = tokio::spawn(Cluster::start(settings().validate().unwrap(), components));
    // It was declared before.
    eventually("a log is asked for", || asked.load(Ordering::Relaxed) > 0).await;
    assert!(!starting.is_finished());
    starting.abort();
    assert!(starting.await.is_err_and(|ended| ended.is_cancelled()));
    let world = World::over(log, stores, settings()).await;
    await_led(&world, &[N1, N2, N3]).await;
    eventually_asking("it is written", async || !walk(&world.gateway, None, 10).await.is_empty())
        .await;
}
