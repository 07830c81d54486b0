//! What a leader does beyond publishing: opening, leases, reads, handing over.
//!
//! Start reading at [`Leader::accepted`].
//! Source: docs/protocols/replication.md, "Taking over" and "Reads".

use super::outbox::Outbox;
use super::publish::Publish;
use super::publisher::{InFlight, Publisher};
use super::role::Role;
use crate::fold::FoldState;
use crate::log_time::LogTime;
use crate::protocol::{
    DecidedWrite, Effect, NotDone, ReadNeed, ReplicaEvent, RequestEnd, RequestId, Settings,
};
use crate::record::{Barrier, Body, Config, ReplicaSet, StepDown, etag_of};
use alloc::vec::Vec;
use cortado_model::{Generation, Millis, NodeId, PartitionUuid, Scn};

/// A replica whose claim was accepted.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) publisher: Publisher,
    generation: Generation,
    stage: Stage,
    /// Strong reads are served before this moment.
    lease_until: Option<Millis>,
    /// Strong reads that wait for the lease to grow.
    lease_waiting: Vec<RequestId>,
    /// The barrier on its way, and the reads that arrived before it was sent.
    strict: Option<(Scn, Vec<RequestId>)>,
    /// Reads that arrived after it was sent; they share the next one.
    strict_next: Vec<RequestId>,
    settling: Vec<Settling>,
    lease_change: Option<LeaseChange>,
}

/// A change of D that others may not know of yet: the smaller one counts until they must.
#[derive(Clone, Copy, Debug)]
struct LeaseChange {
    config: Scn,
    smaller_ms: u32,
    /// The last record that had been sent when the change was accepted; a replica that folds a
    /// later one knows the new D.
    known_since: Option<Scn>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Steps 4 and 5 of taking over: a barrier, and the old leader's lease.
    Opening {
        compared: bool,
        barrier: Option<Scn>,
        proven: bool,
        not_before: Millis,
        /// Barriers that were wanted so far, and when the next one may be.
        tries: u32,
        retry_at: Millis,
    },
    Serving,
    /// The step-down is in flight; the last record of this leadership.
    SteppingDown,
}

/// A refusal or repetition that stands once everything before it is committed.
#[derive(Clone, Copy, Debug)]
struct Settling {
    request: RequestId,
    after: Scn,
    need: ReadNeed,
}

impl Leader {
    /// The claimant that `fold` has just accepted; serves no earlier than `not_before`.
    ///
    /// * `compared`: it need not be told that others have the same history.
    /// * `time`: as it goes on from there.
    pub(super) fn opening(
        fold: &FoldState,
        time: LogTime,
        not_before: Millis,
        compared: bool,
    ) -> Leader {
        let (barrier, proven, tries, retry_at) = (None, false, 0, Millis::default());
        Leader {
            publisher: Publisher::after(fold, time),
            generation: fold.generation(),
            stage: Stage::Opening { compared, barrier, proven, not_before, tries, retry_at },
            lease_until: None,
            lease_waiting: Vec::new(),
            strict: None,
            strict_next: Vec::new(),
            settling: Vec::new(),
            lease_change: None,
        }
    }

    pub(super) fn role(&self) -> Role {
        match self.stage {
            Stage::Opening { .. } => Role::Opening,
            Stage::Serving => Role::Leader,
            Stage::SteppingDown => Role::SteppingDown,
        }
    }

    /// The leadership that the fold has accepted; the publisher may already claim the next one.
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    /// The claim with which this leader goes on in the next generation was accepted.
    pub(super) fn rolled_over(&mut self, generation: Generation) {
        self.generation = generation;
    }

    /// Whether it is still to be told that it may open `generation`.
    pub(super) fn awaits_comparison(&self, generation: Generation) -> bool {
        let waits = matches!(self.stage, Stage::Opening { compared: false, .. });
        waits && self.generation == generation
    }

    /// No other replica has what this leader lacks, as far as can be known.
    pub(super) fn open_compared(&mut self, publish: &mut Publish<'_, '_>) {
        if let Stage::Opening { compared, .. } = &mut self.stage {
            *compared = true;
            self.open(publish);
        }
    }

    /// Appends the barrier that must be accepted before anything is served.
    pub(super) fn open(&mut self, publish: &mut Publish<'_, '_>) {
        let Stage::Opening { compared, barrier, tries, retry_at, .. } = &mut self.stage else {
            return;
        };
        if !*compared || barrier.is_some() || publish.out.now.clock < *retry_at {
            return;
        }
        *tries += 1;
        *retry_at = publish.out.now.clock.plus(publish.back_off_ms(*tries));
        if let Ok(scn) = self.publisher.next_place(publish) {
            *barrier = Some(scn);
            let opening = publish.fold.claimant.map(|claimant| claimant.over);
            self.publisher.push(scn, Body::Barrier(Barrier { opening }), None, publish);
        }
    }

    /// Publishes a write that was evaluated against everything in flight.
    pub(super) fn write(&mut self, write: DecidedWrite, publish: &mut Publish<'_, '_>) {
        let scn = match self.place_for_clients(publish) {
            Ok(scn) => scn,
            Err(why) => return publish.out.not_done(write.request, why),
        };
        self.publisher.push_draft(scn, write.draft, write.request, publish);
    }

    /// Section 5: a read that only the leader may serve.
    pub(super) fn read(
        &mut self,
        request: RequestId,
        need: ReadNeed,
        publish: &mut Publish<'_, '_>,
    ) {
        if !matches!(self.stage, Stage::Serving) {
            return publish.out.not_done(request, NotDone::Changing);
        }
        match (need, publish.settings.lease) {
            (ReadNeed::Lease, Some(lease)) => {
                let clock = publish.out.now.clock;
                let left_ms = self.lease_until.map_or(0, |until| until.since(clock));
                if left_ms > 0 {
                    publish.out.answer(request, RequestEnd::Ready);
                } else {
                    self.lease_waiting.push(request);
                }
                // Renewed ahead of time, so that only the first read after a silence waits.
                let duration_ms = self.lease_ms(publish.fold);
                if left_ms < lease.serve_ms(duration_ms) / 2 && self.publisher.is_idle() {
                    self.renew(publish);
                }
            }
            (ReadNeed::Lease | ReadNeed::Barrier, _) => self.strict_next.push(request),
            // Those are not the leader's business: any replica that has folded so far will do.
            (ReadNeed::Folded(_) | ReadNeed::Applied(_), _) => {
                publish.out.not_done(request, NotDone::Changing);
            }
        }
    }

    /// Answers `request` when everything published so far is committed and `need` holds.
    pub(super) fn settle(
        &mut self,
        request: RequestId,
        need: ReadNeed,
        publish: &mut Publish<'_, '_>,
    ) {
        if !matches!(self.stage, Stage::Serving) {
            return publish.out.not_done(request, NotDone::Changing);
        }
        self.settling.push(Settling { request, after: self.publisher.last(), need });
    }

    /// Section 4, planned handoff: the step-down stands behind everything in flight.
    pub(super) fn hand_off(
        &mut self,
        to: Option<NodeId>,
        request: RequestId,
        publish: &mut Publish<'_, '_>,
    ) {
        let scn = match self.place_for_clients(publish) {
            Ok(scn) => scn,
            Err(why) => return publish.out.not_done(request, why),
        };
        self.publisher.push(scn, Body::StepDown(StepDown { to }), Some(request), publish);
        self.stage = Stage::SteppingDown;
        // The successor need not wait for our lease: from now on nothing is served under it.
        for request in self.lease_waiting.drain(..).chain(self.strict_next.drain(..)) {
            publish.out.not_done(request, NotDone::Changing);
        }
    }

    /// Publishes a fact about the partition; no caller waits for it.
    pub(super) fn publish_config(&mut self, config: Config, publish: &mut Publish<'_, '_>) {
        let lease_ms = match &config {
            Config::Lease { duration_ms } => Some(*duration_ms),
            Config::Trim(_)
            | Config::Digest
            | Config::Feature { .. }
            | Config::Replicas(_)
            | Config::Indexes(_) => None,
        };
        if lease_ms.is_some() && self.lease_change.is_some() {
            return; // One change at a time.
        }
        let Ok(scn) = self.place_for_clients(publish) else { return };
        if let Some(lease_ms) = lease_ms {
            let smaller_ms = lease_ms.min(publish.fold.leases.duration_ms);
            self.lease_change = Some(LeaseChange { config: scn, smaller_ms, known_since: None });
        }
        self.publisher.push(scn, Body::Config(config), None, publish);
    }

    /// Publishes another replica set, if it follows from the one that the order rests on.
    ///
    /// Source: docs/protocols/moves.md, "The replica set".
    pub(super) fn change_replicas(
        &mut self,
        from: &ReplicaSet,
        to: ReplicaSet,
        publish: &mut Publish<'_, '_>,
    ) {
        let follows = publish.fold.replicas == *from && from.is_next_to(&to);
        // Who leads must be able to claim what follows its own generation.
        let keeps_leader = to.may_claim(publish.me.node);
        if follows && keeps_leader && !self.publisher.changes_replicas() {
            self.publish_config(Config::Replicas(to), publish);
        }
    }

    /// A record of this leader was accepted: the lease grows, and requests waiting for it go on.
    pub(super) fn accepted(
        &mut self,
        own: InFlight,
        partition: PartitionUuid,
        publish: &mut Publish<'_, '_>,
    ) {
        let header = own.record.header;
        self.advance_lease_change(header.scn);
        if let (Some(sent), Some(lease)) = (own.sent, publish.settings.lease) {
            let serve_ms = lease.serve_ms(self.lease_ms(publish.fold));
            self.lease_until = self.lease_until.max(Some(sent.plus(serve_ms)));
        }
        if let Body::Config(Config::Trim(trim)) = own.record.body
            && publish.fold.trim == Some(trim)
        {
            publish.out.effect(Effect::TrimLog(trim));
        }
        if let Some(request) = own.request {
            let etag = etag_of(partition, header.scn);
            let answer = RequestEnd::Committed { scn: header.scn, time: header.time, etag };
            publish.out.answer(request, answer);
        }
        if let Stage::Opening { barrier, proven, .. } = &mut self.stage {
            *proven |= *barrier == Some(header.scn);
        }
        if let Some((_, requests)) = self.strict.take_if(|(scn, _)| *scn <= header.scn) {
            for request in requests {
                publish.out.answer(request, RequestEnd::Ready);
            }
        }
    }

    /// Everything in the log has been folded after a failed append.
    pub(super) fn caught_up(&mut self, publish: &mut Publish<'_, '_>) {
        let Some((given_up, why)) = self.publisher.caught_up(publish) else { return };
        for in_flight in given_up {
            let Some(request) = in_flight.request else { continue };
            let answer = match (why, in_flight.is_perhaps()) {
                (NotDone::LogUnusable, true) => RequestEnd::Unknown,
                (_, _) => RequestEnd::NotDone(why),
            };
            publish.out.answer(request, answer);
        }
        if why != NotDone::LogUnusable {
            self.lease_change.take_if(|change| change.known_since.is_none());
        }
        match &mut self.stage {
            Stage::Opening { barrier, proven: false, .. } => *barrier = None,
            Stage::Opening { .. } | Stage::Serving => {}
            // A step-down that may still arrive lets its successor serve at once.
            Stage::SteppingDown if why == NotDone::LogUnusable => {}
            Stage::SteppingDown => self.stage = Stage::Serving,
        }
        let strict = self.strict.take().map(|(_, requests)| requests).unwrap_or_default();
        let waiting = strict.into_iter().chain(self.strict_next.drain(..));
        for request in waiting.chain(self.lease_waiting.drain(..)) {
            publish.out.not_done(request, why);
        }
        for settling in self.settling.drain(..) {
            publish.out.not_done(settling.request, why);
        }
    }

    /// Ends every step: whatever has become due, by time or by what was accepted.
    pub(super) fn advance(&mut self, publish: &mut Publish<'_, '_>) {
        self.publisher.tick(publish);
        self.open(publish);
        self.serve_if_due(publish);
        self.answer_settled(publish);
        self.start_strict(publish);
        self.answer_leased(publish);
    }

    pub(super) fn wake_at(&self, settings: &Settings) -> Option<Millis> {
        let stage = match self.stage {
            Stage::Opening { proven: true, not_before, .. } => Some(not_before),
            Stage::Opening { compared: true, barrier: None, retry_at, .. } => Some(retry_at),
            Stage::Opening { .. } | Stage::Serving | Stage::SteppingDown => None,
        };
        let publisher = self.publisher.wake_at(settings);
        stage.into_iter().chain(publisher).min()
    }

    /// The leadership is over: answers everything that waits for it. Writes get `in_flight`.
    ///
    /// Returns the number of writes.
    pub(super) fn dismiss(self, in_flight: RequestEnd, out: &mut Outbox<'_>) -> usize {
        let not_leader = RequestEnd::NotDone(NotDone::NotLeader);
        let mut writes = 0;
        for record in self.publisher.into_in_flight() {
            if let Some(request) = record.request {
                writes += 1;
                out.answer(request, in_flight);
            }
        }
        let strict = self.strict.map(|(_, requests)| requests).unwrap_or_default();
        let settling = self.settling.into_iter().map(|settling| settling.request);
        let reads = strict.into_iter().chain(self.strict_next).chain(self.lease_waiting);
        for request in reads.chain(settling) {
            out.answer(request, not_leader);
        }
        writes
    }

    /// The D under which this leader serves.
    fn lease_ms(&self, fold: &FoldState) -> u32 {
        self.lease_change.map_or(fold.leases.duration_ms, |change| change.smaller_ms)
    }

    /// The record at `scn` was accepted.
    fn advance_lease_change(&mut self, scn: Scn) {
        let last = self.publisher.last();
        if let Some(change) = &mut self.lease_change
            && change.config == scn
        {
            change.known_since = Some(last);
        }
        self.lease_change.take_if(|change| change.known_since.is_some_and(|since| scn > since));
    }

    fn place_for_clients(&mut self, publish: &mut Publish<'_, '_>) -> Result<Scn, NotDone> {
        match self.stage {
            Stage::Serving => self.publisher.next_place(publish),
            Stage::Opening { .. } | Stage::SteppingDown => Err(NotDone::Changing),
        }
    }

    fn serve_if_due(&mut self, publish: &mut Publish<'_, '_>) {
        if let Stage::Opening { proven: true, not_before, .. } = self.stage
            && publish.out.now.clock >= not_before
        {
            self.stage = Stage::Serving;
            publish.out.event(ReplicaEvent::Serving { generation: publish.fold.generation() });
            // The former leader may have died between publishing a trim and executing it.
            if let Some(trim) = publish.fold.trim {
                publish.out.effect(Effect::TrimLog(trim));
            }
        }
    }

    /// Sends one barrier for all strict reads that have arrived since the last one was sent.
    fn start_strict(&mut self, publish: &mut Publish<'_, '_>) {
        if self.strict.is_some() || self.strict_next.is_empty() {
            return;
        }
        let requests = core::mem::take(&mut self.strict_next);
        match self.publish_barrier(publish) {
            Ok(scn) => self.strict = Some((scn, requests)),
            Err(why) => requests.into_iter().for_each(|r| publish.out.not_done(r, why)),
        }
    }

    /// Sends a barrier for the lease's sake; reads that wait for it must not wait for nothing.
    fn renew(&mut self, publish: &mut Publish<'_, '_>) {
        if let Err(why) = self.publish_barrier(publish) {
            self.lease_waiting.drain(..).for_each(|r| publish.out.not_done(r, why));
        }
    }

    fn publish_barrier(&mut self, publish: &mut Publish<'_, '_>) -> Result<Scn, NotDone> {
        let scn = self.place_for_clients(publish)?;
        self.publisher.push(scn, Body::Barrier(Barrier::default()), None, publish);
        Ok(scn)
    }

    fn answer_leased(&mut self, publish: &mut Publish<'_, '_>) {
        if self.lease_waiting.is_empty() {
            return;
        }
        let clock = publish.out.now.clock;
        if self.lease_until.is_some_and(|until| clock < until) {
            self.lease_waiting.drain(..).for_each(|r| publish.out.answer(r, RequestEnd::Ready));
        } else if self.publisher.is_idle() {
            // What was accepted had been sent too long ago.
            self.renew(publish);
        }
    }

    fn answer_settled(&mut self, publish: &mut Publish<'_, '_>) {
        let (committed, agreed) = (publish.fold.last, publish.fold.agreed());
        let (due, waiting) = self.settling.drain(..).partition(|s| {
            let folded = match s.need {
                ReadNeed::Folded(end) => publish.fold.position.reaches(end),
                ReadNeed::Applied(scn) => agreed >= scn,
                ReadNeed::Lease | ReadNeed::Barrier => true,
            };
            s.after <= committed && folded
        });
        self.settling = waiting;
        let due: Vec<Settling> = due;
        for settling in due {
            match settling.need {
                ReadNeed::Folded(_) | ReadNeed::Applied(_) => {
                    publish.out.answer(settling.request, RequestEnd::Ready);
                }
                ReadNeed::Lease | ReadNeed::Barrier => {
                    self.read(settling.request, settling.need, publish);
                }
            }
        }
    }
}
