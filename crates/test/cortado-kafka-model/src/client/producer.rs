//! An idempotent producer for one partition: numbers its records, sends again what was not
//! answered, and tells one outcome for each record.
//!
//! Behaves like librdkafka with `enable.idempotence`, `acks=all` and five requests in flight; but
//! sends one request alone until the first was acknowledged, since a broker that does not know
//! a producer takes any number for its first. Start reading at [`KafkaProducer::on`].

use super::outcome::{Verdict, verdict};
use crate::batch::{BatchKind, Sequenced};
use crate::cluster::{ProduceAnswer, ProduceRequest};
use crate::defect::ClientDefect;
use crate::names::{BrokerId, Micros, ProducerName};
use bytes::Bytes;
use cortado_log::{AppendOutcome, Cause};
use cortado_model::{LogOffset, LogPosition};
use std::collections::VecDeque;

/// How a producer behaves; times in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct ProducerSettings {
    /// `request.timeout.ms`: how long a broker waits for its followers.
    pub wait_us: u64,
    /// `socket.timeout.ms`: how long the client waits for a broker.
    pub request_us: u64,
    /// `retry.backoff.ms`.
    pub backoff_us: u64,
    /// What is not answered for so long is given up, with all behind it; `None`: never.
    pub give_up_us: Option<u64>,
    /// Bytes of one append at most.
    pub bytes_max: usize,
}

/// Requests on their way at a time; no more, or a broker's memory of a producer is too short.
const IN_FLIGHT_MAX: usize = 5;

/// A producer of one partition.
#[derive(Clone, Debug)]
pub struct KafkaProducer {
    settings: ProducerSettings,
    topic: String,
    number: u32,
    name: ProducerName,
    /// The number of the next record.
    next: u32,
    /// A record of it was acknowledged: brokers know where it stands.
    is_known: bool,
    /// Whom it sends to, and as the how manieth leader.
    leader: Option<(BrokerId, u32)>,
    /// Counts connections: what was sent on one arrives in order or not at all.
    connection: u64,
    tokens: u64,
    batches: VecDeque<Pending>,
    /// The highest offset that was acknowledged.
    acknowledged: Option<u64>,
    /// When it was last told something.
    now: Micros,
    defect: Option<ClientDefect>,
}

/// An append that is not told yet.
#[derive(Clone, Debug)]
struct Pending {
    append: u64,
    records: Vec<Bytes>,
    /// The number of its first record.
    first: u32,
    since: Micros,
    /// Some try may have landed.
    open: bool,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// To be sent, not before this.
    Waits(Micros),
    Sent {
        token: u64,
        to: BrokerId,
        due: Micros,
        was_open: bool,
    },
    Decided(Vec<AppendOutcome>),
}

/// What a producer is told.
#[derive(Clone, Debug)]
pub enum ProducerInput {
    /// An append.
    Send {
        /// Its number, under which its outcomes are told.
        append: u64,
        /// What to append, next to one another.
        records: Vec<Bytes>,
    },
    /// The answer to a request.
    Answered {
        /// Which request.
        token: u64,
        /// The answer.
        answer: ProduceAnswer,
    },
    /// Who leads, as far as the client knows.
    Leader(Option<(BrokerId, u32)>),
    /// Time has passed.
    Tick,
}

/// What it wants.
#[derive(Clone, Debug)]
pub enum ProducerOutput {
    /// A request is to be sent.
    Request {
        /// To whom.
        broker: BrokerId,
        /// On which connection: in order, and nothing behind what was lost.
        connection: u64,
        /// Under which it is answered.
        token: u64,
        /// What.
        request: ProduceRequest,
    },
    /// Who leads? Answered by [`ProducerInput::Leader`].
    WantsLeader,
    /// The outcomes of an append, one for each record; in the order of the appends.
    Told {
        /// Which append.
        append: u64,
        /// One for each record.
        outcomes: Vec<AppendOutcome>,
    },
}

impl KafkaProducer {
    /// A producer that has sent nothing.
    ///
    /// * `id`: given to no other producer, ever; the 24 bits above its 40 are its own.
    pub fn new(
        settings: ProducerSettings,
        topic: &str,
        number: u32,
        id: u64,
        defect: Option<ClientDefect>,
    ) -> KafkaProducer {
        KafkaProducer {
            settings,
            topic: topic.to_owned(),
            number,
            name: ProducerName { id, epoch: 0 },
            next: 0,
            is_known: false,
            leader: None,
            connection: 0,
            tokens: 0,
            batches: VecDeque::new(),
            acknowledged: None,
            now: Micros(0),
            defect,
        }
    }

    /// Takes an input and adds what follows from it.
    pub fn on(&mut self, now: Micros, input: ProducerInput, out: &mut Vec<ProducerOutput>) {
        self.now = now;
        match input {
            ProducerInput::Send { append, records } => self.enqueue(now, append, records),
            ProducerInput::Answered { token, answer } => self.answered(now, token, answer, out),
            ProducerInput::Leader(leader) => self.learn(leader),
            ProducerInput::Tick => {}
        }
        self.expire(now, out);
        self.send_what_may_be(now, out);
        self.tell(out);
    }

    /// When it wants to be told that time has passed: later than when it was last told something.
    pub fn wake_at(&self) -> Option<Micros> {
        let oldest = self.batches.iter().find(|each| !each.is_decided())?;
        let give_up = self.settings.give_up_us.map(|give_up_us| oldest.since.plus(give_up_us));
        // Without a leader it asks again; what waits for others to be answered waits for that.
        let asks = self.leader.is_none().then(|| self.now.plus(self.settings.backoff_us));
        let due = self.batches.iter().filter_map(|each| match each.state {
            State::Waits(not_before) => Some(not_before),
            State::Sent { due, .. } => Some(due),
            State::Decided(_) => None,
        });
        let due = due.chain(give_up).filter(|at| *at > self.now);
        due.chain(asks).min()
    }

    /// Answers what is not told yet, as it is known now; nothing more is sent.
    pub fn abandon(&mut self) -> Vec<(u64, Vec<AppendOutcome>)> {
        self.give_up(|| Cause::Abandoned);
        let mut out = Vec::new();
        self.tell(&mut out);
        let told = out.into_iter().filter_map(|output| match output {
            ProducerOutput::Told { append, outcomes } => Some((append, outcomes)),
            ProducerOutput::Request { .. } | ProducerOutput::WantsLeader => None,
        });
        told.collect()
    }

    fn enqueue(&mut self, now: Micros, append: u64, records: Vec<Bytes>) {
        let bytes: usize = records.iter().map(Bytes::len).sum();
        let max_bytes = self.settings.bytes_max;
        let (first, count) = (self.next, records.len());
        let state = if bytes > max_bytes {
            // Refused before it has a number, or all behind it would wait for ever.
            let cause = Cause::TooLarge { bytes, max_bytes };
            State::Decided(vec![AppendOutcome::NotAppended(cause); count])
        } else {
            self.next += count as u32;
            State::Waits(now)
        };
        self.batches.push_back(Pending { append, records, first, since: now, open: false, state });
    }

    fn answered(
        &mut self,
        now: Micros,
        token: u64,
        answer: ProduceAnswer,
        out: &mut Vec<ProducerOutput>,
    ) {
        let is_its =
            |each: &Pending| matches!(each.state, State::Sent { token: t, .. } if t == token);
        let Some(mut at) = self.batches.iter().position(is_its) else { return };
        if self.defect == Some(ClientDefect::MixesAnswers) {
            let oldest = self.batches.iter().position(|each| each.is_sent());
            at = oldest.unwrap_or(at);
        }
        let is_oldest = self.batches.iter().take(at).all(Pending::is_decided);
        match verdict(answer, is_oldest, self.defect) {
            Verdict::Stands(base) => self.stands(at, base),
            Verdict::Refused => self.wait_again(at, now, false),
            Verdict::Open => self.wait_again(at, now, true),
            Verdict::RefusedForGood => {
                self.wait_again(at, now, false);
                self.give_up(|| Cause::refused("the topic takes no record of this size"));
            }
            Verdict::Broken => {
                self.wait_again(at, now, true);
                self.give_up(|| Cause::failed("the producer's numbering is broken"));
            }
        }
        if answer == ProduceAnswer::Disconnected {
            self.reconnect(now);
        }
        if !matches!(answer, ProduceAnswer::At { .. }) {
            out.push(ProducerOutput::WantsLeader);
        }
    }

    /// A batch is in the log; so is all that was sent before it, or it would have been refused.
    fn stands(&mut self, at: usize, place: Option<(u64, u32)>) {
        self.is_known = true;
        // What stands below what stood before stands in another log, or was cut in between.
        let jumps = |(base, _): &(u64, u32)| self.acknowledged.is_some_and(|last| *base <= last);
        let place = place.filter(|place| !jumps(place));
        let guesses = self.defect == Some(ClientDefect::GuessesOffset);
        let mut guess = self.acknowledged.map_or(0, |last| last + 1);
        for (number, each) in self.batches.iter_mut().take(at + 1).enumerate() {
            let guessed = guesses.then_some((guess, self.leader.map_or(0, |(_, epoch)| epoch)));
            let place = place.filter(|_| number == at).or(guessed);
            guess += each.records.len() as u64;
            each.decide(|number| match place {
                Some((base, epoch)) => {
                    let offset = LogOffset(base + number);
                    AppendOutcome::At(LogPosition { offset, epoch })
                }
                None => AppendOutcome::Somewhere,
            });
        }
        if let Some((base, _)) = place {
            let last = base + self.batches[at].records.len().max(1) as u64 - 1;
            self.acknowledged = self.acknowledged.max(Some(last));
        }
    }

    /// A batch is sent again after a while.
    fn wait_again(&mut self, at: usize, now: Micros, open: bool) {
        let forgets = self.defect == Some(ClientDefect::ForgetsEarlierTries);
        let batch = &mut self.batches[at];
        if let State::Sent { was_open, .. } = batch.state {
            batch.open = open || (was_open && !forgets);
        }
        batch.state = State::Waits(now.plus(self.settings.backoff_us));
    }

    /// What is on a connection that has broken is sent again on the next one.
    fn reconnect(&mut self, now: Micros) {
        self.connection += 1;
        for at in 0..self.batches.len() {
            if self.batches[at].is_sent() {
                let trusts = self.defect == Some(ClientDefect::TrustsDisconnect);
                self.wait_again(at, now, !trusts);
            }
        }
    }

    fn learn(&mut self, leader: Option<(BrokerId, u32)>) {
        let is_older =
            |(_, epoch): &(BrokerId, u32)| self.leader.is_some_and(|(_, known)| *epoch < known);
        if !leader.as_ref().is_some_and(is_older) {
            self.leader = leader.or(self.leader);
        }
    }

    /// Requests that are not answered in time, and appends that have waited too long.
    fn expire(&mut self, now: Micros, out: &mut Vec<ProducerOutput>) {
        let overdue = |each: &Pending| matches!(each.state, State::Sent { due, .. } if due <= now);
        if self.batches.iter().any(overdue) {
            self.reconnect(now);
            out.push(ProducerOutput::WantsLeader);
        }
        let Some(give_up_us) = self.settings.give_up_us else { return };
        let waits = |each: &&Pending| !each.is_decided();
        let oldest = self.batches.iter().find(waits);
        if oldest.is_some_and(|oldest| now.since(oldest.since) >= give_up_us) {
            self.give_up(|| Cause::failed("the log has not acknowledged the append in time"));
        }
    }

    /// Decides all that is not decided, and goes on as another producer: of this one, requests may
    /// still be on their way.
    fn give_up(&mut self, why: impl Fn() -> Cause) {
        let denies = self.defect == Some(ClientDefect::DeniesInFlight);
        let keeps_sending = self.defect == Some(ClientDefect::KeepsSendingRefused);
        let mut kept = VecDeque::new();
        for each in &mut self.batches {
            let on_its_way = each.is_sent() && !denies;
            let perhaps = each.open || on_its_way;
            if keeps_sending && !perhaps && !each.is_decided() {
                let (append, records) = (u64::MAX, each.records.clone());
                let (first, since, open) = (0, each.since, false);
                let state = State::Waits(each.since);
                kept.push_back(Pending { append, records, first, since, open, state });
            }
            each.decide(|_| match perhaps {
                true => AppendOutcome::Perhaps(why()),
                false => AppendOutcome::NotAppended(why()),
            });
        }
        self.connection += 1;
        self.name.id += 1 << 40;
        (self.next, self.is_known) = (0, false);
        for mut each in kept {
            each.first = self.next;
            self.next += each.records.len() as u32;
            self.batches.push_back(each);
        }
    }

    fn send_what_may_be(&mut self, now: Micros, out: &mut Vec<ProducerOutput>) {
        let Some((leader, _)) = self.leader else {
            if self.batches.iter().any(|each| !each.is_decided()) {
                out.push(ProducerOutput::WantsLeader);
            }
            return;
        };
        let in_flight_max = if self.is_known { IN_FLIGHT_MAX } else { 1 };
        for at in 0..self.batches.len() {
            match self.batches[at].state {
                State::Decided(_) => continue,
                // Two brokers at a time would take them in any order.
                State::Sent { to, .. } if to != leader => return,
                State::Sent { .. } => continue,
                State::Waits(not_before) if not_before > now => return,
                State::Waits(_) => {}
            }
            let in_flight = self.batches.iter().filter(|each| each.is_sent()).count();
            if in_flight >= in_flight_max {
                return;
            }
            self.send(at, leader, now, out);
        }
    }

    fn send(&mut self, at: usize, to: BrokerId, now: Micros, out: &mut Vec<ProducerOutput>) {
        self.tokens += 1;
        let token = self.tokens;
        let batch = &mut self.batches[at];
        let request = ProduceRequest {
            topic: self.topic.clone(),
            number: self.number,
            writer: Some(Sequenced { producer: self.name, first: batch.first }),
            kind: BatchKind::Plain,
            records: batch.records.clone(),
            all: self.defect != Some(ClientDefect::AsksLeaderAlone),
            timeout_us: self.settings.wait_us,
        };
        let due = now.plus(self.settings.request_us);
        batch.state = State::Sent { token, to, due, was_open: batch.open };
        out.push(ProducerOutput::Request {
            broker: to,
            connection: self.connection,
            token,
            request,
        });
    }

    /// Tells what is decided, in the order of the appends.
    fn tell(&mut self, out: &mut Vec<ProducerOutput>) {
        while let Some(batch) = self.batches.pop_front_if(|each| each.is_decided()) {
            let State::Decided(outcomes) = batch.state else { continue };
            if batch.append != u64::MAX {
                out.push(ProducerOutput::Told { append: batch.append, outcomes });
            }
        }
    }
}

impl Pending {
    fn is_decided(&self) -> bool {
        matches!(self.state, State::Decided(_))
    }

    fn is_sent(&self) -> bool {
        matches!(self.state, State::Sent { .. })
    }

    /// Decides it, if it is not: the outcome of each record by its place in the append.
    fn decide(&mut self, outcome: impl Fn(u64) -> AppendOutcome) {
        if !self.is_decided() {
            let outcomes = (0..self.records.len() as u64).map(outcome).collect();
            self.state = State::Decided(outcomes);
        }
    }
}
