//! A driver, its log and its store: what it does when something has gone wrong.

use super::*;
use crate::event::{LogExtent, Outcome};
use crate::settings::TrimPolicy;
use crate::write::WriteOrder;
use bytes::Bytes;
use cortado_document::{Action as Deed, Condition, Document, Operation};
use cortado_model::{
    Batch, ClusterUuid, DatabaseId, DocumentKey, Found, Generation, LogId, NodeId, NodeIncarnation,
    PartitionId, PartitionUuid, Position, ScnBounds, Sequence, TableId, WallMillis,
};
use cortado_replica::{
    ClaimReason, Config, Genesis, Identity, Page, PartitionIdentity, ReadNeed, decode,
    genesis_record,
};

const LOG: LogId = LogId(7);
const UUID: PartitionUuid = PartitionUuid(3);

impl Caller for u32 {
    fn begin(&self) -> bool {
        true
    }
}

/// One driver over a log that lands everything at once and a store that answers when it is told.
struct Story {
    driver: Driver<u32>,
    clock: Millis,
    log: Vec<Bytes>,
    producer: JobId,
    /// What was wanted and is left to the test.
    wanted: Vec<Action<u32>>,
}

impl Story {
    /// A driver that is about to look at a log with its genesis in it.
    fn begin() -> Story {
        let identity = PartitionIdentity {
            partition: UUID,
            cluster: ClusterUuid(1),
            database: DatabaseId(1),
            number: 0,
        };
        let genesis = Genesis::new(identity, [NodeId(1)].into_iter().collect());
        let node = NodeIncarnation(9);
        let me = Identity { node: NodeId(1), incarnation: ReplicaIncarnation::of_node(node) };
        let first = genesis_record(&genesis, &me, now(Millis(0)));
        let bounds = ScnBounds { generation_max: Generation(100), sequence_max: Sequence(100) };
        let settings = Settings {
            replica: cortado_replica::Settings { bounds, ..cortado_replica::Settings::local() },
            proof: ReadNeed::Barrier,
            record_bytes_max: 1 << 20,
            trim: TrimPolicy { after_records: 1 << 40, after_bytes: 1 << 40 },
            append_patience_ms: 1_000,
        };
        let partition = PartitionId { database: DatabaseId(1), number: 0 };
        let me = Me { node: NodeId(1), incarnation: node, partition, log: Some(LOG), genesis };
        let mut wanted = Vec::new();
        let driver = Driver::new(me, settings, now(Millis(0)), &mut wanted);
        let mut story =
            Story { driver, clock: Millis(0), log: vec![first], producer: JobId(0), wanted };
        story.execute();
        story
    }

    /// The same, serving as leader.
    fn leading() -> Story {
        let mut story = Story::begin();
        story.pass(100);
        story.tell(Event::Claim { reason: ClaimReason::Ordered, evidence: 0 });
        // The claim is read back, and the opening barrier behind it.
        for _ in 0..3 {
            story.tell(Event::LogEnd(story.extent().end));
            story.pass(100);
        }
        assert_eq!(story.driver.role(), ReplicaRole::Leader);
        story.wanted.clear();
        story
    }

    fn tell(&mut self, event: Event<u32>) {
        for event in [event, Event::Settle] {
            self.driver.on(now(self.clock), event, &mut self.wanted);
        }
        self.execute();
    }

    fn pass(&mut self, ms: u64) {
        self.clock = self.clock.plus(ms);
        self.tell(Event::Tick);
    }

    /// Does what the log and a quick store would do; leaves batches and the rest to the test.
    fn execute(&mut self) {
        while let Some(at) = self.wanted.iter().position(|action| self.can_do(action)) {
            let event = match self.wanted.remove(at) {
                Action::Survey(job) => {
                    let survey = Survey { log: LOG, checkpoint: None, extent: self.extent() };
                    Event::Surveyed(job, Ok(survey))
                }
                Action::ClearStore(job) => Event::Cleared(job, Ok(())),
                Action::OpenProducer(job) => {
                    self.producer = job;
                    continue;
                }
                Action::Append { records } => {
                    let first = LogOffset(self.log.len() as u64);
                    let count = records.len() as u64;
                    self.log.extend(records);
                    let outcomes = (0..count).map(|number| Outcome::At(first.plus(number)));
                    let producer = self.producer;
                    Event::Outcomes { producer, outcomes: outcomes.collect() }
                }
                Action::ReadPage { job, from, .. } => {
                    let entries = (0..).map(LogOffset).zip(self.log.iter().cloned());
                    let entries = entries.skip(from.offset.0 as usize).collect();
                    let next = Position { offset: self.extent().end, epoch: 0 };
                    Event::Page(job, Ok(Page { from: from.offset, entries, next }))
                }
                Action::Find { job, keys, .. } => {
                    let documents = vec![None; keys.len()];
                    Event::Found(job, Ok(Found { documents, ..Found::default() }))
                }
                other => unreachable!("cannot be done: {other:?}"),
            };
            self.tell(event);
        }
    }

    fn can_do(&self, action: &Action<u32>) -> bool {
        matches!(
            action,
            Action::Survey(_)
                | Action::ClearStore(_)
                | Action::OpenProducer(_)
                | Action::Append { .. }
                | Action::ReadPage { .. }
                | Action::Find { .. }
        )
    }

    fn extent(&self) -> LogExtent {
        LogExtent { first: LogOffset::ZERO, end: LogOffset(self.log.len() as u64) }
    }

    fn take_apply(&mut self) -> (JobId, Box<Batch>) {
        let at = self.wanted.iter().position(|action| matches!(action, Action::Apply { .. }));
        match self.wanted.remove(at.expect("a batch is wanted")) {
            Action::Apply { job, batch, .. } => (job, batch),
            other => unreachable!("just found: {other:?}"),
        }
    }
}

fn now(clock: Millis) -> Now {
    Now { clock, wall: WallMillis(1_000_000 + clock.0) }
}

fn put() -> WriteOrder {
    let key = DocumentKey::from_parts(&["cher"]).unwrap();
    let value = Document::parse(Bytes::from_static(br#"{"v":1}"#)).unwrap();
    let action = Deed::Put { value };
    let operation = Operation { table: TableId(1), key, action, condition: Condition::default() };
    WriteOrder { tables: None, operations: vec![operation], keyed: None }
}

/// What follows when the batch of a write is answered so.
#[track_caller]
fn check_failed_batch(
    error: StoreError,
    role: ReplicaRole,
    follows: impl Fn(&Action<u32>) -> bool,
) {
    let mut story = Story::leading();
    story.tell(Event::Write { caller: 1, order: put(), log_end: None });
    let (job, batch) = story.take_apply();
    assert_eq!(batch.documents.len(), 1);
    story.tell(Event::Applied(job, Err(error.clone())));
    assert_eq!(story.driver.role(), role, "{error}");
    assert!(story.wanted.iter().any(follows), "{error}: {:?}", story.wanted);
    let answers = story
        .wanted
        .iter()
        .filter(|action| matches!(action, Action::Reply { caller: 1, reply: Reply::Unknown(_) }));
    assert_eq!(answers.count(), 1, "{error}: {:?}", story.wanted);
}

/// Found by the simulator (`full`, seed 3): a batch that had failed was awaited for ever.
#[test]
fn a_batch_that_has_failed_is_not_awaited() {
    let why = String::from("told to");
    check_failed_batch(StoreError::Full { why: why.clone() }, ReplicaRole::Follower, |action| {
        matches!(action, Action::Tell(News::WaitsForRoom { .. }))
    });
    check_failed_batch(
        StoreError::Damaged { why: why.clone() },
        ReplicaRole::Restoring,
        |action| matches!(action, Action::AskExtent(_)),
    );
    check_failed_batch(StoreError::Failed { why }, ReplicaRole::Offline, |action| {
        matches!(action, Action::FailStore { .. })
    });
}

/// Found by the simulator (`unusable`, seed 14): a new life waited to be told of an end that its
/// survey had told already.
#[test]
fn a_life_knows_the_end_that_its_survey_has_told() {
    let mut story = Story::begin();
    assert_eq!(story.driver.fold().map(|fold| fold.begun), Some(false));
    story.pass(100);
    assert_eq!(story.driver.fold().map(|fold| fold.begun), Some(true));
}

/// As above, for what was told while the store was being cleared.
#[test]
fn an_end_that_is_told_between_two_lives_counts() {
    let mut story = Story::begin();
    story.tell(Event::Condemned { why: String::from("told to") });
    assert_eq!(story.driver.role(), ReplicaRole::Restoring);
    story.tell(Event::LogEnd(LogOffset(1)));
    let rebuilds = story.wanted.iter().find_map(|action| match action {
        Action::AskExtent(job) => Some(*job),
        _ => None,
    });
    let extent = LogExtent { first: LogOffset::ZERO, end: LogOffset(1) };
    story.tell(Event::Extent(rebuilds.expect("it asks where the log begins"), Ok(extent)));
    let looks = story.wanted.iter().find_map(|action| match action {
        Action::LookAround(job) => Some(*job),
        _ => None,
    });
    story.tell(Event::Around(looks.expect("it looks for help"), Default::default()));
    assert_eq!(story.driver.role(), ReplicaRole::Follower, "{:?}", story.wanted);
    story.pass(100);
    assert_eq!(story.driver.fold().map(|fold| fold.begun), Some(true));
}

#[test]
fn a_leader_publishes_facts_and_nobody_else_does() {
    let lease = || Event::Configure(Config::Lease { duration_ms: 77 });
    let mut story = Story::begin();
    story.pass(100);
    let before = story.log.len();
    story.tell(lease());
    assert_eq!(story.log.len(), before, "a follower passes it over");
    let mut story = Story::leading();
    let before = story.log.len();
    let level = cortado_replica::FEATURE_LEVEL_MAX + 1;
    story.tell(Event::Configure(Config::Feature { level }));
    assert_eq!(story.log.len(), before, "it could not read that itself");
    story.tell(lease());
    let last = decode(story.log.last().expect("it has a genesis"), UUID).unwrap();
    assert_eq!(last.body, cortado_replica::Body::Config(Config::Lease { duration_ms: 77 }));
    assert_eq!(story.driver.fold().map(|fold| fold.leases.duration_ms), Some(77));
}
