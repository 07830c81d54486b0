//! A cluster, its clients, and the time that passes while they wait for one another.
//!
//! Start reading at [`State::append`].

use super::mischief::KafkaMischief;
use crate::batch::BatchKind;
use crate::client::{
    KafkaProducer, PartitionView, ProducerInput, ProducerOutput, ProducerSettings,
};
use crate::cluster::{
    ClusterEffect, ClusterEvent, CreateTopicError, KafkaCluster, ProduceAnswer, ProduceRequest,
};
use crate::code::ErrorCode;
use crate::defect::ClientDefect;
use crate::names::{BrokerId, Micros, TopicPartition};
use crate::settings::{ClusterSettings, TopicSettings};
use bytes::Bytes;
use cortado_log::{
    AppendOutcome, Appended, Cause, CreateError, Drift, Extent, LogPage, LogReadError, LogSpec,
    RECORD_BYTES_MAX, TrimError, Verified, VerifyError,
};
use cortado_model::{DatabaseId, LogId, LogOffset, LogPosition, PartitionId};
use std::collections::BTreeMap;
use std::io;
use tokio::sync::{oneshot, watch};

/// Room in a batch beside its records: what 16 MiB of them are bounded by.
const BATCH_HEAD_BYTES: usize = 64 << 10;
/// Longer than any answer takes while brokers live.
const PATIENCE_US: u64 = 30_000_000;
/// Any producer of another.
const STRANGER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct State {
    pub(super) cluster: KafkaCluster,
    now: Micros,
    topics: BTreeMap<DatabaseId, (String, LogId, u32)>,
    clients: BTreeMap<u64, Client>,
    /// Requests that brokers have: whose, and under which number the client knows them.
    asked: BTreeMap<u64, (u64, u64)>,
    /// Requests that are kept back.
    held: Vec<Held>,
    tokens: u64,
    appends: u64,
    told: BTreeMap<u64, Vec<AppendOutcome>>,
    waiting: BTreeMap<u64, (u64, oneshot::Sender<Appended>)>,
    ends: BTreeMap<PartitionId, watch::Sender<LogOffset>>,
    mischief: BTreeMap<PartitionId, KafkaMischief>,
    defect: Option<ClientDefect>,
    asks: u32,
}

#[derive(Debug)]
struct Client {
    partition: PartitionId,
    producer: KafkaProducer,
    view: PartitionView,
}

/// A request that is kept back.
#[derive(Debug)]
struct Held {
    client: u64,
    broker: BrokerId,
    token: u64,
    request: ProduceRequest,
}

/// What an append says at once.
pub(super) enum Landing {
    Told(Appended),
    Awaited(oneshot::Receiver<Appended>),
}

impl State {
    pub(super) fn new(settings: ClusterSettings, defect: Option<ClientDefect>) -> State {
        State {
            cluster: KafkaCluster::new(settings),
            now: Micros(0),
            topics: BTreeMap::new(),
            clients: BTreeMap::new(),
            asked: BTreeMap::new(),
            held: Vec::new(),
            tokens: 0,
            appends: 0,
            told: BTreeMap::new(),
            waiting: BTreeMap::new(),
            ends: BTreeMap::new(),
            mischief: BTreeMap::new(),
            defect,
            asks: 0,
        }
    }

    pub(super) fn create(&mut self, spec: &LogSpec) -> Result<LogId, CreateError> {
        let name = topic_name(spec);
        match self.verify(spec) {
            Ok(verified) => return Ok(verified.log),
            Err(VerifyError::OtherPartitions { found, wanted }) => {
                return Err(CreateError::OtherPartitions { found, wanted });
            }
            Err(VerifyError::Missing | VerifyError::Unavailable(_)) => {}
        }
        let created = self.cluster.create_topic(&name, spec.partitions, self.wanted());
        let id = match created {
            Ok(id) => LogId(id.0),
            Err(CreateTopicError::Refused(ErrorCode::TopicExists)) => {
                return self.verify(spec).map(|verified| verified.log).map_err(|error| {
                    CreateError::Unavailable(io::Error::other(error.to_string()))
                });
            }
            Err(error) => {
                let why = io::Error::other(format!("{error:?}"));
                return Err(CreateError::Unavailable(why));
            }
        };
        self.topics.insert(spec.database, (name, id, spec.partitions));
        self.settle(spec.database);
        Ok(id)
    }

    pub(super) fn verify(&mut self, spec: &LogSpec) -> Result<Verified, VerifyError> {
        let name = topic_name(spec);
        let image = self.cluster.truth();
        let id = image.topic(&name).ok_or(VerifyError::Missing)?;
        let (found, wanted) = (image.partitions_of(id).count() as u32, spec.partitions);
        if found != wanted {
            return Err(VerifyError::OtherPartitions { found, wanted });
        }
        let settings = image.settings(id).map(TopicSettings::spelled);
        // A topic without settings is none: every key is demanded.
        let settings = settings.ok_or(VerifyError::Missing)?;
        let pairs = settings.into_iter().zip(self.wanted().spelled());
        let drift = pairs.filter(|(found, wanted)| found != wanted).map(|(found, wanted)| Drift {
            setting: found.0.to_owned(),
            found: found.1,
            wanted: wanted.1,
        });
        let drift = drift.collect();
        let log = LogId(id.0);
        self.topics.insert(spec.database, (name, log, spec.partitions));
        Ok(Verified { log, drift })
    }

    pub(super) fn remove(&mut self, spec: &LogSpec) {
        self.cluster.delete_topic(&topic_name(spec));
        self.settle(spec.database);
        self.topics.remove(&spec.database);
    }

    pub(super) fn extent(&mut self, partition: PartitionId) -> Result<Extent, LogReadError> {
        let mut view = self.view(partition).ok_or(LogReadError::Missing)?;
        self.until_known(|state| view.extent(&state.cluster, &|_| true, None))
    }

    pub(super) fn read(
        &mut self,
        partition: PartitionId,
        followed: Option<LogId>,
        from: LogPosition,
        bytes_max: usize,
    ) -> Result<LogPage, LogReadError> {
        let mut view = self.view(partition).ok_or(LogReadError::Missing)?;
        self.until_known(|state| view.read(&state.cluster, &|_| true, followed, from, bytes_max))
    }

    pub(super) fn trim(
        &mut self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Result<(), TrimError> {
        let extent = self.extent(partition).map_err(|error| match error {
            LogReadError::Missing => TrimError::Missing,
            other => TrimError::Unavailable(io::Error::other(other.to_string())),
        })?;
        if extent.log != log && self.defect != Some(ClientDefect::TrimsByName) {
            return Err(TrimError::Replaced { found: extent.log });
        }
        let id = TopicPartition { topic: crate::TopicUuid(extent.log.0), number: partition.number };
        let below = below.min(extent.end).0;
        let leader = self.cluster.leader_of(id).ok_or_else(|| {
            TrimError::Unavailable(io::Error::other("no broker leads the partition"))
        })?;
        let trimmed = self.cluster.delete_records(leader, id, below);
        trimmed
            .map(|_| ())
            .map_err(|code| TrimError::Unavailable(io::Error::other(format!("{code:?}"))))
    }

    pub(super) fn open_producer(&mut self, partition: PartitionId) -> u64 {
        let client = self.cluster.next_number();
        let topic = self.topics.get(&partition.database);
        let topic = topic.map_or(String::new(), |(name, ..)| name.clone());
        let settings = ProducerSettings {
            wait_us: 1_000_000,
            request_us: 2_000_000,
            backoff_us: 20_000,
            give_up_us: None,
            bytes_max: RECORD_BYTES_MAX,
        };
        let number = partition.number;
        let producer = KafkaProducer::new(settings, &topic, number, client, self.defect);
        let view = PartitionView::new(&topic, number, 0, self.defect);
        self.clients.insert(client, Client { partition, producer, view });
        client
    }

    /// Appends, and lets time pass until it is known what became of it.
    pub(super) fn append(
        &mut self,
        partition: PartitionId,
        client: u64,
        records: Vec<Bytes>,
    ) -> Landing {
        let exists = self.topics.get(&partition.database).is_some_and(|(name, _, partitions)| {
            self.cluster.truth().topic(name).is_some() && partition.number < *partitions
        });
        if !exists {
            let outcome = AppendOutcome::NotAppended(Cause::Missing);
            return Landing::Told(Appended::Each(outcome));
        }
        let max_bytes = RECORD_BYTES_MAX;
        if let Some(bytes) = records.iter().map(Bytes::len).find(|bytes| *bytes > max_bytes) {
            let cause = Cause::TooLarge { bytes, max_bytes };
            return Landing::Told(Appended::Each(AppendOutcome::NotAppended(cause)));
        }
        self.appends += 1;
        let append = self.appends;
        let answers_early = self.defect == Some(ClientDefect::AnswersWhenSent);
        let count = records.len();
        self.tell(client, ProducerInput::Send { append, records });
        let due = self.now.plus(PATIENCE_US);
        while !self.told.contains_key(&append) && !self.holds(client) && self.now < due {
            self.step();
        }
        self.publish_ends();
        if answers_early {
            self.told.entry(append).or_insert(vec![AppendOutcome::Somewhere; count]);
        }
        match self.told.remove(&append) {
            Some(outcomes) => Landing::Told(Appended::Mixed(outcomes)),
            None => {
                let (sender, receiver) = oneshot::channel();
                self.waiting.insert(append, (client, sender));
                Landing::Awaited(receiver)
            }
        }
    }

    pub(super) fn watch_end(&mut self, partition: PartitionId) -> watch::Receiver<LogOffset> {
        let end = self.extent(partition).map_or(LogOffset::ZERO, |extent| extent.end);
        self.ends.entry(partition).or_insert_with(|| watch::Sender::new(end)).subscribe()
    }

    pub(super) fn log_of(&self, partition: PartitionId) -> Option<LogId> {
        let (name, ..) = self.topics.get(&partition.database)?;
        self.cluster.truth().topic(name).map(|id| LogId(id.0))
    }

    pub(super) fn alter(&mut self, spec: &LogSpec, alter: impl FnOnce(&mut TopicSettings)) {
        self.cluster.alter_topic(&topic_name(spec), alter);
    }

    /// A new process: the producers of the last one are gone, and what they had not sent.
    pub(super) fn restart(&mut self) {
        self.clients.clear();
        self.waiting.clear();
        self.held.clear();
        self.mischief.clear();
        self.asks += 1;
    }

    pub(super) fn provoke(&mut self, partition: PartitionId, mischief: KafkaMischief) {
        let id = self.id_of(partition);
        match mischief {
            KafkaMischief::SucceedWithoutPosition | KafkaMischief::HoldNext => {
                self.mischief.insert(partition, mischief);
            }
            KafkaMischief::ReleaseHeld => {
                for Held { broker, token, request, .. } in std::mem::take(&mut self.held) {
                    self.happen(ClusterEvent::Produce { broker, token, request });
                }
                self.pass(100_000);
            }
            KafkaMischief::Skip(offsets) => {
                (0..offsets).for_each(|_| self.end_transaction(partition));
                self.pass(100_000);
            }
            KafkaMischief::Lose(at) => id.into_iter().for_each(|id| {
                self.cluster.lose_record(id, at.0);
            }),
            KafkaMischief::Truncate(end) => {
                for broker in self.cluster.broker_ids() {
                    self.happen(ClusterEvent::Kill(broker));
                }
                if let Some(id) = id {
                    self.cluster.lose_everywhere(id, end.0);
                }
                self.cluster.heal();
                self.pass(20_000_000);
            }
            KafkaMischief::Replace => {
                if let Some((name, _, partitions)) = self.topics.get(&partition.database).cloned() {
                    let (database, wanted) = (partition.database, self.wanted());
                    self.cluster.delete_topic(&name);
                    // Nothing else has this name.
                    let id = self.cluster.create_topic(&name, partitions, wanted).ok();
                    let log = id.map_or(LogId::UNKNOWN, |id| LogId(id.0));
                    self.topics.insert(database, (name, log, partitions));
                    self.settle(database);
                }
            }
        }
        self.publish_ends();
    }

    /// Lets something happen now.
    pub(super) fn happen(&mut self, event: ClusterEvent) {
        let mut effects = Vec::new();
        self.cluster.on(self.now, event, &mut effects);
        for effect in effects {
            self.take_effect(effect);
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, us: u64) {
        let until = self.now.plus(us);
        while self.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = until;
        self.publish_ends();
    }

    /// A stranger commits a transaction of which no record is here.
    fn end_transaction(&mut self, partition: PartitionId) {
        let Some((name, ..)) = self.topics.get(&partition.database).cloned() else { return };
        let leader = self.id_of(partition).and_then(|id| self.cluster.leader_of(id));
        let Some(broker) = leader else { return };
        let request = ProduceRequest {
            topic: name,
            number: partition.number,
            writer: None,
            kind: BatchKind::Control,
            records: Vec::new(),
            all: true,
            timeout_us: 1_000_000,
        };
        self.happen(ClusterEvent::Produce { broker, token: STRANGER, request });
    }

    fn take_effect(&mut self, effect: ClusterEffect) {
        let ClusterEffect::Produced { token, answer } = effect else { return };
        let Some((client, token)) = self.asked.remove(&token) else { return };
        let partition = self.clients.get(&client).map(|client| client.partition);
        let lost = partition.is_some_and(|partition| {
            let wanted = Some(&KafkaMischief::SucceedWithoutPosition);
            self.mischief.get(&partition) == wanted && matches!(answer, ProduceAnswer::At { .. })
        });
        let forgotten = ProduceAnswer::Failed(ErrorCode::DuplicateSequence);
        if lost && let Some(partition) = partition {
            self.mischief.remove(&partition);
        }
        self.tell(
            client,
            ProducerInput::Answered { token, answer: if lost { forgotten } else { answer } },
        );
    }

    fn tell(&mut self, client: u64, input: ProducerInput) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let Some(known) = self.clients.get_mut(&client) else { return };
            let mut out = Vec::new();
            known.producer.on(self.now, input, &mut out);
            let mut wants_leader = false;
            for output in out {
                match output {
                    ProducerOutput::Request { broker, token, request, .. } => {
                        self.send(client, broker, token, request);
                    }
                    ProducerOutput::WantsLeader => wants_leader = true,
                    ProducerOutput::Told { append, outcomes } => self.told(append, outcomes),
                }
            }
            let Some(known) = self.clients.get_mut(&client).filter(|_| wants_leader) else {
                continue;
            };
            let before = known.view.leader();
            known.view.refresh(&self.cluster, &|_| true);
            let leader = known.view.leader();
            if leader != before {
                inputs.push(ProducerInput::Leader(leader));
            }
        }
    }

    fn told(&mut self, append: u64, outcomes: Vec<AppendOutcome>) {
        match self.waiting.remove(&append) {
            // Who has gone away wants no answer.
            Some((_, sender)) => drop(sender.send(Appended::Mixed(outcomes))),
            None => drop(self.told.insert(append, outcomes)),
        }
    }

    fn send(&mut self, client: u64, broker: BrokerId, token: u64, request: ProduceRequest) {
        self.tokens += 1;
        let number = self.tokens;
        self.asked.insert(number, (client, token));
        let partition = self.clients.get(&client).map(|client| client.partition);
        let holds = partition.is_some_and(|partition| {
            self.mischief.get(&partition) == Some(&KafkaMischief::HoldNext)
        });
        if holds && let Some(partition) = partition {
            self.mischief.remove(&partition);
            return self.held.push(Held { client, broker, token: number, request });
        }
        self.happen(ClusterEvent::Produce { broker, token: number, request });
    }

    fn holds(&self, client: u64) -> bool {
        self.held.iter().any(|held| held.client == client)
    }

    /// The next thing happens.
    fn step(&mut self) {
        let Some(at) = self.next_at() else { return };
        self.now = self.now.max(at);
        self.happen(ClusterEvent::Tick);
        let due = self
            .clients
            .iter()
            .filter(|(_, client)| client.producer.wake_at().is_some_and(|at| at <= self.now));
        let due: Vec<u64> = due.map(|(client, _)| *client).collect();
        due.into_iter().for_each(|client| self.tell(client, ProducerInput::Tick));
        self.publish_ends();
    }

    fn next_at(&self) -> Option<Micros> {
        let clients = self.clients.values().filter_map(|client| client.producer.wake_at());
        // Something that a producer waits for in vain is no reason for time to stand still.
        let clients = clients.map(|at| at.max(self.now.plus(1)));
        self.cluster.wake_at().into_iter().chain(clients).min()
    }

    /// Asks again while the log is only just not to be read.
    fn until_known<T>(
        &mut self,
        mut ask: impl FnMut(&mut State) -> Result<T, LogReadError>,
    ) -> Result<T, LogReadError> {
        let due = self.now.plus(PATIENCE_US);
        loop {
            match ask(self) {
                Err(LogReadError::Unavailable(_)) if self.now < due => self.pass(10_000),
                answer => return answer,
            }
        }
    }

    /// Lets every broker hear of what became of a topic.
    fn settle(&mut self, database: DatabaseId) {
        self.pass(200_000);
        if let Some((name, ..)) = self.topics.get(&database) {
            debug_assert!(!name.is_empty(), "topics have names");
        }
    }

    fn publish_ends(&mut self) {
        let partitions: Vec<PartitionId> = self.ends.keys().copied().collect();
        for partition in partitions {
            let Some(id) = self.id_of(partition) else { continue };
            let leader = self.cluster.leader_of(id);
            let high = leader.and_then(|leader| self.cluster.list_offsets(leader, id).ok());
            let (Some(high), Some(sender)) = (high, self.ends.get(&partition)) else { continue };
            let end = LogOffset(high.high);
            sender.send_if_modified(|shown| std::mem::replace(shown, end) != end);
        }
    }

    fn view(&mut self, partition: PartitionId) -> Option<PartitionView> {
        let (name, ..) = self.topics.get(&partition.database)?;
        Some(PartitionView::new(name, partition.number, self.asks, self.defect))
    }

    fn id_of(&self, partition: PartitionId) -> Option<TopicPartition> {
        let topic = crate::TopicUuid(self.log_of(partition)?.0);
        Some(TopicPartition { topic, number: partition.number })
    }

    fn wanted(&self) -> TopicSettings {
        let brokers = self.cluster.broker_ids().count() as u32;
        TopicSettings::of_a_log(brokers.min(3), RECORD_BYTES_MAX + BATCH_HEAD_BYTES)
    }
}

/// One topic for each life of a database.
fn topic_name(spec: &LogSpec) -> String {
    if spec.uuid.0 == 0 {
        return format!("cortado-{}", spec.name.trim_start_matches('_'));
    }
    format!("cortado-{}-{:08x}", spec.name, spec.uuid.0 >> 96)
}
