//! The log as nodes reach it: late, in order where the port promises order, and not always.
//!
//! Keeps the promises of `cortado-log` and no others; what is stored is stored by its in-memory
//! log. Start reading at [`World::append_arrives`].

use super::due::ReadAnswer;
use super::shared_log::{Transit, partition_id};
use super::{Address, Due, World};
use crate::coverage::{Fault, Sight};
use crate::mutant::Mutant;
use crate::node::LogHealth;
use crate::time::{MILLI, Moment};
use bytes::Bytes;
use cortado_log::memory::{Fault as LogFault, Receipt};
use cortado_log::{Appended, Outcome, Page as LogPage, ReadError};
use cortado_model::{LogOffset, PartitionUuid, Position, ReplicaIncarnation, Scn};
use cortado_replica::{
    AppendFailure, AppendToken, Body, ChainHash, Claim, ClaimReason, Header, Page, Record, Role,
    encode,
};

/// What the log says to an append, and after how long.
type Answered = (Result<LogOffset, AppendFailure>, u64);

impl World {
    /// Puts an append in line: of two calls of one driver, the first one arrives first.
    pub(super) fn send_append(&mut self, from: Address, token: AppendToken, records: Vec<Bytes>) {
        let (number, sent_at) = (self.next_number(), self.now);
        let delay_us = self.delay();
        let lane = self.log.lanes.entry((from.node, from.partition)).or_default();
        let at = self.now.plus(delay_us).max(lane.plus(1));
        *lane = at;
        self.log.in_transit.insert(number, Transit { sent_at, from, token, records });
        self.schedule.put(at, Due::AppendArrives(number));
    }

    pub(super) fn append_arrives(&mut self, number: u64) {
        let Some(transit) = self.log.in_transit.remove(&number) else { return };
        let Transit { sent_at, from, token, records } = transit;
        let posthumous = self.driver_at(from).is_none();
        if posthumous && self.random.coin() {
            return; // It was still inside the process that died.
        }
        let (answer, after_us) = self.receive(from, sent_at, records);
        if posthumous && answer.is_ok() {
            self.coverage.sight(Sight::LandedPosthumously);
        }
        let cut = self.nodes[from.node].path.answers_cut_until > self.now;
        let (answer, after_us) = match answer {
            Ok(_) if cut => (Err(AppendFailure::Unknown), self.patience()),
            answer => (answer, after_us),
        };
        self.put(after_us, Due::AppendAnswer { to: from, token, answer });
    }

    pub(super) fn append_answered(
        &mut self,
        to: Address,
        token: AppendToken,
        answer: Result<LogOffset, AppendFailure>,
    ) {
        if self.heartbeat_answered(to, token, answer.is_ok()) {
            return;
        }
        if answer.is_ok() && self.is(Mutant::AnswersWhenAppended) {
            self.answer_appended(to, token);
        }
        let answer = match answer {
            Err(AppendFailure::Unknown) if self.is(Mutant::TrustsSilence) => {
                Err(AppendFailure::NotAppended)
            }
            answer => answer,
        };
        let next = self.driver_at(to).map(|driver| driver.replica.fold().position.offset);
        if answer.is_ok_and(|first| next.is_some_and(|next| first != next)) {
            self.coverage.sight(Sight::ReadBack);
        }
        let input = match answer {
            Ok(first) => cortado_replica::Input::Appended { token, first },
            Err(failure) => cortado_replica::Input::AppendFailed { token, failure },
        };
        self.feed(to, input);
    }

    /// Bytes of a stranger, or a claim of another partition that would fit into this one.
    pub(super) fn stranger_writes(&mut self) {
        let partition = self.random.index(self.plan.partitions);
        let bytes = match self.random.coin() {
            true => Bytes::from_static(b"{\"not\": \"a record\"}"),
            false => self.mirrored_claim(partition),
        };
        // Whatever the log answers, no replica hears it.
        let _unheard = self.land(partition, vec![bytes], None);
    }

    fn mirrored_claim(&mut self, partition: usize) -> Bytes {
        let node = self.random.index(self.nodes.len());
        let seen = self.partitions[partition].truth.last;
        let claim = Claim { reason: ClaimReason::LeaderDead, evidence: 0, seen };
        let header = Header {
            scn: Scn::opening(seen.generation.next()),
            node: self.nodes[node].id,
            incarnation: ReplicaIncarnation::default(),
            time: self.nodes[node].clock.read(self.now).wall,
        };
        let record = Record { header, body: Body::Claim(claim) };
        let PartitionUuid(uuid) = self.genesis(partition).identity.partition;
        encode(PartitionUuid(uuid ^ 1 << 100), &record, ChainHash::default()).0
    }

    pub(super) fn land_late(&mut self, from: Address, records: Vec<Bytes>) {
        self.log.late -= 1;
        // Whatever the log answers now, nobody listens.
        let _unheard = self.land(from.partition, records, None);
    }

    /// A driver hears that the log has grown.
    pub(super) fn notice(&mut self, to: Address) {
        let (end, reaches) = (self.log.end(to.partition), self.can_read(to.node));
        let Some(driver) = self.driver_at(to) else { return };
        if reaches {
            driver.noticed = false;
            driver.known_end = end;
            self.read_if_needed(to.node, to.partition);
        } else {
            self.put(30 * MILLI, Due::Notice { to });
        }
    }

    /// Starts a read where the replica needs one and none is under way.
    pub(super) fn read_if_needed(&mut self, node: usize, partition: usize) {
        if !self.nodes[node].is_running() {
            return;
        }
        let deaf = self.is(Mutant::DeafLeader);
        let Some(driver) = self.nodes[node].driver_mut(partition) else { return };
        let from = driver.replica.fold().position.offset;
        let recovers = driver.recovering.is_some_and(|end| end > from);
        let deaf = deaf && driver.replica.role() == Role::Leader;
        let needed = recovers || (driver.replica.needs_records(driver.known_end) && !deaf);
        if needed && !driver.reading && !driver.resyncing {
            driver.reading = true;
            let to = Address { node, partition, incarnation: driver.incarnation };
            let delay_us = self.delay();
            self.put(delay_us, Due::ReadAsk { to, from });
        }
    }

    pub(super) fn read_log(&mut self, to: Address, from: LogOffset) {
        let mut delay_us = self.delay();
        let fails = !self.can_read(to.node) || self.strikes(Fault::ReadFails);
        let answer = if fails {
            delay_us += 20 * MILLI;
            ReadAnswer::Failed
        } else {
            let bytes_max = self.random.between(1, 6_000) as usize;
            self.read_records(to, from, bytes_max)
        };
        self.put(delay_us, Due::ReadAnswer { to, answer });
    }

    pub(super) fn log_was_read(&mut self, to: Address, answer: ReadAnswer) {
        let end = self.log.end(to.partition);
        let Some(driver) = self.driver_at(to) else { return };
        driver.reading = false;
        match answer {
            ReadAnswer::Page(page) => {
                driver.known_end = end;
                self.feed(to, cortado_replica::Input::Page(page));
            }
            ReadAnswer::Failed => {}
            ReadAnswer::Trimmed => self.resync(to),
        }
        self.read_if_needed(to.node, to.partition);
    }

    pub(super) fn read_end(&mut self, to: Address) {
        let end = self.can_read(to.node).then(|| self.log.end(to.partition));
        let delay_us = self.delay();
        self.put(delay_us, Due::EndAnswer { to, end });
    }

    pub(super) fn end_was_read(&mut self, to: Address, end: Option<LogOffset>) {
        let Some(driver) = self.driver_at(to) else { return };
        match end {
            Some(end) => {
                driver.recovering = Some(end);
                driver.known_end = driver.known_end.max(end);
                self.recover_if_caught_up(to);
                self.run_driver(to.node, to.partition);
                self.read_if_needed(to.node, to.partition);
            }
            None => self.put(40 * MILLI, Due::EndAsk { to }),
        }
    }

    pub(super) fn can_read(&self, node: usize) -> bool {
        self.log.outage_until <= self.now && self.nodes[node].path.reads_cut_until <= self.now
    }

    /// What the log does with an append that has reached it, or has not.
    fn receive(&mut self, from: Address, sent_at: Moment, records: Vec<Bytes>) -> Answered {
        match self.log_health(from) {
            LogHealth::Unusable { since } if since < sent_at => {
                return (Err(AppendFailure::Unusable), MILLI);
            }
            // With the append that broke it fails whatever was handed over before.
            LogHealth::Unusable { .. } => return self.break_log(from, records),
            LogHealth::Breaking => return self.break_log(from, records),
            LogHealth::Well => {}
        }
        if self.log.outage_until > self.now
            || self.nodes[from.node].path.appends_cut_until > self.now
        {
            return self.lose(from, records);
        }
        if self.log.full_until > self.now || self.strikes(Fault::AppendRefused) {
            let refused = self.land(from.partition, records, Some(LogFault::Refuse));
            return (refused, self.delay());
        }
        self.receive_strangely(from, records)
    }

    /// The faults of a log within reach.
    fn receive_strangely(&mut self, from: Address, records: Vec<Bytes>) -> Answered {
        let partition = from.partition;
        if self.strikes(Fault::AppendLost) {
            let lost = self.land(partition, records, Some(LogFault::UnknownLost));
            return (lost, self.patience());
        }
        if self.strikes(Fault::AppendPerhaps) {
            let landed = self.land(partition, records, Some(LogFault::UnknownLanded));
            return (landed, self.patience());
        }
        if self.strikes(Fault::AppendLate) {
            let patience_us = self.patience();
            self.land_in(patience_us, from, records);
            return (Err(AppendFailure::Unknown), patience_us);
        }
        if self.strikes(Fault::AppendPrefix) {
            let count = self.random.index(records.len() + 1);
            let prefix = LogFault::Prefix { records: count };
            let landed = self.land(partition, records, Some(prefix));
            return (landed, self.patience());
        }
        if self.strikes(Fault::AppendLateCopy) {
            self.land_in(0, from, records.clone());
        }
        let twice = self.strikes(Fault::AppendDuplicated).then_some(LogFault::Duplicate);
        let landed = self.land(partition, records, twice);
        let slow = self.strikes(Fault::AnswerSlow);
        (landed, if slow { self.patience() } else { self.delay() })
    }

    /// The append that breaks a process's log: nobody can say what became of it.
    fn break_log(&mut self, from: Address, records: Vec<Bytes>) -> Answered {
        let since = self.now;
        if let Some(process) = &mut self.nodes[from.node].process
            && process.log == LogHealth::Breaking
        {
            process.log = LogHealth::Unusable { since };
            self.plan_replacement(from.node);
        }
        match self.random.below(3) {
            0 => drop(records),
            1 => {
                let _unheard = self.land(from.partition, records, None);
            }
            _ => self.land_in(0, from, records),
        }
        (Err(AppendFailure::Unusable), self.delay())
    }

    /// An append that does not reach the log: refused at once, or nobody knows.
    fn lose(&mut self, from: Address, records: Vec<Bytes>) -> Answered {
        match self.random.below(4) {
            0 => (Err(AppendFailure::NotAppended), self.delay()),
            1 => {
                let patience_us = self.patience();
                self.land_in(patience_us, from, records);
                (Err(AppendFailure::Unknown), patience_us)
            }
            _ => (Err(AppendFailure::Unknown), self.patience()),
        }
    }

    /// Lets records land at some time after the next `after_us`.
    fn land_in(&mut self, after_us: u64, from: Address, records: Vec<Bytes>) {
        let late_us = self.random.between(1, self.plan.late_us_max);
        self.log.late += 1;
        self.put(after_us + late_us, Due::LandsLate { from, records });
    }

    /// Appends to the log itself, which may suffer `fault`, and looks at what has landed.
    fn land(
        &mut self,
        partition: usize,
        records: Vec<Bytes>,
        fault: Option<LogFault>,
    ) -> Result<LogOffset, AppendFailure> {
        let id = partition_id(partition);
        let before = self.log.end(partition);
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
            Appended::From(first) => Ok(first),
            Appended::Each(Outcome::NotAppended(_)) => Err(AppendFailure::NotAppended),
            Appended::Each(Outcome::Unusable(_)) => Err(AppendFailure::Unusable),
            Appended::Each(Outcome::At(_) | Outcome::Somewhere | Outcome::Perhaps(_))
            | Appended::Mixed(_) => Err(AppendFailure::Unknown),
        }
    }

    fn notify(&mut self, partition: usize) {
        for node in 0..self.nodes.len() {
            let Some(driver) = self.nodes[node].driver_mut(partition) else { continue };
            if !driver.noticed {
                driver.noticed = true;
                let to = Address { node, partition, incarnation: driver.incarnation };
                let delay_us = self.delay();
                self.put(delay_us, Due::Notice { to });
            }
        }
    }

    fn read_records(&mut self, to: Address, from: LogOffset, bytes_max: usize) -> ReadAnswer {
        let read = self.log.memory.read_now(partition_id(to.partition), at(from), bytes_max);
        let (mut entries, next): (Vec<(LogOffset, Bytes)>, Position) = match read {
            Ok(LogPage { entries, next, .. }) => {
                (entries.into_iter().map(|entry| (entry.offset, entry.record)).collect(), next)
            }
            Err(ReadError::Trimmed { .. }) => return ReadAnswer::Trimmed,
            Err(
                ReadError::Unavailable(_)
                | ReadError::Damaged { .. }
                | ReadError::Diverged { .. }
                | ReadError::Hole { .. }
                | ReadError::Replaced { .. }
                | ReadError::Missing,
            ) => return ReadAnswer::Failed,
        };
        if let Some((_, bytes)) = entries.last_mut()
            && self.strikes(Fault::ReadDamaged)
        {
            let mut damaged = bytes.to_vec();
            let at = self.random.index(damaged.len());
            damaged[at] ^= 1 << self.random.below(8);
            *bytes = Bytes::from(damaged);
        }
        ReadAnswer::Page(Page { from, entries, next })
    }

    fn log_health(&self, from: Address) -> LogHealth {
        let process = self.nodes[from.node].process.as_ref();
        // What a dead process has sent is on its way like anything else.
        let sender = process.filter(|p| p.drivers[from.partition].incarnation == from.incarnation);
        sender.map_or(LogHealth::Well, |process| process.log)
    }

    /// How long an adapter waits before it says "perhaps".
    fn patience(&mut self) -> u64 {
        self.random.between(2, 300) * MILLI
    }
}

const fn at(offset: LogOffset) -> Position {
    Position { offset, epoch: 0 }
}
