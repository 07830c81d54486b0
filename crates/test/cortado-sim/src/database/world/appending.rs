//! Appending as nodes do it: late, in order where the port promises order, and not always.
//!
//! Keeps the promises of `cortado-log` and no others; what is stored is stored by its in-memory
//! log. Start reading at [`World::append_arrives`].

use super::due::Sender;
use super::shared_log::partition_id;
use super::transit::Transit;
use super::{Address, Due, World};
use crate::database::coverage::{CoveragePoint, Fault};
use crate::database::hosted::Sent;
use crate::database::mutant::Mutant;
use crate::database::node::{LogHealth, Place};
use crate::kernel::time::{MILLI, Moment};
use bytes::Bytes;
use cortado_driver::{Event, RecordOutcome};
use cortado_log::memory::{Fault as LogFault, Receipt};
use cortado_log::{AppendOutcome as LogOutcome, Appended};
use cortado_model::{LogOffset, LogPosition, Millis, PartitionUuid, ReplicaIncarnation, Scn};
use cortado_replica::{Body, ChainHash, Claim, ClaimReason, Header, Record, encode};

/// What the log says to an append, and after how long; `None`: never.
type Answered = (Vec<RecordOutcome>, Option<u64>);

impl World {
    /// Hands a driver's records to its producer.
    pub(super) fn send_records(&mut self, from: Address, records: Vec<Bytes>) {
        let number = self.numbers + 1;
        let sent_at = self.nodes[from.node].clock.read(self.kernel.now).clock;
        let Some(hosted) = self.hosted_at(from) else { return };
        let sender = Sender::Producer(hosted.producer.job);
        let sent = Sent { number, sent_at, records: records.clone(), outcomes: None };
        hosted.producer.sent.push_back(sent);
        hosted.append_wait.begin(sent_at);
        if let Some(process) = &mut self.nodes[from.node].process {
            process.observer.appends.begin(sent_at);
        }
        self.send(from, sender, records);
    }

    /// Appends records of the node itself; the log's answer is ignored.
    pub(super) fn send_unheard(&mut self, from: Address, records: Vec<Bytes>) {
        self.send(from, Sender::Node, records);
    }

    /// Puts an append in line: of two calls of one producer, the first one arrives first.
    fn send(&mut self, from: Address, sender: Sender, records: Vec<Bytes>) {
        let (number, sent_at) = (self.next_number(), self.kernel.now);
        let delay_us = self.delay();
        let lane = self.log.lanes.entry((from.node, from.partition)).or_default();
        let at = self.kernel.now.plus(delay_us).max(lane.plus(1));
        *lane = at;
        self.log.in_transit.insert(number, Transit { sent_at, from, sender, records });
        self.kernel.schedule.put(at, Due::AppendArrives(number));
    }

    pub(super) fn append_arrives(&mut self, number: u64) {
        let Some(transit) = self.log.in_transit.remove(&number) else { return };
        if self.log.brokers.is_some() {
            return self.write_to_brokers(number, transit);
        }
        let Transit { sent_at, from, sender, records } = transit;
        let posthumous = self.hosted_at(from).is_none();
        if posthumous && self.kernel.random.coin() {
            return; // It was still inside the process that died.
        }
        let (outcomes, after_us) = self.receive(from, sent_at, records);
        let landed = outcomes.iter().all(|each| matches!(each, RecordOutcome::At(_)));
        if posthumous && landed {
            self.coverage.reach(CoveragePoint::LandedPosthumously);
        }
        let (node, now) = (Place::Node(from.node), self.kernel.now);
        let cut = !self.network.is_open(Place::LogHead, node, now);
        let (outcomes, after_us) = match after_us {
            Some(_) if cut && landed => {
                (vec![RecordOutcome::Perhaps; outcomes.len()], Some(self.patience()))
            }
            after_us => (outcomes, after_us),
        };
        if let Some(after_us) = after_us {
            self.put(after_us, Due::AppendAnswer { to: from, number, sender, outcomes });
        }
    }

    /// The log's answer reaches its producer, which tells outcomes in the order of the appends.
    pub(super) fn append_answered(
        &mut self,
        to: Address,
        number: u64,
        sender: Sender,
        mut outcomes: Vec<RecordOutcome>,
    ) {
        let ok = outcomes.iter().all(|each| matches!(each, RecordOutcome::At(_)));
        let producer = match sender {
            Sender::Node => return,
            Sender::Producer(producer) => producer,
        };
        if self.is(Mutant::TrustsSilence) {
            let trust = |each: &mut RecordOutcome| {
                if *each == RecordOutcome::Perhaps {
                    *each = RecordOutcome::NotAppended;
                }
            };
            outcomes.iter_mut().for_each(trust);
        }
        if self.is(Mutant::ForgetsLeaders) {
            self.forget_leaders(to, &mut outcomes);
        }
        let mixes = self.is(Mutant::MixesProducers);
        let Some(hosted) = self.hosted_at(to) else { return };
        if producer != hosted.producer.job {
            // It was given up; what it says now counts for nothing.
            let producer = if mixes { hosted.producer.job } else { producer };
            return self.tell(to, Event::Outcomes { producer, outcomes });
        }
        let sent = hosted.producer.sent.iter_mut().find(|sent| sent.number == number);
        let Some(sent) = sent else { return };
        let records = std::mem::take(&mut sent.records);
        let (sent_at, landed) = (sent.sent_at, outcomes.last().is_some_and(has_landed));
        sent.outcomes = Some(outcomes);
        if ok {
            hosted.end_wait();
        }
        self.feel_append(to.node, sent_at, landed);
        if ok && self.is(Mutant::AnswersWhenAppended) {
            self.answer_appended(to, &records);
        }
        let Some(hosted) = self.hosted_at(to) else { return };
        let outcomes = hosted.take_outcomes();
        if outcomes.is_empty() {
            return;
        }
        let next = hosted.next_offset();
        let moved = match outcomes[0] {
            RecordOutcome::At(first) => next.is_some_and(|next| next != first.offset),
            _ => false,
        };
        if moved {
            self.coverage.reach(CoveragePoint::ReadBack);
        }
        self.tell(to, Event::Outcomes { producer, outcomes });
    }

    /// A node notices how an own append went.
    pub(super) fn feel_append(&mut self, node: usize, sent_at: Millis, landed: bool) {
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        if let Some(process) = &mut self.nodes[node].process {
            process.observer.appends.end(now, now.since(sent_at), landed);
        }
    }

    /// Bytes of a stranger, or a claim of another partition that would fit into this one.
    pub(super) fn stranger_writes(&mut self) {
        let partition = self.kernel.random.index(self.plan.partitions);
        let bytes = match self.kernel.random.coin() {
            true => Bytes::from_static(b"{\"not\": \"a record\"}"),
            false => self.mirrored_claim(partition),
        };
        if self.log.brokers.is_some() {
            return self.write_plainly(partition, vec![bytes]);
        }
        // Whatever the log answers, no replica hears it.
        let _unheard = self.land(partition, vec![bytes], None);
    }

    fn mirrored_claim(&mut self, partition: usize) -> Bytes {
        let node = self.kernel.random.index(self.nodes.len());
        let seen = self.partitions[partition].truth.last;
        let claim = Claim { reason: ClaimReason::LeaderDead, evidence: 0, seen };
        let header = Header {
            scn: Scn::opening(seen.generation.next()),
            node: self.nodes[node].id,
            incarnation: ReplicaIncarnation::default(),
            time: self.nodes[node].clock.read(self.kernel.now).wall,
        };
        let record = Record { header, body: Body::Claim(claim) };
        let PartitionUuid(uuid) = self.genesis(partition).identity.partition;
        encode(PartitionUuid(uuid ^ 1 << 100), &record, ChainHash::default()).0
    }

    pub(super) fn land_late(&mut self, from: Address, records: Vec<Bytes>) {
        self.log.late -= 1;
        if self.log.is_closed {
            return;
        }
        // The sender waits no longer: the log's answer is ignored.
        let _unheard = self.land(from.partition, records, None);
    }

    /// What the log does with an append that has reached it, or has not.
    fn receive(&mut self, from: Address, sent_at: Moment, records: Vec<Bytes>) -> Answered {
        match self.log_health(from) {
            LogHealth::Unusable { since } if since < sent_at => {
                return (vec![RecordOutcome::Unusable; records.len()], Some(MILLI));
            }
            // With the append that broke it fails whatever was handed over before.
            LogHealth::Unusable { .. } | LogHealth::Breaking => {
                return self.break_log(from, records);
            }
            LogHealth::Well => {}
        }
        if self.is_cut_from_broker(from.node, from.partition) {
            return self.hang(from, records);
        }
        let (node, now) = (Place::Node(from.node), self.kernel.now);
        if self.log.outage_until > now || !self.network.is_open(node, Place::LogHead, now) {
            return self.lose(from, records);
        }
        if self.log.full_until > self.kernel.now || self.strikes(Fault::AppendRefused) {
            let refused = self.land(from.partition, records, Some(LogFault::Refuse));
            return (refused, Some(self.delay()));
        }
        self.receive_strangely(from, records)
    }

    /// The faults of a log within reach.
    fn receive_strangely(&mut self, from: Address, records: Vec<Bytes>) -> Answered {
        let partition = from.partition;
        let count = self.kernel.random.index(records.len() + 1);
        let suffered = [
            (Fault::AppendLost, LogFault::UnknownLost),
            (Fault::AppendPerhaps, LogFault::UnknownLanded),
            (Fault::AppendPrefix, LogFault::Prefix { records: count }),
            (Fault::AppendSplit, LogFault::Split { records: count }),
            (Fault::AppendSomewhere, LogFault::Somewhere),
        ];
        for (fault, suffers) in suffered {
            if self.strikes(fault) {
                let landed = self.land(partition, records, Some(suffers));
                return (landed, Some(self.patience()));
            }
        }
        if self.strikes(Fault::AppendLate) {
            let patience_us = self.patience();
            let outcomes = vec![RecordOutcome::Perhaps; records.len()];
            self.land_in(patience_us, from, records);
            return (outcomes, Some(patience_us));
        }
        if self.strikes(Fault::AppendLateCopy) {
            self.land_in(0, from, records.clone());
        }
        if self.strikes(Fault::NeverAnswered) {
            if self.kernel.random.coin() {
                let _unheard = self.land(partition, records, None);
            }
            return (Vec::new(), None);
        }
        let twice = self.strikes(Fault::AppendDuplicated).then_some(LogFault::Duplicate);
        let landed = self.land(partition, records, twice);
        let slow = self.strikes(Fault::AnswerSlow);
        (landed, Some(if slow { self.patience() } else { self.delay() }))
    }

    /// The append that breaks a process's log: its outcome is unknown.
    fn break_log(&mut self, from: Address, records: Vec<Bytes>) -> Answered {
        let since = self.kernel.now;
        if let Some(process) = &mut self.nodes[from.node].process
            && process.log == LogHealth::Breaking
        {
            process.log = LogHealth::Unusable { since };
            self.plan_replacement(from.node);
        }
        let outcomes = vec![RecordOutcome::Unusable; records.len()];
        match self.kernel.random.below(3) {
            0 => drop(records),
            1 => {
                let _unheard = self.land(from.partition, records, None);
            }
            _ => self.land_in(0, from, records),
        }
        (outcomes, Some(self.delay()))
    }

    /// An append that does not reach the log: refused at once, or its outcome is unknown.
    fn lose(&mut self, from: Address, records: Vec<Bytes>) -> Answered {
        let perhaps = vec![RecordOutcome::Perhaps; records.len()];
        match self.kernel.random.below(4) {
            0 => (vec![RecordOutcome::NotAppended; records.len()], Some(self.delay())),
            1 => {
                let patience_us = self.patience();
                self.land_in(patience_us, from, records);
                (perhaps, Some(patience_us))
            }
            _ => (perhaps, Some(self.patience())),
        }
    }

    /// Lets records land at some time after the next `after_us`.
    pub(super) fn land_in(&mut self, after_us: u64, from: Address, records: Vec<Bytes>) {
        let late_us = self.kernel.random.between(1, self.plan.late_us_max);
        self.log.late += 1;
        self.put(after_us + late_us, Due::LandsLate { from, records });
    }

    /// Appends to the log itself, which may suffer `fault`, and looks at what has landed.
    pub(super) fn land(
        &mut self,
        partition: usize,
        records: Vec<Bytes>,
        fault: Option<LogFault>,
    ) -> Vec<RecordOutcome> {
        let id = partition_id(partition);
        let (before, count) = (self.log.end(partition), records.len());
        self.log.bytes += records.iter().map(|record| record.len() as u64).sum::<u64>();
        if let Some(fault) = fault {
            self.log.memory.inject(id, fault);
        }
        let appended = match self.log.memory.append_now(id, records) {
            Receipt::Answered(appended) => appended,
            Receipt::Held(_) => unreachable!("no acknowledgement is told to be held"),
        };
        let landed = self.log.memory.read_now(id, at(before), usize::MAX);
        for entry in landed.expect("what has just landed can be read").entries {
            self.observe_landing(partition, &entry.record);
        }
        if self.log.end(partition) > before {
            self.notify(partition);
        }
        match appended {
            Appended::From(first) => {
                (0..count as u64).map(|number| RecordOutcome::At(at(first.plus(number)))).collect()
            }
            Appended::Each(outcome) => vec![outcome_of(&outcome); count],
            Appended::Mixed(outcomes) => outcomes.iter().map(outcome_of).collect(),
        }
    }

    pub(super) fn notify(&mut self, partition: usize) {
        for node in 0..self.nodes.len() {
            let Some(to) = self.address(node, partition) else { continue };
            let Some(hosted) = self.hosted_at(to) else { continue };
            if !hosted.noticed {
                hosted.noticed = true;
                let delay_us = self.delay();
                self.put(delay_us, Due::Notice { to });
            }
        }
    }

    fn log_health(&self, from: Address) -> LogHealth {
        let process = self.nodes[from.node].process.as_ref();
        // What a dead process has sent is on its way like anything else.
        let sender = process.filter(|process| process.has_sent(from.process));
        sender.map_or(LogHealth::Well, |process| process.log)
    }

    /// How long an adapter waits before it says "perhaps".
    fn patience(&mut self) -> u64 {
        self.kernel.random.between(2, 300) * MILLI
    }
}

fn has_landed(outcome: &RecordOutcome) -> bool {
    matches!(outcome, RecordOutcome::At(_) | RecordOutcome::Somewhere)
}

pub(super) fn outcome_of(outcome: &LogOutcome) -> RecordOutcome {
    match outcome {
        LogOutcome::At(position) => RecordOutcome::At(*position),
        LogOutcome::Somewhere => RecordOutcome::Somewhere,
        LogOutcome::NotAppended(_) => RecordOutcome::NotAppended,
        LogOutcome::Perhaps(_) => RecordOutcome::Perhaps,
        LogOutcome::Unusable(_) => RecordOutcome::Unusable,
    }
}

const fn at(offset: LogOffset) -> LogPosition {
    LogPosition { offset, epoch: 0 }
}
