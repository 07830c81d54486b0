//! A driver, a log and a store that do what a test tells them, and when.

use bytes::Bytes;
use cortado_document::{Condition, Document, DocumentAction as Do, Match, Operation};
use cortado_driver::{
    Action, Caller, Driver, Event, FollowError, GATHER_BYTES_MAX, JobId, KeyedWrite, LogExtent,
    LogLimits, Me, News, RecordOutcome, Reply, Settings, Survey, TrimPolicy, WriteMode, WriteOrder,
};
use cortado_model::{
    Batch, ClusterUuid, DatabaseId, DocumentKey, Findings, LogId, LogOffset, LogPosition, Millis,
    NodeId, NodeIncarnation, PartitionId, PartitionUuid, Remembered, RememberedKey,
    ReplicaIncarnation, StoreError, StoredDocument, TableId, WallMillis,
};
use cortado_replica::{
    ClaimReason, Genesis, Identity, Now, PartitionIdentity, ReadNeed, RecordPage, genesis_record,
};
use std::collections::{BTreeMap, VecDeque};

pub(crate) const LOG: LogId = LogId(9);
pub(crate) const APPEND_TIMEOUT_MS: u64 = 1_000;
const TABLE: TableId = TableId(1);

/// Who asks; never withdraws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Client(pub(crate) u32);

impl Caller for Client {
    fn begin(&self) -> bool {
        true
    }
}

/// A driver and everything that it has wanted and not got.
pub(crate) struct Rig {
    pub(crate) driver: Driver<Client>,
    pub(crate) now: Millis,
    /// How far its wall clock is ahead of what it began with.
    pub(crate) wall_ahead_ms: i64,
    /// What is in the log.
    pub(crate) log: Vec<Bytes>,
    /// Wanted, oldest first, beside what the rig does by itself.
    pub(crate) wanted: VecDeque<Action<Client>>,
    /// What the log answers to the next read instead of records.
    pub(crate) unread: Option<FollowError>,
    /// Reads of what is not there yet are not answered, as those of a log that is followed.
    pub(crate) pends: bool,
    /// How often it was read.
    pub(crate) reads: u64,
    pub(crate) replies: Vec<(u32, Reply)>,
    pub(crate) news: Vec<News>,
    documents: BTreeMap<DocumentKey, StoredDocument>,
    remembered: BTreeMap<RememberedKey, Remembered>,
    pub(crate) checkpoint: Option<Bytes>,
    pub(crate) producer: JobId,
    /// The store answers looks and batches at once.
    pub(crate) inline: bool,
    pub(crate) ended: bool,
}

pub(crate) fn genesis() -> Genesis {
    let identity = PartitionIdentity {
        partition: PartitionUuid(7),
        cluster: ClusterUuid(1),
        database: DatabaseId(1),
        number: 0,
    };
    Genesis::new(identity, [1, 2, 3].map(NodeId).into_iter().collect())
}

impl Rig {
    /// A replica that has folded its genesis.
    pub(crate) fn new() -> Rig {
        Rig::with(|_| ())
    }

    /// As [`new`](Self::new), with other settings.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Rig {
        let mut rig = Rig::surveying_with(LOG, change);
        rig.survey(LOG, 0);
        rig.settle();
        rig.clear();
        rig.log_end();
        rig
    }

    /// A replica that has found a new log and an empty store.
    pub(crate) fn clearing() -> Rig {
        let mut rig = Rig::surveying(LOG);
        rig.survey(LOG, 0);
        rig.settle();
        rig
    }

    /// A replica that has not looked at anything yet.
    pub(crate) fn surveying(log: LogId) -> Rig {
        Rig::surveying_with(log, |_| ())
    }

    pub(crate) fn surveying_with(log: LogId, change: impl FnOnce(&mut Settings)) -> Rig {
        let me = Me {
            node: NodeId(1),
            lives_before: 0,
            incarnation: NodeIncarnation(5),
            partition: PartitionId { database: DatabaseId(1), number: 0 },
            log: Some(log),
            genesis: genesis(),
        };
        let mut settings = Settings {
            replica: cortado_replica::Settings::local(),
            proof: ReadNeed::Lease,
            log: LogLimits { record_bytes_max: 1 << 20, append_timeout_ms: APPEND_TIMEOUT_MS },
            trim: TrimPolicy { after_records: 1_000, after_bytes: 1 << 30 },
            gather_bytes_max: GATHER_BYTES_MAX,
            copy_beyond_records: u64::MAX,
        };
        change(&mut settings);
        let creator = Identity { node: NodeId(1), incarnation: ReplicaIncarnation::default() };
        let now = Now { clock: Millis(1_000), wall: WallMillis(1_000_000) };
        let mut actions = Vec::new();
        let driver = Driver::new(me, settings, now, &mut actions);
        Rig {
            driver,
            now: now.clock,
            wall_ahead_ms: 0,
            log: vec![genesis_record(&genesis(), &creator, now)],
            wanted: actions.into(),
            unread: None,
            pends: false,
            reads: 0,
            replies: Vec::new(),
            news: Vec::new(),
            documents: BTreeMap::new(),
            remembered: BTreeMap::new(),
            checkpoint: None,
            producer: JobId(0),
            inline: true,
            ended: false,
        }
    }

    /// A replica that leads; the store answers at once.
    pub(crate) fn leading() -> Rig {
        Rig::new().lead()
    }

    /// The same, once it leads.
    pub(crate) fn lead(self) -> Rig {
        let mut rig = self;
        rig.on(Event::Claim { reason: ClaimReason::NeverLed, evidence: 0 });
        rig.settle();
        while rig.driver.role() != cortado_driver::ReplicaRole::Leader {
            assert!(rig.append(), "it has claimed and opens");
        }
        rig
    }

    /// Tells the driver one thing.
    pub(crate) fn on(&mut self, event: Event<Client>) {
        let wall = (1_000_000 + self.now.0).saturating_add_signed(self.wall_ahead_ms);
        let now = Now { clock: self.now, wall: WallMillis(wall) };
        let mut actions = Vec::new();
        self.driver.on(now, event, &mut actions);
        for action in actions {
            self.sort(action);
        }
    }

    fn sort(&mut self, action: Action<Client>) {
        match action {
            Action::Reply { caller: Client(client), reply } => self.replies.push((client, reply)),
            Action::Tell(news) => self.news.push(news),
            Action::OpenProducer(job) => self.producer = job,
            Action::End => self.ended = true,
            Action::ReadPage { job, from, bytes_max } => {
                self.reads += 1;
                let page = match self.unread.take() {
                    Some(error) => Err(error),
                    None if self.pends && from.offset.0 >= self.log.len() as u64 => return,
                    None => Ok(self.page(from.offset, bytes_max)),
                };
                self.on(Event::Page(job, page));
            }
            Action::Find { job, keys, names } if self.inline => {
                let found = self.look(&keys, &names);
                self.on(Event::Found(job, Ok(found)));
            }
            Action::Apply { job, batch, .. } if self.inline => self.applied(job, *batch),
            action => self.wanted.push_back(action),
        }
    }

    fn page(&self, from: LogOffset, bytes_max: usize) -> RecordPage {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for (at, record) in (0..).zip(&self.log).skip(from.0 as usize) {
            entries.push((LogOffset(at), record.clone()));
            bytes += record.len();
            if bytes >= bytes_max {
                break;
            }
        }
        let next = LogPosition { offset: from.plus(entries.len() as u64), epoch: 0 };
        RecordPage { from, entries, next }
    }

    /// Until nothing more follows by itself.
    pub(crate) fn settle(&mut self) {
        for _ in 0..8 {
            self.on(Event::Settle);
        }
    }

    pub(crate) fn log_end(&mut self) {
        self.on(Event::LogEnd(LogOffset(self.log.len() as u64)));
        self.settle();
        self.pass();
    }

    /// Long enough for a follower to read.
    pub(crate) fn pass(&mut self) {
        self.now = self.now.plus(30);
        self.on(Event::Tick);
        self.settle();
    }

    /// The store of a new replica holds nothing.
    pub(crate) fn clear(&mut self) {
        let Action::ClearStore(job) = self.take() else { panic!("the store is not cleared") };
        self.on(Event::Cleared(job, Ok(())));
        self.settle();
    }

    /// The next thing that is wanted.
    pub(crate) fn take(&mut self) -> Action<Client> {
        self.wanted.pop_front().expect("something is wanted")
    }

    pub(crate) fn survey(&mut self, log: LogId, first: u64) {
        let Action::Survey(job) = self.take() else { panic!("no survey is wanted") };
        let extent =
            LogExtent { log: LOG, first: LogOffset(first), end: LogOffset(self.log.len() as u64) };
        let checkpoint = self.checkpoint.clone();
        self.on(Event::Surveyed(job, Ok(Survey { log, checkpoint, extent })));
    }

    /// The records that are wanted in the log next.
    pub(crate) fn take_append(&mut self) -> Option<Vec<Bytes>> {
        let at = self.wanted.iter().position(|action| matches!(action, Action::Append { .. }))?;
        match self.wanted.remove(at) {
            Some(Action::Append { records }) => Some(records),
            _ => None,
        }
    }

    /// Appends what is wanted, and says so; `false` if nothing is.
    pub(crate) fn append(&mut self) -> bool {
        let Some(records) = self.take_append() else { return false };
        let first = self.log.len() as u64;
        let outcomes = (first..)
            .take(records.len())
            .map(|at| RecordOutcome::At(LogPosition { offset: LogOffset(at), epoch: 0 }));
        let outcomes = outcomes.collect();
        self.log.extend(records);
        let producer = self.producer;
        self.on(Event::Outcomes { producer, outcomes });
        self.settle();
        self.log_end();
        true
    }

    pub(crate) fn look(
        &self,
        keys: &[(TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Findings {
        let documents = keys.iter().map(|(_, key)| self.documents.get(key).cloned()).collect();
        let remembered = names.iter().map(|name| self.remembered.get(name).cloned()).collect();
        Findings { documents, remembered, ..Findings::default() }
    }

    /// The store has taken a batch.
    pub(crate) fn applied(&mut self, job: JobId, batch: Batch) {
        for (_, key, document) in batch.documents {
            match document {
                Some(document) => self.documents.insert(key, document),
                None => self.documents.remove(&key),
            };
        }
        self.remembered.extend(batch.remember);
        self.checkpoint = Some(batch.checkpoint);
        self.on(Event::Applied(job, Ok(())));
        self.settle();
    }

    /// Takes the batch that is wanted in the store.
    pub(crate) fn take_apply(&mut self) -> Option<(JobId, Batch)> {
        let at = self.wanted.iter().position(|action| matches!(action, Action::Apply { .. }))?;
        match self.wanted.remove(at) {
            Some(Action::Apply { job, batch, .. }) => Some((job, *batch)),
            _ => None,
        }
    }

    /// Takes the question where the log begins and ends.
    #[track_caller]
    pub(crate) fn take_ask(&mut self) -> JobId {
        let ask = self.wanted.iter().position(|action| matches!(action, Action::AskExtent(_)));
        match ask.and_then(|at| self.wanted.remove(at)) {
            Some(Action::AskExtent(job)) => job,
            _ => panic!("the log is not asked"),
        }
    }

    /// Takes the look into the store that is wanted.
    pub(crate) fn take_find(&mut self) -> Option<(JobId, Findings)> {
        let at = self.wanted.iter().position(|action| matches!(action, Action::Find { .. }))?;
        match self.wanted.remove(at) {
            Some(Action::Find { job, keys, names }) => Some((job, self.look(&keys, &names))),
            _ => None,
        }
    }

    pub(crate) fn fail_apply(&mut self, error: StoreError) {
        let (job, _) = self.take_apply().expect("a batch is wanted in the store");
        self.on(Event::Applied(job, Err(error)));
        self.settle();
    }

    pub(crate) fn write(&mut self, client: u32, operation: Operation, key: Option<&str>) {
        let keyed = key.map(|key| KeyedWrite {
            name: RememberedKey::new(operation.key.resource(), key.as_bytes(), 0),
            fingerprint: 7,
            ttl_ms: 60_000,
        });
        let (operations, keyed) = (vec![operation], keyed.into_iter().collect());
        self.order(client, order_of(WriteMode::Whole, operations, keyed));
    }

    /// Writes each for itself; under the key "k", or under none.
    pub(crate) fn bulk(&mut self, client: u32, operations: Vec<Operation>, is_keyed: bool) {
        let keyed = (0..).zip(&operations).filter(|_| is_keyed).map(|(index, operation)| {
            let name = RememberedKey::new(operation.key.resource(), b"k", index);
            let fingerprint = operation.key.as_bytes().iter().map(|byte| u128::from(*byte)).sum();
            KeyedWrite { name, fingerprint, ttl_ms: 60_000 }
        });
        let keyed = keyed.collect();
        self.order(client, order_of(WriteMode::Each, operations, keyed));
    }

    pub(crate) fn order(&mut self, client: u32, order: WriteOrder) {
        let log_end = Some(LogOffset(self.log.len() as u64));
        self.on(Event::Write { caller: Client(client), order, log_end });
        self.settle();
    }

    pub(crate) fn read(&mut self, client: u32, need: ReadNeed) {
        self.on(Event::Read { caller: Client(client), need });
        self.settle();
    }

    /// The only answer to a client so far.
    #[track_caller]
    pub(crate) fn reply(&self, client: u32) -> Option<&Reply> {
        let mut replies = self.replies.iter().filter(|(to, _)| *to == client);
        let reply = replies.next().map(|(_, reply)| reply);
        assert!(replies.next().is_none(), "client {client} is answered once");
        reply
    }

    #[track_caller]
    pub(crate) fn is_written(&self, client: u32) -> &cortado_driver::Written {
        match self.reply(client) {
            Some(Reply::Written(written)) => written,
            other => panic!("client {client} was answered {other:?}"),
        }
    }
}

pub(crate) fn key(name: &str) -> DocumentKey {
    DocumentKey::from_parts(&["cher", name]).expect("two short parts")
}

/// A write of a table without a schema.
pub(crate) fn order_of(
    mode: WriteMode,
    operations: Vec<Operation>,
    keyed: Vec<KeyedWrite>,
) -> WriteOrder {
    WriteOrder { tables: None, operations, foreseen: Vec::new(), mode, keyed }
}

pub(crate) fn put(name: &str) -> Operation {
    let value = Document::parse(Bytes::from_static(b"{\"a\":1}")).expect("a document");
    operation(name, Do::Put { value })
}

/// A put where nothing is.
pub(crate) fn create(name: &str) -> Operation {
    let condition = Condition { if_match: None, if_none_match: Match::parse_header(b"*") };
    Operation { condition, ..put(name) }
}

pub(crate) fn delete(name: &str) -> Operation {
    operation(name, Do::Delete)
}

fn operation(name: &str, action: Do) -> Operation {
    Operation { table: TABLE, key: key(name), action, condition: Condition::default() }
}
