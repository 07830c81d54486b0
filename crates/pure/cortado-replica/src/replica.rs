//! One replica of one partition: follower, candidate, leader, by the log's order alone.
//!
//! Never fails, blocks or reads a clock. Start reading at [`Replica::step`].
//! Source: docs/protocols/replication.md.

mod role;
mod identity;
mod former;
mod doubt;
mod claim;
mod leader;
mod publisher;
mod publish;
mod outbox;

pub use identity::{Identity, genesis_record};
pub use publisher::InFlightKey;
pub use role::Role;

use crate::fold::{FoldState, Stop, Verdict, VoidReason};
use crate::log_time::LogTime;
use crate::page::RecordPage;
use crate::protocol::{
    AppendFailure, AppendToken, Effect, Input, NotDone, Now, ReadNeed, ReplicaEvent, RequestEnd,
    RequestId, Settings,
};
use crate::record::{Barrier, Body, ChainHash, Change, ClaimReason, Config, Header, Record};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use cortado_model::{
    DocumentKey, Generation, LogOffset, LogPosition, Millis, RememberedKey, TableId, WallMillis,
};
use former::Former;
use leader::Leader;
use outbox::Outbox;
use publish::Publish;
use publisher::InFlight;

/// The state machine. Owned by one driver, which keeps the duties of
/// docs/protocols/replication.md, "Duties of the driver".
#[derive(Debug)]
pub struct Replica {
    me: Identity,
    settings: Settings,
    fold: FoldState,
    /// As it goes on from the last record that was accepted.
    time: LogTime,
    stage: Stage,
    next_token: AppendToken,
    /// Reads that wait for this replica to fold further, whichever replica leads.
    parked: Vec<(RequestId, ReadNeed)>,
    /// The last generation that it has claimed.
    claimed: Generation,
    /// More than once: the outcome of the first time is unknown.
    claims_again: bool,
    /// When this replica folded the last accepted record of a generation that it did not lead.
    foreign_at: Option<Millis>,
    /// Records folded since the last bookmark was set.
    unmarked_records: u64,
    /// Records folded since the fold state was last handed to the store.
    unstored_records: u64,
    /// Where that was.
    stored: LogOffset,
}

#[derive(Debug)]
enum Stage {
    Offline,
    Follower {
        claim: Option<PendingClaim>,
    },
    Leader(Box<Leader>),
    /// Folds on, in doubt about what it has, until it agrees with the leader of a generation behind
    /// this one.
    Diverged {
        since: Generation,
    },
}

/// A claim that has been sent and not yet met in the log.
#[derive(Clone, Copy, Debug)]
struct PendingClaim {
    generation: Generation,
    token: AppendToken,
    give_up_at: Millis,
}

/// Histories are compared for so long at least, if a replica has not answered.
const COMPARE_MS_MIN: u64 = 300;
/// Folded records without a transaction that make the fold state worth storing.
const STORE_RECORDS_MAX: u64 = 1_024;

impl Replica {
    /// A follower that goes on from `fold`, as its checkpoint says.
    pub fn new(me: Identity, settings: Settings, fold: FoldState, now: Now) -> Replica {
        let stored = fold.position.offset;
        // The age of the last record is unknown; the cautious answer is: just now.
        let foreign_at = fold.claimant.map(|_| now.clock);
        Replica {
            me,
            settings,
            time: LogTime::new(fold.time, now.clock),
            fold,
            stage: Stage::Follower { claim: None },
            next_token: AppendToken(0),
            parked: Vec::new(),
            claimed: Generation::default(),
            claims_again: false,
            foreign_at,
            unmarked_records: 0,
            unstored_records: 0,
            stored,
        }
    }

    /// The log time that a record would get now. Of a leader, that goes on from what it has sent,
    /// which may have been refused: what is judged by it carries the same.
    pub fn log_time(&self, now: Now) -> WallMillis {
        match &self.stage {
            Stage::Leader(leader) => leader.publisher.log_time(now),
            Stage::Offline | Stage::Follower { .. } | Stage::Diverged { .. } => self.time.at(now),
        }
    }

    /// Takes one input and appends the work it causes to `effects`.
    ///
    /// Total: never fails, blocks or reads a clock. `now.clock` must not go backwards.
    pub fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        let mut out = Outbox::new(now, effects);
        match input {
            Input::Page(page) => self.on_page(page, &mut out),
            Input::Appended { token, first } => self.on_appended(token, first, &mut out),
            Input::AppendFailed { token, failure } => self.on_failed(token, failure, &mut out),
            Input::CaughtUp { end } => self.on_caught_up(end, &mut out),
            Input::Write(write) => match self.leader(&mut out) {
                Ok((leader, mut publish)) => leader.write(write, &mut publish),
                Err(why) => out.not_done(write.request, why),
            },
            Input::Read { request, need } => self.on_read(request, need, &mut out),
            Input::Settle { request, need } => match self.leader(&mut out) {
                Ok((leader, mut publish)) => leader.settle(request, need, &mut publish),
                Err(why) => out.not_done(request, why),
            },
            Input::Claim { reason, evidence } => {
                self.on_claim_wanted(reason, evidence, &mut out);
            }
            Input::Open { generation } => self.on_open(generation, &mut out),
            Input::Diverged { generation } => self.on_diverged(generation, &mut out),
            Input::HandOff { to, request } => match self.leader(&mut out) {
                Ok((leader, mut publish)) => leader.hand_off(to, request, &mut publish),
                Err(why) => out.not_done(request, why),
            },
            Input::Config(config) => self.on_config(config, &mut out),
            Input::ChangeReplicas { generation, from, to } => {
                if let Ok((leader, mut publish)) = self.leader(&mut out)
                    && leader.generation() == generation
                {
                    leader.change_replicas(&from, to, &mut publish);
                }
            }
            Input::Tick => {}
        }
        self.advance(&mut out);
        self.answer_parked(&mut out);
        self.flush(&mut out);
    }

    /// What this replica may do now.
    pub fn role(&self) -> Role {
        match &self.stage {
            Stage::Offline => Role::Offline,
            _ if self.fold.dispute().is_some() => Role::Disputed,
            Stage::Follower { claim: None } => Role::Follower,
            Stage::Follower { claim: Some(_) } => Role::Candidate,
            Stage::Leader(leader) => leader.role(),
            Stage::Diverged { .. } => Role::Diverged,
        }
    }

    /// What has been folded.
    pub fn fold(&self) -> &FoldState {
        &self.fold
    }

    /// The newest change of a document that is on its way and not yet in the store.
    pub fn in_flight(&self, table: TableId, key: &DocumentKey) -> Option<&Change> {
        match &self.stage {
            Stage::Leader(leader) => leader.publisher.in_flight_change(table, key),
            Stage::Offline | Stage::Follower { .. } | Stage::Diverged { .. } => None,
        }
    }

    /// The use of an idempotency key that is on its way and not yet in the store.
    pub fn in_flight_key(&self, key: &RememberedKey) -> Option<InFlightKey> {
        match &self.stage {
            Stage::Leader(leader) => leader.publisher.in_flight_key(key),
            Stage::Offline | Stage::Follower { .. } | Stage::Diverged { .. } => None,
        }
    }

    /// Whether the driver should read the log, whose end is now `end`.
    ///
    /// A leader meets its own records in the acknowledgements, unless foreign ones stand between.
    pub fn needs_records(&self, end: LogOffset) -> bool {
        let behind = end > self.fold.position.offset;
        match &self.stage {
            Stage::Offline => false,
            Stage::Follower { .. } | Stage::Diverged { .. } => behind,
            Stage::Leader(leader) => behind && leader.publisher.needs_records(end, &self.fold),
        }
    }

    /// When [`Input::Tick`] is due, if nothing else happens before.
    pub fn wake_at(&self) -> Option<Millis> {
        match &self.stage {
            Stage::Offline | Stage::Follower { claim: None } | Stage::Diverged { .. } => None,
            Stage::Follower { claim: Some(claim) } => Some(claim.give_up_at),
            Stage::Leader(leader) => leader.wake_at(&self.settings),
        }
    }

    /// The leader, with what it needs to publish; or why there is none here.
    fn leader<'a, 'b>(
        &'a mut self,
        out: &'a mut Outbox<'b>,
    ) -> Result<(&'a mut Leader, Publish<'a, 'b>), NotDone> {
        match &mut self.stage {
            Stage::Leader(leader) => {
                let publish = Publish {
                    me: &self.me,
                    settings: &self.settings,
                    fold: &self.fold,
                    time: self.time,
                    next_token: &mut self.next_token,
                    out,
                };
                Ok((leader, publish))
            }
            Stage::Offline | Stage::Diverged { .. } => Err(NotDone::Offline),
            Stage::Follower { .. } => Err(NotDone::NotLeader),
        }
    }

    fn on_page(&mut self, page: RecordPage, out: &mut Outbox<'_>) {
        if matches!(self.stage, Stage::Offline) {
            return; // For good, even if the same bytes should be well the next time.
        }
        if let Err(stop) = self.fold.begin_page(&page) {
            return self.stop(stop, out);
        }
        for (offset, bytes) in page.entries {
            let place = LogPosition { offset, epoch: page.next.epoch };
            if self.fold.reach(place) && !self.fold_entry(&bytes, out) {
                return;
            }
        }
        self.fold.end_page(page.next);
    }

    /// The log's word that records of this replica stand from `first` on.
    fn on_appended(&mut self, token: AppendToken, first: LogPosition, out: &mut Outbox<'_>) {
        let Stage::Leader(leader) = &mut self.stage else { return };
        let Some(acknowledged) = leader.publisher.acknowledged(token) else { return };
        if acknowledged.records.is_empty() {
            return; // All of them were read back before.
        }
        let next = LogPosition { offset: first.offset.plus(acknowledged.accepted), ..first };
        if next != self.fold.position {
            // Another record or a gap stands between, or the log answers out of order; or another
            // leader of the log's own has appended it, which may not have what stood before.
            leader.publisher.read_back();
            return;
        }
        for bytes in acknowledged.records {
            if !self.fold_entry(&bytes, out) {
                return;
            }
        }
    }

    fn on_failed(&mut self, token: AppendToken, failure: AppendFailure, out: &mut Outbox<'_>) {
        match &mut self.stage {
            Stage::Leader(leader) => leader.publisher.failed(token, failure, out),
            Stage::Follower { claim: Some(claim) } if claim.token == token => {
                if failure == AppendFailure::NotAppended {
                    self.stage = Stage::Follower { claim: None };
                }
            }
            Stage::Follower { .. } | Stage::Offline | Stage::Diverged { .. } => {}
        }
    }

    fn on_caught_up(&mut self, end: LogOffset, out: &mut Outbox<'_>) {
        if matches!(self.stage, Stage::Offline) {
            return;
        }
        if self.fold.position.offset < end {
            // The driver's duty was to feed the log up to `end`: ask again.
            out.effect(Effect::Recover);
            return;
        }
        if let Ok((leader, mut publish)) = self.leader(out) {
            leader.caught_up(&mut publish);
        }
    }

    fn on_read(&mut self, request: RequestId, need: ReadNeed, out: &mut Outbox<'_>) {
        match (need, self.role()) {
            (_, Role::Offline | Role::Diverged | Role::Disputed) => {
                out.not_done(request, NotDone::Offline);
            }
            (ReadNeed::Folded(_) | ReadNeed::Applied(_), _) => self.parked.push((request, need)),
            (ReadNeed::Lease | ReadNeed::Barrier, _) => match self.leader(out) {
                Ok((leader, mut publish)) => leader.read(request, need, &mut publish),
                Err(why) => out.not_done(request, why),
            },
        }
    }

    fn on_config(&mut self, config: Config, out: &mut Outbox<'_>) {
        if let Ok((leader, mut publish)) = self.leader(out) {
            leader.publish_config(config, &mut publish);
        }
    }

    /// Section 4, step 4: the histories were compared.
    fn on_open(&mut self, generation: Generation, out: &mut Outbox<'_>) {
        if let Ok((leader, mut publish)) = self.leader(out)
            && leader.generation() == generation
        {
            leader.open_compared(&mut publish);
        }
    }

    /// Section 4, step 1: append the claim; the fold decides.
    /// Folds the entry at the fold's position. Answers whether the replica is still online.
    fn fold_entry(&mut self, bytes: &Bytes, out: &mut Outbox<'_>) -> bool {
        if let Stage::Leader(leader) = &mut self.stage
            && let Some(own) = leader.publisher.take_expected(bytes, &self.fold)
        {
            self.accept(own.record.clone(), own.chain, bytes, Some(own), out);
            return true;
        }
        let (header, verdict) = self.fold.examine(bytes, self.settings.feature_level);
        let stops = matches!(verdict, Verdict::Stop(_));
        if let Some(Header { node, incarnation, .. }) = header.filter(|_| !stops) {
            out.event(ReplicaEvent::Heard { node, incarnation });
        }
        match verdict {
            Verdict::Accepted(record, chain) => {
                let own = match &mut self.stage {
                    Stage::Leader(leader) => leader.publisher.take_front(record.header.scn, bytes),
                    Stage::Follower { .. } | Stage::Offline | Stage::Diverged { .. } => None,
                };
                self.accept(record, chain, bytes, own, out);
            }
            Verdict::Void(why) => {
                if let VoidReason::Disputed(conflict) = why {
                    self.dispute(conflict, out);
                }
                out.event(ReplicaEvent::Void { offset: self.fold.position.offset, why });
                if let Some(gap) = self.fold.skip(why) {
                    out.event(ReplicaEvent::GapBegan(gap));
                }
                self.count_folded();
            }
            Verdict::Stop(stop) => self.stop(stop, out),
        }
        !stops
    }

    fn accept(
        &mut self,
        record: Record,
        chain: ChainHash,
        bytes: &Bytes,
        own: Option<InFlight>,
        out: &mut Outbox<'_>,
    ) {
        let former = Former::of(&self.fold, self.me.node);
        let gap = self.fold.gap();
        self.fold.accept(&record, chain, bytes);
        self.time.pass(self.fold.time, out.now.clock);
        self.count_folded();
        let Record { header, body } = record;
        let mine = header.node == self.me.node && header.incarnation == self.me.incarnation;
        match body {
            Body::Claim(claim) => {
                if claim.reason == ClaimReason::DisputeResolved {
                    // Others copy what is stored here.
                    self.store_state(out);
                }
                self.on_generation(&header, mine, former, own.is_some(), out);
            }
            Body::Transaction(transaction) => out.committed(header, transaction),
            Body::StepDown(step_down) => {
                let generation = header.scn.generation;
                out.event(ReplicaEvent::SteppedDown { generation, to: step_down.to });
            }
            Body::Config(Config::Trim(trim)) => {
                self.store_state(out);
                if self.fold.trim == Some(trim) {
                    out.effect(Effect::TrimBookmarks(trim));
                }
            }
            Body::Config(Config::Digest) => {
                self.store_state(out);
                out.effect(Effect::Digest { at: header.scn });
            }
            Body::Config(Config::Replicas(replicas)) => {
                out.event(ReplicaEvent::ReplicasChanged { replicas });
            }
            Body::Barrier(Barrier { opening: Some(_) }) if mine => {
                // Who is behind what it goes on with copies that, also if nothing is written.
                self.store_state(out);
            }
            Body::Config(Config::Lease { .. } | Config::Feature { .. } | Config::Indexes(_))
            | Body::Genesis(_)
            | Body::Barrier(_) => {}
        }
        if let Some(gap) = gap.filter(|_| self.fold.gap().is_none()) {
            out.event(ReplicaEvent::GapEnded { since: gap.since });
        }
        if !mine {
            self.foreign_at = Some(out.now.clock);
        }
        self.end_divergence();
        if let Some(own) = own {
            self.settle_own(own, out);
        }
        self.set_bookmark(out);
    }

    /// A record of this leader has been accepted: its lease grows, its request is answered.
    fn settle_own(&mut self, own: InFlight, out: &mut Outbox<'_>) {
        let stepped_down = matches!(own.record.body, Body::StepDown(_));
        let partition = self.fold.genesis.identity.partition;
        if let Ok((leader, mut publish)) = self.leader(out) {
            leader.accepted(own, partition, &mut publish);
        }
        if stepped_down {
            self.resign(out);
        }
    }

    /// Sections 4 and 3: what a newly won generation means for this replica.
    fn on_generation(
        &mut self,
        header: &Header,
        mine: bool,
        former: Former,
        rolled_over: bool,
        out: &mut Outbox<'_>,
    ) {
        let generation = header.scn.generation;
        let (leader, previous_end) = (header.node, former.end);
        out.event(ReplicaEvent::NewGeneration { generation, leader, previous_end });
        if rolled_over {
            if let Stage::Leader(leader) = &mut self.stage {
                leader.rolled_over(generation);
            }
            return;
        }
        self.resign(out);
        if let Stage::Follower { claim: Some(claim) } = self.stage
            && claim.generation <= generation
        {
            if !mine {
                out.event(ReplicaEvent::ClaimLost { generation: claim.generation });
            }
            self.stage = Stage::Follower { claim: None };
        }
        if mine {
            let wait_ms = match self.settings.lease.filter(|_| !former.ended) {
                Some(lease) => lease.wait_ms(self.fold.leases.longest_ms),
                None => 0,
            };
            let last_heard = self.foreign_at.unwrap_or_default();
            let not_before = if wait_ms == 0 { out.now.clock } else { last_heard.plus(wait_ms) };
            // Of two claims, the other one may be what counts elsewhere.
            let compared = former.awaits_me && !self.claims_again;
            let opening = Leader::opening(&self.fold, self.time, not_before, compared);
            self.stage = Stage::Leader(Box::new(opening));
            if !compared {
                let until = out.now.clock.plus(COMPARE_MS_MIN).max(not_before);
                out.effect(Effect::CompareHistories { until });
            }
            if let Ok((leader, mut publish)) = self.leader(out) {
                leader.open(&mut publish);
            }
        }
    }

    /// A leader becomes a follower: nothing that it has in flight can be accepted any more.
    fn resign(&mut self, out: &mut Outbox<'_>) {
        let follower = Stage::Follower { claim: None };
        if !matches!(self.stage, Stage::Leader(_)) {
            return;
        }
        if let Stage::Leader(leader) = core::mem::replace(&mut self.stage, follower) {
            let generation = leader.generation();
            out.withdraw_reads();
            let not_done = leader.dismiss(RequestEnd::NotDone(NotDone::NotLeader), out);
            out.event(ReplicaEvent::Resigned { generation, not_done });
        }
    }

    /// Stops for good: what is in flight may have been committed, and this replica cannot tell.
    fn stop(&mut self, why: Stop, out: &mut Outbox<'_>) {
        self.flush(out);
        if let Stage::Leader(leader) = core::mem::replace(&mut self.stage, Stage::Offline) {
            leader.dismiss(RequestEnd::Unknown, out);
        }
        self.refuse_parked(out);
        out.event(ReplicaEvent::Stopped { offset: self.fold.position.offset, why });
    }

    fn refuse_parked(&mut self, out: &mut Outbox<'_>) {
        for (request, _) in self.parked.drain(..) {
            out.not_done(request, NotDone::Offline);
        }
    }

    /// Ends every step: whatever has become due.
    fn advance(&mut self, out: &mut Outbox<'_>) {
        if let Stage::Follower { claim: Some(claim) } = self.stage
            && out.now.clock >= claim.give_up_at
        {
            // The claim may still arrive; a second one of the same generation would be void.
            self.stage = Stage::Follower { claim: None };
        }
        if let Ok((leader, mut publish)) = self.leader(out) {
            leader.advance(&mut publish);
        }
    }

    fn answer_parked(&mut self, out: &mut Outbox<'_>) {
        let fold = &self.fold;
        self.parked.retain(|(request, need)| {
            let holds = match need {
                ReadNeed::Folded(end) => fold.position.reaches(*end),
                ReadNeed::Applied(scn) => fold.agreed() >= *scn,
                ReadNeed::Lease | ReadNeed::Barrier => true,
            };
            if holds {
                out.answer(*request, RequestEnd::Ready);
            }
            !holds
        });
    }

    /// Offsets would not do: there may be gaps between them.
    fn count_folded(&mut self) {
        self.unmarked_records += 1;
        self.unstored_records += 1;
    }

    fn set_bookmark(&mut self, out: &mut Outbox<'_>) {
        if self.unmarked_records >= self.settings.bookmark_records {
            self.unmarked_records = 0;
            out.bookmark(self.fold.clone());
        }
    }

    /// Hands over what was committed in this step, then the answers that wait for it.
    fn flush(&mut self, out: &mut Outbox<'_>) {
        let grown = self.unstored_records >= STORE_RECORDS_MAX && self.fold.dispute().is_none();
        if out.has_work() || grown {
            self.store_state(out);
        }
        out.release_answers();
    }

    fn store_state(&mut self, out: &mut Outbox<'_>) {
        assert!(self.fold.position.reaches(self.stored), "apply: a checkpoint never goes back");
        self.stored = self.fold.position.offset;
        self.unstored_records = 0;
        out.apply(self.fold.clone());
        out.release_answers();
    }
}

#[cfg(test)]
mod tests;
