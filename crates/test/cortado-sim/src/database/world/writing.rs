//! Appending to a modelled Kafka cluster: each driver's producer, and its requests on their way.
//!
//! A connection keeps its order, and what is sent on it behind a lost request is lost, too. Start
//! reading at [`World::write_to_brokers`].

use super::broker_log::{BYTES_MAX, TOPIC};
use super::due::Sender;
use super::transit::Transit;
use super::writers::{Asked, Sent, Writer};
use super::{Address, Due, World};
use crate::database::coverage::{CoveragePoint, Fault};
use crate::database::node::Place;
use crate::kernel::time::{MILLI, Moment};
use bytes::Bytes;
use cortado_driver::RecordOutcome;
use cortado_kafka_model::client::{
    KafkaProducer, PartitionView, ProducerInput, ProducerOutput, ProducerSettings,
};
use cortado_kafka_model::cluster::{ClusterEvent, ProduceAnswer, ProduceRequest};
use cortado_kafka_model::{
    BatchKind, BrokerId, ClientDefect, ErrorCode, Micros, ProducerName, Sequenced,
};
use cortado_log::AppendOutcome;
use cortado_model::LogPosition;
use std::collections::BTreeMap;

/// How long a client waits for a broker.
const REQUEST_US: u64 = 400 * MILLI;
/// How long a broker waits for its followers.
const WAIT_US: u64 = 60 * MILLI;
/// Between two tries.
const BACKOFF_US: u64 = 20 * MILLI;
/// No producer hears the answer.
const UNHEARD: u64 = u64::MAX;
/// What a stranger asks for is answered under this.
const STRANGER: u64 = u64::MAX;

impl World {
    /// A driver's append reaches its producer, if that is the one that it was meant for.
    pub(super) fn write_to_brokers(&mut self, number: u64, transit: Transit) {
        let Transit { from, sender, records, .. } = transit;
        let Some(hosted) = self.hosted_at(from) else { return };
        let bytes: usize = records.iter().map(Bytes::len).sum();
        match sender {
            // The first record of a log: sent by who has no producer, and again if it is lost.
            Sender::Node => return self.write_plainly(from.partition, records),
            // What was not sent when it was given up is never sent.
            Sender::Producer(job) if job != hosted.producer.job => return,
            Sender::Producer(_) => {}
        }
        self.log.bytes += bytes as u64;
        self.open_writer(from, sender);
        if let Some(writer) = self.writer(from.node, from.partition) {
            writer.addresses.insert(number, from);
        }
        let append = number;
        self.tell_writer(from.node, from.partition, ProducerInput::Send { append, records });
        if self.log.brokers.as_ref().and_then(|one| one.defect)
            == Some(ClientDefect::AnswersWhenSent)
        {
            self.answer_early(from, number, sender);
        }
    }

    /// Records of who does not number them, to whoever leads.
    pub(super) fn write_plainly(&mut self, partition: usize, records: Vec<Bytes>) {
        self.write_as_stranger(partition, BatchKind::Plain, records, None);
    }

    /// A stranger's transaction, of which an end alone is certain; half of them write something.
    pub(super) fn transact_as_stranger(&mut self, partition: usize) {
        let Some(brokers) = self.log.brokers.as_mut() else { return };
        let id = brokers.cluster.next_number();
        let producer = ProducerName { id, epoch: 0 };
        if self.kernel.random.coin() {
            let records = vec![Bytes::from_static(b"a stranger's, perhaps aborted")];
            let writer = Some(Sequenced { producer, first: 0 });
            self.write_as_stranger(partition, BatchKind::Transactional, records, writer);
        }
        let ends = self.kernel.random.between(1, 3);
        for _ in 0..ends {
            self.write_as_stranger(partition, BatchKind::Control, Vec::new(), None);
        }
    }

    fn write_as_stranger(
        &mut self,
        partition: usize,
        kind: BatchKind,
        records: Vec<Bytes>,
        writer: Option<Sequenced>,
    ) {
        let Some(brokers) = self.log.brokers.as_ref() else { return };
        let leader = brokers.cluster.leader_of(brokers.partition(partition));
        let Some(broker) = leader else { return };
        let request = ProduceRequest {
            topic: TOPIC.to_owned(),
            number: partition as u32,
            writer,
            kind,
            records,
            all: true,
            timeout_us: WAIT_US,
        };
        self.on_brokers(ClusterEvent::Produce { broker, token: STRANGER, request });
    }

    /// Each driver's producer is another one.
    fn open_writer(&mut self, from: Address, sender: Sender) {
        let key = (from.node, from.partition);
        let known = self.writer(from.node, from.partition);
        if known.is_some_and(|known| (known.process, known.sender) == (from.process, sender)) {
            return;
        }
        let (give_up_us, asks) = (self.plan.give_up_us, self.kernel.random.below(3) as u32);
        let Some(brokers) = self.log.brokers.as_mut() else { return };
        let number = brokers.cluster.next_number();
        let settings = ProducerSettings {
            wait_us: WAIT_US,
            request_us: REQUEST_US,
            backoff_us: BACKOFF_US,
            give_up_us,
            bytes_max: BYTES_MAX,
        };
        let (name, defect) = (from.partition as u32, brokers.defect);
        let writer = Writer {
            number,
            process: from.process,
            sender,
            producer: KafkaProducer::new(settings, TOPIC, name, number, defect),
            view: PartitionView::new(TOPIC, name, asks, defect),
            broken: None,
            lanes: [Moment::default(); 2],
            wakes: None,
            addresses: BTreeMap::new(),
        };
        brokers.writers.present.insert(key, writer);
    }

    fn writer(&mut self, node: usize, partition: usize) -> Option<&mut Writer> {
        self.log.brokers.as_mut()?.writers.present.get_mut(&(node, partition))
    }

    fn tell_writer(&mut self, node: usize, partition: usize, input: ProducerInput) {
        let now = Micros(self.kernel.now.0);
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let Some(writer) = self.writer(node, partition) else { return };
            let mut out = Vec::new();
            writer.producer.on(now, input, &mut out);
            let mut wants_leader = false;
            for output in out {
                match output {
                    ProducerOutput::Request { broker, connection, token, request } => {
                        self.send_request((node, partition), (broker, connection), token, request);
                    }
                    ProducerOutput::WantsLeader => wants_leader = true,
                    ProducerOutput::Told { append, outcomes } => {
                        self.writer_told((node, partition), append, &outcomes);
                    }
                }
            }
            if wants_leader {
                inputs.extend(self.look_for_leader(node, partition));
            }
        }
        self.plan_writer(node, partition);
    }

    /// A producer's client asks who leads; something if that is news.
    fn look_for_leader(&mut self, node: usize, partition: usize) -> Option<ProducerInput> {
        let (here, now) = (Place::Node(node), self.kernel.now);
        let brokers = self.log.brokers.as_mut()?;
        let writer = brokers.writers.present.get_mut(&(node, partition))?;
        let open = |from, to| self.network.is_open(from, to, now);
        let reach = |broker: BrokerId| {
            let there = Place::Broker(broker.0);
            open(here, there) && open(there, here)
        };
        let before = writer.view.leader();
        writer.view.refresh(&brokers.cluster, &reach);
        let leader = writer.view.leader();
        (leader != before).then_some(ProducerInput::Leader(leader))
    }

    fn plan_writer(&mut self, node: usize, partition: usize) {
        let Some(writer) = self.writer(node, partition) else { return };
        let (wakes, number) = (writer.producer.wake_at(), writer.number);
        if writer.wakes == wakes {
            return;
        }
        writer.wakes = wakes;
        if let Some(at) = wakes {
            let moment = Moment(at.0).max(self.kernel.now);
            let due = Due::WriterWakes { node, partition, writer: number, at: at.0 };
            self.kernel.schedule.put(moment, due);
        }
    }

    /// A producer wanted to be woken.
    pub(super) fn writer_wakes(&mut self, node: usize, partition: usize, number: u64, at: u64) {
        let running = self.nodes[node].is_running();
        let Some(writer) = self.writer(node, partition) else { return };
        if writer.number != number || writer.wakes != Some(Micros(at)) {
            return;
        }
        writer.wakes = None;
        if !running {
            // A stopped process sends nothing; a dead one has no producer any more.
            let later = Due::WriterWakes { node, partition, writer: number, at };
            if let Some(writer) = self.writer(node, partition) {
                writer.wakes = Some(Micros(at));
            }
            return match self.nodes[node].process.is_some() {
                true => self.put(BACKOFF_US, later),
                false => self.drop_writer(node, partition),
            };
        }
        self.tell_writer(node, partition, ProducerInput::Tick);
    }

    /// The producers of a process die with it; what they have sent is on its way.
    pub(super) fn drop_writer(&mut self, node: usize, partition: usize) {
        if let Some(brokers) = self.log.brokers.as_mut() {
            brokers.writers.present.remove(&(node, partition));
        }
    }

    /// A request is on its way, behind the earlier ones of its connection.
    fn send_request(
        &mut self,
        (node, partition): (usize, usize),
        (broker, connection): (BrokerId, u64),
        token: u64,
        request: ProduceRequest,
    ) {
        let late_us = match self.strikes(Fault::RequestLate) {
            true => self.kernel.random.between(1, self.plan.late_us_max),
            false => 0,
        };
        let again = self.strikes(Fault::RequestRepeated).then(|| request.clone());
        let at = self.kernel.now.plus(self.delay() + late_us);
        let number = self.next_number();
        let Some(writer) = self.writer(node, partition) else { return };
        let at = at.max(writer.lanes[0].plus(1));
        writer.lanes[0] = at;
        // A client that has lost the connection sends again, and both arrive: it hears of neither.
        let heard = if again.is_some() { UNHEARD } else { writer.number };
        let by = Asked { node, partition, writer: heard, token, broker };
        let Some(brokers) = self.log.brokers.as_mut() else { return };
        brokers.writers.sent.insert(number, Sent { by, broker, connection, request });
        self.kernel.schedule.put(at, Due::RequestArrives(number));
        if let Some(request) = again {
            let (number, late_us) =
                (self.next_number(), self.kernel.random.between(1, self.plan.late_us_max));
            let Some(brokers) = self.log.brokers.as_mut() else { return };
            let again = Sent { by, broker, connection, request };
            brokers.writers.sent.insert(number, again);
            self.kernel.schedule.put(at.plus(late_us), Due::RequestArrives(number));
        }
    }

    /// A request reaches its broker, or not.
    pub(super) fn request_reaches_broker(&mut self, number: u64) {
        let now = self.kernel.now;
        let Some(brokers) = self.log.brokers.as_mut() else { return };
        let Some(sent) = brokers.writers.sent.remove(&number) else { return };
        let Sent { by, broker, connection, request } = sent;
        let open = self.network.is_open(Place::Node(by.node), Place::Broker(broker.0), now);
        let lost = !open || self.strikes(Fault::RequestDropped);
        let writer = self.writer(by.node, by.partition).filter(|one| one.number == by.writer);
        if let Some(writer) = writer {
            let broken = writer.broken.is_some_and(|broken| connection <= broken);
            if lost && !broken {
                writer.broken = Some(connection);
            }
            if lost || broken {
                return;
            }
        } else if lost {
            return;
        } else if by.writer != UNHEARD {
            self.coverage.reach(CoveragePoint::LandedPosthumously);
        }
        if let Some(brokers) = self.log.brokers.as_mut() {
            brokers.writers.asked.insert(number, by);
        }
        self.on_brokers(ClusterEvent::Produce { broker, token: number, request });
    }

    /// A broker has answered.
    pub(super) fn produced(&mut self, token: u64, answer: ProduceAnswer) {
        let Some(brokers) = self.log.brokers.as_mut() else { return };
        let Some(by) = brokers.writers.asked.remove(&token) else { return };
        self.observe_answer(answer);
        let now = self.kernel.now;
        let open = self.network.is_open(Place::Broker(by.broker.0), Place::Node(by.node), now);
        if !open || self.strikes(Fault::AnswerLost) {
            return;
        }
        let slow_us = match self.strikes(Fault::AnswerSlow) {
            true => self.kernel.random.between(2, 300) * MILLI,
            false => 0,
        };
        let at = now.plus(self.delay() + slow_us);
        let Some(writer) = self.writer(by.node, by.partition) else { return };
        if writer.number == by.writer {
            let at = at.max(writer.lanes[1].plus(1));
            writer.lanes[1] = at;
            let Asked { node, partition, writer, token, .. } = by;
            let due = Due::BrokerAnswers { node, partition, writer, token, answer };
            self.kernel.schedule.put(at, due);
        }
    }

    /// The answer reaches the producer.
    pub(super) fn broker_answers(
        &mut self,
        (node, partition): (usize, usize),
        number: u64,
        token: u64,
        answer: ProduceAnswer,
    ) {
        let runs = self.nodes[node].process.is_some();
        let Some(writer) = self.writer(node, partition) else { return };
        if writer.number == number && runs {
            self.tell_writer(node, partition, ProducerInput::Answered { token, answer });
        }
    }

    /// A producer tells what became of an append.
    fn writer_told(
        &mut self,
        (node, partition): (usize, usize),
        append: u64,
        outcomes: &[AppendOutcome],
    ) {
        let Some(writer) = self.writer(node, partition) else { return };
        let (sender, to) = (writer.sender, writer.addresses.remove(&append));
        let Some(to) = to else { return };
        let outcomes: Vec<RecordOutcome> =
            outcomes.iter().map(super::appending::outcome_of).collect();
        if outcomes.contains(&RecordOutcome::Somewhere) {
            self.coverage.reach(CoveragePoint::StandsSomewhere);
        }
        if outcomes.contains(&RecordOutcome::NotAppended) {
            self.coverage.reach(CoveragePoint::RefusedByBroker);
        }
        self.put(0, Due::AppendAnswer { to, number: append, sender, outcomes });
    }

    /// For a planted bug: success is told when a request is sent.
    fn answer_early(&mut self, to: Address, number: u64, sender: Sender) {
        let end = self.log.end(to.partition);
        let Some(writer) = self.writer(to.node, to.partition) else { return };
        writer.addresses.remove(&number);
        let Some(hosted) = self.hosted_at(to) else { return };
        let sent = hosted.producer.sent.iter().find(|sent| sent.number == number);
        let count = sent.map_or(1, |sent| sent.records.len() as u64);
        let outcomes = (0..count)
            .map(|each| RecordOutcome::At(LogPosition { offset: end.plus(each), epoch: 0 }))
            .collect();
        self.put(0, Due::AppendAnswer { to, number, sender, outcomes });
    }

    fn observe_answer(&mut self, answer: ProduceAnswer) {
        let point = match answer {
            ProduceAnswer::At { .. } => return,
            ProduceAnswer::Disconnected => CoveragePoint::BrokerDisconnected,
            ProduceAnswer::Failed(ErrorCode::NotLeader) => CoveragePoint::BrokerDeposed,
            ProduceAnswer::Failed(ErrorCode::RequestTimedOut) => CoveragePoint::BrokerTimedOut,
            ProduceAnswer::Failed(ErrorCode::NotEnoughReplicas) => CoveragePoint::TooFewInSync,
            ProduceAnswer::Failed(ErrorCode::NotEnoughReplicasAfterAppend) => {
                CoveragePoint::TooFewInSyncAfterAppend
            }
            ProduceAnswer::Failed(_) => CoveragePoint::BrokerFailed,
        };
        self.coverage.reach(point);
    }
}
