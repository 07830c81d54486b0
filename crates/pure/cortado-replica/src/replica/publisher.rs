//! Publishing: records on their way to the log, and what to do when the log does not answer.
//!
//! Start reading at [`Publisher::push`], then [`Publisher::caught_up`].
//! Source: docs/protocols/replication.md, "Publishing".

use super::outbox::Outbox;
use super::publish::{Publish, take_token};
use crate::fold::FoldState;
use crate::log_time::LogTime;
use crate::protocol::{
    AppendFailure, AppendToken, Effect, NotDone, Now, ReplicaEvent, RequestId, Settings,
};
use crate::record::{
    Body, ChainHash, Change, Claim, ClaimReason, Config, Draft, Header, Idempotency, Record,
    encode_at, encode_draft,
};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use cortado_model::{DocumentKey, LogOffset, Millis, RememberedKey, Scn, TableId, WallMillis};

/// A leader's records between having a place and being accepted.
///
/// Invariant: `in_flight` is in SCN order without holes, each chained to the one before, and all of
/// one generation: nothing is sent behind a claim before that is accepted.
/// The publisher's checkpoint is the SCN before its front.
#[derive(Debug)]
pub(super) struct Publisher {
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// Place, hash and time of the last record that got a place.
    last: Scn,
    chain: ChainHash,
    time: LogTime,
    documents: BTreeMap<(TableId, DocumentKey), (Scn, Change)>,
    keys: BTreeMap<RememberedKey, InFlightKey>,
    outstanding: BTreeMap<AppendToken, Places>,
    mode: Mode,
    /// Recoveries since an append was last acknowledged.
    attempts: u32,
    /// Read the log: foreign records stand between ours, or an append has been waiting for long
    /// and another replica may have claimed.
    impatient: bool,
}

/// One record on its way.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) record: Record,
    pub(super) chain: ChainHash,
    /// When it was first sent. A lease counts from here: an earlier copy may be the accepted one.
    pub(super) sent: Option<Millis>,
    pub(super) request: Option<RequestId>,
    bytes: Bytes,
    previous: ChainHash,
    /// Some copy of it is in the log or may arrive there: its place can mean nothing else any more.
    perhaps: bool,
}

impl InFlight {
    /// Whether some copy of it is in the log or may arrive there.
    pub(super) fn is_perhaps(&self) -> bool {
        self.perhaps
    }
}

/// An idempotency key whose write is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightKey {
    /// Of the request that uses it.
    pub fingerprint: u128,
    /// Where the write will stand.
    pub scn: Scn,
}

/// The records of one append: next to one another in their generation.
#[derive(Clone, Copy, Debug)]
struct Places {
    first: Scn,
    count: u64,
}

/// An append that the log holds.
#[derive(Debug)]
pub(super) struct Acknowledged {
    /// How many of its records the fold has accepted already, the first ones.
    pub(super) accepted: u64,
    /// The others.
    pub(super) records: Vec<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Records are appended as they come.
    Flowing,
    /// An append has failed: wait until all others have answered, then recover.
    Failed { usable: bool },
    /// The driver folds to the log's end.
    Recovering { usable: bool },
    /// Publish again then.
    BackingOff { until: Millis },
    /// The log takes nothing more.
    Unusable,
}

impl Publisher {
    /// Goes on behind `fold`, whose claimant this leader is.
    ///
    /// * `time`: as it goes on from there.
    pub(super) fn after(fold: &FoldState, time: LogTime) -> Publisher {
        Publisher {
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            last: fold.last,
            chain: fold.chain,
            time,
            documents: BTreeMap::new(),
            keys: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            mode: Mode::Flowing,
            attempts: 0,
            impatient: false,
        }
    }

    /// The place of the next record; claims the next generation where this one is full.
    ///
    /// # Errors
    /// There is no place: nothing has changed.
    pub(super) fn next_place(&mut self, publish: &mut Publish<'_, '_>) -> Result<Scn, NotDone> {
        match self.mode {
            Mode::Unusable
            | Mode::Failed { usable: false }
            | Mode::Recovering { usable: false } => return Err(NotDone::LogUnusable),
            Mode::Flowing
            | Mode::Failed { usable: true }
            | Mode::Recovering { usable: true }
            | Mode::BackingOff { .. } => {}
        }
        let settings = publish.settings;
        if self.in_flight.len() >= settings.in_flight_records_max
            || self.in_flight_bytes >= settings.in_flight_bytes_max
        {
            return Err(NotDone::Overloaded);
        }
        if self.last.generation > publish.fold.generation() {
            // Behind a claim that is lost, all that is sent would be void.
            return Err(NotDone::Changing);
        }
        if self.last.sequence < settings.bounds.sequence_max {
            return Ok(Scn::new(self.last.generation, self.last.sequence.next()));
        }
        if self.last.generation >= settings.bounds.generation_max {
            return Err(NotDone::Exhausted);
        }
        if self.is_idle() && publish.fold.replicas.may_claim(publish.me.node) {
            // A claim is accepted over a record that is missing before it, and what is chained to
            // that one never is: the generation must be complete before the next one opens.
            let reason = ClaimReason::SequencesUsedUp;
            let claim = Claim { reason, evidence: 0, seen: self.last };
            let opening = Scn::opening(self.last.generation.next());
            self.push(opening, Body::Claim(claim), None, publish);
        }
        Err(NotDone::Changing)
    }

    /// Gives `body` the place `scn`, which follows the last one, and appends it.
    pub(super) fn push(
        &mut self,
        scn: Scn,
        body: Body,
        request: Option<RequestId>,
        publish: &mut Publish<'_, '_>,
    ) {
        let record = Record { header: self.header(scn, publish), body };
        let partition = publish.fold.genesis.identity.partition;
        let level = publish.fold.feature_level;
        let (bytes, chain) = encode_at(level, partition, &record, self.chain);
        self.send(record, bytes, chain, request, publish);
    }

    /// As [`push`](Self::push), for a transaction.
    pub(super) fn push_draft(
        &mut self,
        scn: Scn,
        draft: Draft,
        request: RequestId,
        publish: &mut Publish<'_, '_>,
    ) {
        let header = self.header(scn, publish);
        let partition = publish.fold.genesis.identity.partition;
        let level = publish.fold.feature_level;
        let (bytes, chain, record) = encode_draft((partition, level), header, draft, self.chain);
        self.send(record, bytes, chain, Some(request), publish);
    }

    fn header(&self, scn: Scn, publish: &Publish<'_, '_>) -> Header {
        let (node, incarnation) = (publish.me.node, publish.me.incarnation);
        Header { scn, node, incarnation, time: self.time.at(publish.out.now) }
    }

    fn send(
        &mut self,
        record: Record,
        bytes: Bytes,
        chain: ChainHash,
        request: Option<RequestId>,
        publish: &mut Publish<'_, '_>,
    ) {
        let Header { scn, time, .. } = record.header;
        let follows = scn == Scn::new(self.last.generation, self.last.sequence.next())
            || (scn == Scn::opening(self.last.generation.next()) && self.is_idle());
        assert!(follows, "append: {scn} follows {}", self.last);
        self.remember(&record);
        let previous = core::mem::replace(&mut self.chain, chain);
        self.last = scn;
        self.time.pass(time, publish.out.now.clock);
        self.in_flight_bytes += bytes.len();
        let mut in_flight = InFlight {
            record,
            chain,
            sent: None,
            request,
            bytes: bytes.clone(),
            previous,
            perhaps: false,
        };
        if self.mode == Mode::Flowing {
            in_flight.sent = Some(publish.out.now.clock);
            let token = take_token(publish.next_token);
            self.outstanding.insert(token, Places { first: scn, count: 1 });
            publish.out.effect(Effect::Append { token, records: vec![bytes] });
        }
        self.in_flight.push_back(in_flight);
    }

    /// The log holds an append; `None` if it was forgotten.
    pub(super) fn acknowledged(&mut self, token: AppendToken) -> Option<Acknowledged> {
        let places = self.outstanding.remove(&token)?;
        self.attempts = 0;
        self.impatient = false;
        let mut records = Vec::new();
        for in_flight in self.in_flight_at(places) {
            in_flight.perhaps = true;
            records.push(in_flight.bytes.clone());
        }
        Some(Acknowledged { accepted: places.count - records.len() as u64, records })
    }

    /// The records of an append that are not accepted yet: its last ones.
    fn in_flight_at(&mut self, places: Places) -> impl Iterator<Item = &mut InFlight> {
        let front = self.in_flight.front().map(|front| front.record.header.scn);
        let range = match front {
            Some(front) if front.generation == places.first.generation => {
                let from = places.first.sequence.0.saturating_sub(front.sequence.0);
                let to = (places.first.sequence.0 + places.count).saturating_sub(front.sequence.0);
                from as usize..to as usize
            }
            // Records of an earlier generation were accepted, or the next one would not be open.
            Some(_) | None => 0..0,
        };
        self.in_flight.range_mut(range)
    }

    /// The log has not acknowledged an append. An answer to a forgotten append changes nothing.
    pub(super) fn failed(
        &mut self,
        token: AppendToken,
        failure: AppendFailure,
        out: &mut Outbox<'_>,
    ) {
        let Some(places) = self.outstanding.remove(&token) else { return };
        if failure != AppendFailure::NotAppended {
            self.in_flight_at(places).for_each(|in_flight| in_flight.perhaps = true);
        }
        let was_usable = !matches!(self.mode, Mode::Failed { usable: false } | Mode::Unusable);
        let usable = was_usable && failure != AppendFailure::Unusable;
        self.mode = Mode::Failed { usable };
        self.recover_when_quiet(out);
    }

    /// Asks for recovery once every append has its answer.
    pub(super) fn recover_when_quiet(&mut self, out: &mut Outbox<'_>) {
        if let Mode::Failed { usable } = self.mode
            && self.outstanding.is_empty()
        {
            self.mode = Mode::Recovering { usable };
            out.effect(Effect::Recover);
        }
    }

    /// Everything in the log has been folded: decides about what is not accepted yet.
    ///
    /// Answers the records that are given up, with the reason; else they are published again, in
    /// order, in the places they had.
    pub(super) fn caught_up(
        &mut self,
        publish: &mut Publish<'_, '_>,
    ) -> Option<(Vec<InFlight>, NotDone)> {
        let Mode::Recovering { usable } = self.mode else { return None };
        if !usable {
            self.mode = Mode::Unusable;
            return Some((self.give_up(publish), NotDone::LogUnusable));
        }
        self.mode = Mode::Flowing;
        // What came meanwhile was never sent, so the log has not refused it.
        let sent = self.in_flight.front().is_some_and(|first| first.sent.is_some());
        if sent && !self.in_flight.iter().any(|in_flight| in_flight.perhaps) {
            return Some((self.give_up(publish), NotDone::LogRefused));
        }
        self.attempts += u32::from(sent);
        if sent && self.attempts > 1 {
            let wait_ms = publish.back_off_ms(self.attempts - 1);
            let until = publish.out.now.clock.plus(wait_ms);
            self.mode = Mode::BackingOff { until };
        } else {
            self.publish_again(publish);
        }
        None
    }

    /// What becomes due by time alone.
    pub(super) fn tick(&mut self, publish: &mut Publish<'_, '_>) {
        let clock = publish.out.now.clock;
        match self.mode {
            Mode::BackingOff { until } if clock >= until => {
                self.mode = Mode::Flowing;
                self.publish_again(publish);
            }
            Mode::BackingOff { .. }
            | Mode::Flowing
            | Mode::Failed { .. }
            | Mode::Recovering { .. }
            | Mode::Unusable => {}
        }
        self.impatient |= self.patience_ends(publish.settings).is_some_and(|at| clock >= at);
        self.recover_when_quiet(publish.out);
    }

    pub(super) fn wake_at(&self, settings: &Settings) -> Option<Millis> {
        match self.mode {
            Mode::BackingOff { until } => Some(until),
            Mode::Flowing | Mode::Failed { .. } if !self.impatient => self.patience_ends(settings),
            Mode::Flowing | Mode::Failed { .. } | Mode::Recovering { .. } | Mode::Unusable => None,
        }
    }

    /// Whether records other than those in the acknowledgements to come must be read.
    ///
    /// A gap counts like a record: both must be read past.
    pub(super) fn needs_records(&self, end: LogOffset, fold: &FoldState) -> bool {
        let visible = end.0 - fold.position.offset.0;
        self.outstanding.is_empty() || self.impatient || visible > self.in_flight.len() as u64
    }

    /// The acknowledgement does not continue what has been folded.
    pub(super) fn read_back(&mut self) {
        self.impatient = true;
    }

    /// Takes the front if `bytes` are its bytes and the fold accepts them as they are.
    ///
    /// The same rule as [`FoldState::judge`], for a record that this leader chained itself.
    pub(super) fn take_expected(&mut self, bytes: &Bytes, fold: &FoldState) -> Option<InFlight> {
        let front = self.in_flight.front()?;
        let scn = front.record.header.scn;
        let follows = match &front.record.body {
            Body::Claim(_) => {
                scn == Scn::opening(fold.next_generation())
                    && fold.replicas.may_claim(front.record.header.node)
            }
            Body::Transaction(_)
            | Body::Barrier(_)
            | Body::StepDown(_)
            | Body::Config(_)
            | Body::Genesis(_) => {
                scn == Scn::new(fold.last.generation, fold.last.sequence.next())
                    && fold.stepped_down.is_none()
                    && fold.is_claimant(&front.record.header)
            }
        };
        if !follows || front.previous != fold.chain || front.bytes != *bytes {
            return None;
        }
        self.pop_front()
    }

    /// Takes the front if it is the record that was just accepted.
    pub(super) fn take_front(&mut self, scn: Scn, bytes: &Bytes) -> Option<InFlight> {
        let front = self.in_flight.front()?;
        (front.record.header.scn == scn && front.bytes == *bytes).then(|| self.pop_front())?
    }

    /// Everything in flight, in order: the leadership is over.
    pub(super) fn into_in_flight(self) -> VecDeque<InFlight> {
        self.in_flight
    }

    pub(super) fn last(&self) -> Scn {
        self.last
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The log time that the next record gets.
    pub(super) fn log_time(&self, now: Now) -> WallMillis {
        self.time.at(now)
    }

    /// Whether another replica set is on its way.
    pub(super) fn changes_replicas(&self) -> bool {
        let is_change = |in_flight: &InFlight| {
            matches!(in_flight.record.body, Body::Config(Config::Replicas(_)))
        };
        self.in_flight.iter().any(is_change)
    }

    pub(super) fn in_flight_change(&self, table: TableId, key: &DocumentKey) -> Option<&Change> {
        if self.documents.is_empty() {
            return None;
        }
        self.documents.get(&(table, key.clone())).map(|(_, change)| change)
    }

    pub(super) fn in_flight_key(&self, key: &RememberedKey) -> Option<InFlightKey> {
        self.keys.get(key).copied()
    }

    fn publish_again(&mut self, publish: &mut Publish<'_, '_>) {
        let Some(front) = self.in_flight.front() else { return };
        let first = front.record.header.scn;
        publish.out.event(ReplicaEvent::Republishing { records: self.in_flight.len() });
        let clock = publish.out.now.clock;
        let mut records = Vec::with_capacity(self.in_flight.len());
        for in_flight in &mut self.in_flight {
            in_flight.sent.get_or_insert(clock);
            records.push(in_flight.bytes.clone());
        }
        let token = take_token(publish.next_token);
        self.outstanding.insert(token, Places { first, count: records.len() as u64 });
        publish.out.effect(Effect::Append { token, records });
    }

    /// Drops everything in flight: its places are free again, or never needed any more.
    fn give_up(&mut self, publish: &Publish<'_, '_>) -> Vec<InFlight> {
        (self.last, self.chain) = (publish.fold.last, publish.fold.chain);
        // What was counted of steady time for void records counts anew.
        self.time = publish.time;
        self.in_flight_bytes = 0;
        self.documents.clear();
        self.keys.clear();
        self.in_flight.drain(..).collect()
    }

    fn pop_front(&mut self) -> Option<InFlight> {
        let front = self.in_flight.pop_front()?;
        self.in_flight_bytes -= front.bytes.len();
        self.forget(&front.record);
        Some(front)
    }

    fn remember(&mut self, record: &Record) {
        let Body::Transaction(transaction) = &record.body else { return };
        let scn = record.header.scn;
        for change in &transaction.changes {
            let place = (change.table, change.key.clone());
            self.documents.insert(place, (scn, change.clone()));
        }
        for Idempotency { name, fingerprint, .. } in &transaction.idempotency {
            self.keys.insert(name.clone(), InFlightKey { fingerprint: *fingerprint, scn });
        }
    }

    fn forget(&mut self, record: &Record) {
        let Body::Transaction(transaction) = &record.body else { return };
        let scn = record.header.scn;
        for change in &transaction.changes {
            let place = (change.table, change.key.clone());
            if self.documents.get(&place).is_some_and(|(newest, _)| *newest == scn) {
                self.documents.remove(&place);
            }
        }
        for Idempotency { name, .. } in &transaction.idempotency {
            self.keys.remove(name);
        }
    }

    /// When the oldest unanswered append has waited for long.
    fn patience_ends(&self, settings: &Settings) -> Option<Millis> {
        let oldest = self.in_flight.front().filter(|_| !self.outstanding.is_empty())?;
        oldest.sent.map(|sent| sent.plus(settings.retry_ms))
    }
}
