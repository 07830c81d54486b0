//! One life of a replica: its core, and what the core wants done.
//!
//! Start reading at [`Life::step`], then [`Life::settle`].

use crate::action::{Action, Reply};
use crate::appends::Appends;
use crate::applying::{Applying, Ended};
use crate::asking::{Asking, Comparing};
use crate::event::{JobId, PeerState, Surroundings};
use crate::finds::Finds;
use crate::foreign_records::ForeignRecords;
use crate::gap::GapCheck;
use crate::halt::Halt;
use crate::leadership::FoldedLeadership;
use crate::news::News;
use crate::pace::Pace;
use crate::recovery::Recovery;
use crate::requests::{Requests, WAITING_MAX, Waiting};
use crate::rounds::Rounds;
use crate::turn::Turn;
use crate::write::UnknownWhy;
use alloc::string::String;
use alloc::vec::Vec;
use cortado_model::{LogOffset, Millis, NodeId, ReplicaIncarnation, StoreError};
use cortado_replica::{
    Effect, FoldState, Identity, Input, NotDone, Replica, ReplicaEvent, RequestId, Role, VoidReason,
};

/// A successor that is named claims at once: reads wait until it has read as much as it is behind.
const SUCCESSOR_LAG_RECORDS_MAX: u64 = 10_000;
/// Longer than a generation takes to open where the log answers.
const OPENING_MS_MAX: u64 = 5_000;

/// One replica from its checkpoint until it ends or has to start anew.
#[derive(Debug)]
pub(crate) struct Life<C> {
    pub(crate) core: Replica,
    /// What the core wants done and has not been sorted yet.
    effects: Vec<Effect>,
    pub(crate) appends: Appends,
    pub(crate) applying: Applying,
    pub(crate) requests: Requests<C>,
    pub(crate) finds: Finds<C>,
    pub(crate) rounds: Rounds,
    pub(crate) pace: Pace,
    pub(crate) recovery: Recovery,
    pub(crate) leadership: FoldedLeadership,
    /// Whose records were met since that was last told.
    heard: Vec<(NodeId, ReplicaIncarnation)>,
    foreign_records: ForeignRecords,
    /// The log's end, as far as it is known.
    pub(crate) log_end: LogOffset,
    /// The question how the other replicas are, if it is open.
    pub(crate) looking: Option<JobId>,
    /// The question how they say that they stand.
    pub(crate) asking: Asking,
    pub(crate) comparing: Comparing,
    pub(crate) gap: GapCheck,
    /// The search for a bookmark, if one is under way.
    pub(crate) bookmark: Option<JobId>,
    /// When `looking` was last asked.
    pub(crate) looked_at: Millis,
    /// Where the next batch finds room.
    pub(crate) room: Room,
    /// The store has had no room for a batch.
    pub(crate) full: Option<FullStore>,
    /// No request is begun any more: end when everything is settled.
    pub(crate) stopping: bool,
    /// The log held more when this life began, and nothing of it has been read.
    unread: bool,
    /// A claim that waits for that.
    held_claim: Option<Input>,
}

/// A store that has had no room for a batch of a claimant that could not step down yet.
#[derive(Debug)]
pub(crate) struct FullStore {
    why: String,
    /// Whatever becomes of the claim.
    pub(crate) until: Millis,
}

/// Where the next batch finds room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// In the node's store.
    Here,
    /// Not here; perhaps in the store of another replica.
    Sought,
    /// In no store.
    Nowhere,
}

impl<C> Life<C> {
    /// * `log_end`: as far as it is known.
    pub(crate) fn begin(
        fold: FoldState,
        log_end: LogOffset,
        life: u32,
        turn: &mut Turn<'_, C>,
    ) -> Life<C> {
        let incarnation = ReplicaIncarnation { node: turn.me.incarnation, life };
        let me = Identity { node: turn.me.node, incarnation };
        let producer = turn.job();
        turn.act(Action::OpenProducer(producer));
        Life {
            core: Replica::new(me, turn.settings.replica, fold.clone(), turn.now),
            effects: Vec::new(),
            appends: Appends::by(producer),
            requests: Requests::new(),
            finds: Finds::new(),
            rounds: Rounds::after(fold.trimmed_below()),
            pace: Pace::default(),
            recovery: Recovery::default(),
            leadership: FoldedLeadership::of(&fold, turn.clock()),
            heard: Vec::new(),
            foreign_records: ForeignRecords::default(),
            log_end: log_end.max(fold.position.offset),
            looking: None,
            asking: Asking::default(),
            comparing: Comparing::default(),
            gap: GapCheck::default(),
            bookmark: None,
            looked_at: turn.clock(),
            room: Room::Here,
            full: None,
            stopping: false,
            unread: log_end > fold.position.offset,
            held_claim: None,
            applying: Applying::after(fold, turn.settings.gather_bytes_max),
        }
    }

    /// Feeds the core.
    pub(crate) fn step(&mut self, input: Input, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        self.core.step(turn.now, input, &mut self.effects);
        self.absorb(turn)
    }

    /// Sorts what the core wants done. Appends, stores and answers are gathered until
    /// [`settle`](Self::settle), so that neighbours share a batch.
    fn absorb(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        let mut effects = core::mem::take(&mut self.effects);
        let mut halt = Ok(());
        for effect in effects.drain(..) {
            let done = self.absorb_one(effect, turn);
            halt = halt.and(done);
        }
        // Keeps its memory.
        self.effects = effects;
        if self.appends.is_full() {
            self.hand_over(turn);
        }
        halt
    }

    fn absorb_one(&mut self, effect: Effect, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        match effect {
            Effect::Append { token, records } => {
                self.appends.gather(token, records, turn.clock());
            }
            Effect::Recover => self.recovery.want(),
            Effect::CompareHistories { until } => self.compare(until),
            Effect::Apply(apply) => {
                // A replica that does not lead evaluates no writes.
                let keep = matches!(self.core.role(), Role::Leader | Role::SteppingDown);
                self.applying.push(*apply, keep);
            }
            Effect::Answer { request, answer } => self.applying.owe(request, answer),
            Effect::Digest { at } => {
                if self.core.role() == Role::Leader {
                    self.rounds.place(at);
                }
                if self.applying.digest() {
                    self.hash_stored(turn);
                }
            }
            Effect::TrimBookmarks(trim) => {
                let job = turn.job();
                self.bookmark = Some(job);
                turn.act(Action::FindBookmark { job, trim });
            }
            Effect::TrimLog(trim) => turn.act(Action::TrimLog(trim)),
            Effect::Event(event) => return self.on_event(event, turn),
        }
        Ok(())
    }

    fn on_event(&mut self, event: ReplicaEvent, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        let now = turn.clock();
        match event {
            ReplicaEvent::Heard { node, incarnation } => {
                if !self.heard.contains(&(node, incarnation)) {
                    self.heard.push((node, incarnation));
                }
            }
            ReplicaEvent::NewGeneration { generation, leader, previous_end } => {
                self.leadership = FoldedLeadership::of(self.core.fold(), now);
                self.leadership.stepped_down = None;
                self.leadership.generation = generation;
                let own = self.is_claimant(turn);
                turn.tell(News::NewGeneration { generation, leader, previous_end, own });
            }
            ReplicaEvent::Serving { generation } => turn.tell(News::Serving { generation }),
            ReplicaEvent::Resigned { generation, not_done } => {
                turn.tell(News::Resigned { generation, not_done });
            }
            ReplicaEvent::SteppedDown { generation, to } => {
                self.leadership.stepped_down = Some(cortado_replica::StepDown { to });
                self.leadership.since = now;
                let own = self.is_claimant(turn);
                turn.tell(News::SteppedDown { generation, to, own });
            }
            ReplicaEvent::ReplicasChanged { replicas } => {
                self.leadership.replicas = replicas.clone();
                turn.tell(News::ReplicasChanged { replicas });
            }
            ReplicaEvent::ClaimLost { generation } => turn.tell(News::ClaimLost { generation }),
            ReplicaEvent::Void { offset, why } => {
                turn.tell(News::Void { offset, why });
                if why == VoidReason::Foreign
                    && let Some(records) = self.foreign_records.met(now)
                {
                    turn.tell(News::Foreign { offset, records });
                }
            }
            ReplicaEvent::GapBegan(gap) => turn.tell(News::GapBegan(gap)),
            ReplicaEvent::Disputed { offset, conflict } => {
                self.asking.begin();
                turn.tell(News::Disputed { offset, conflict });
            }
            ReplicaEvent::GapEnded { since } => turn.tell(News::GapEnded { since }),
            ReplicaEvent::Republishing { records } => turn.tell(News::Republishing { records }),
            ReplicaEvent::Stopped { offset, why } => {
                let halt = Halt::before(offset, &why);
                turn.tell(News::Stopped { offset, why });
                return Err(halt);
            }
        }
        Ok(())
    }

    /// Whether the last leadership is of this life of this node, and not of an earlier one that
    /// is being read again.
    fn is_claimant(&self, turn: &Turn<'_, C>) -> bool {
        self.core.fold().claimant.is_some_and(|claimant| {
            (claimant.node, claimant.incarnation.node) == (turn.me.node, turn.me.incarnation)
        })
    }

    /// Duty 5: appends go to the log in the order of the effects, before anything slower.
    pub(crate) fn hand_over(&mut self, turn: &mut Turn<'_, C>) {
        if let Some(records) = self.appends.hand_over() {
            turn.act(Action::Append { records });
        }
    }

    /// Duty 5: appends, then the store. Answers follow as the batches before them are done.
    pub(crate) fn flush(&mut self, turn: &mut Turn<'_, C>) {
        self.hand_over(turn);
        if let Some((job, to_apply)) = self.applying.next(|| turn.job()) {
            let (batch, last) = (to_apply.batch.into(), to_apply.last);
            turn.act(Action::Apply { job, batch, last, transactions: to_apply.transactions });
        }
        for (node, incarnation) in core::mem::take(&mut self.heard) {
            turn.tell(News::Heard { node, incarnation });
        }
    }

    /// Hashes what is in the store now, to compare it with others.
    pub(crate) fn hash_stored(&mut self, turn: &mut Turn<'_, C>) {
        let (state, transactions) = (self.applying.stored(), self.applying.transactions());
        let (at, below, time) = (state.last, state.position.offset, state.time);
        let known = self.rounds.known(transactions, time);
        let job = turn.job();
        self.rounds.hashing(job, crate::rounds::Hashing { at, below, transactions });
        turn.act(Action::Hash { job, time, known });
    }

    /// Duty 6: a committed batch is in the store, or nothing of it is.
    pub(crate) fn on_applied(
        &mut self,
        job: JobId,
        applied: Result<(), StoreError>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let digest = match self.applying.ended(job, applied) {
            Ok(Ended::Unknown) => return Ok(()),
            Ok(Ended::Stored { digest }) => digest,
            // Whether the node has room is told apart from this.
            Ok(Ended::LeftOut) => false,
            // Others take it for their leader, or are about to: first it leads, and steps down.
            Err(StoreError::Full { why }) if self.is_claimant_unopened() => {
                let until = turn.clock().plus(OPENING_MS_MAX);
                self.full = Some(FullStore { why, until });
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.finds.applied(self.applying.done(), JobId(*turn.jobs));
        self.forget_recent();
        if digest {
            self.hash_stored(turn);
        }
        Ok(())
    }

    /// Whether others may take it for their leader, and it cannot step down yet.
    fn is_claimant_unopened(&self) -> bool {
        matches!(self.core.role(), Role::Candidate | Role::Opening)
    }

    /// A life that found no room while it could not step down ends as soon as it can.
    pub(crate) fn end_if_full(&mut self, now: Millis) -> Result<(), Halt> {
        let waits = self.is_claimant_unopened();
        let is_due = |full: &mut FullStore| !waits || now >= full.until;
        match self.full.take_if(is_due) {
            Some(FullStore { why, .. }) => Err(Halt::StoreFull { why }),
            None => Ok(()),
        }
    }

    /// Drops what every look into the store has seen.
    pub(crate) fn forget_recent(&mut self) {
        if let Some(seen) = self.finds.take_seen() {
            self.applying.forget_recent(seen);
        }
    }

    /// Whether no more can be taken: a caller that asks now is told to retry.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting_requests() >= WAITING_MAX
    }

    /// Requests that are not answered.
    pub(crate) fn waiting_requests(&self) -> usize {
        self.requests.len() + self.finds.len()
    }

    /// Whether nothing that was begun is without an end.
    pub(crate) fn is_settled(&self) -> bool {
        self.requests.len() == 0
            && self.finds.is_empty()
            && self.appends.is_empty()
            && self.applying.is_idle()
    }

    /// A claim that detection has decided on, or that a diverged claimant asks for.
    pub(crate) fn claim(&mut self, claim: Input, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        if self.core.role() != Role::Follower || self.stopping || self.gap.is_open() {
            return Ok(());
        }
        if self.unread {
            // A log that was cut off or replaced says so when it is read: no claim belongs there.
            self.held_claim = Some(claim);
            return Ok(());
        }
        self.step(claim, turn)?;
        // The core does not claim if that would come to nothing.
        if self.core.role() == Role::Candidate {
            turn.tell(News::Claims);
        }
        Ok(())
    }

    /// The log was read from where this life began, or from behind that.
    pub(crate) fn has_read(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        self.unread = false;
        match self.held_claim.take() {
            Some(claim) => self.claim(claim, turn),
            None => Ok(()),
        }
    }

    /// Gives up a leadership that this life no longer exercises. The step-down stands behind
    /// everything in flight, so a replica that folds it has folded that, too.
    pub(crate) fn step_down_silently(&mut self, turn: &mut Turn<'_, C>) {
        if self.core.role() != Role::Leader {
            return;
        }
        let request = self.requests.next_id();
        let step_down = Input::HandOff { to: None, request };
        self.core.step(turn.now, step_down, &mut self.effects);
        for effect in self.effects.drain(..) {
            if let Effect::Append { token, records } = effect {
                self.appends.gather(token, records, turn.clock());
            }
        }
        self.hand_over(turn);
    }

    /// Tells every waiting caller that this replica goes away.
    pub(crate) fn hang_up(&mut self, turn: &mut Turn<'_, C>) {
        let nothing_begun = Reply::NotDone(NotDone::Offline);
        for caller in self.finds.take_callers() {
            turn.act(Action::Reply { caller, reply: nothing_begun.clone() });
        }
        for waiting in self.requests.take_all() {
            let (caller, reply) = match waiting {
                // Its record may be in the log.
                Waiting::Write { caller, .. } | Waiting::HandOff(caller) => {
                    (caller, Reply::Unknown(UnknownWhy::LeaderLost))
                }
                Waiting::Settle { caller, .. } | Waiting::Read(caller) => {
                    (caller, nothing_begun.clone())
                }
                Waiting::Anew(pending) => (pending.caller, nothing_begun.clone()),
            };
            turn.act(Action::Reply { caller, reply });
        }
    }

    /// The next answer of the core that is due.
    pub(crate) fn take_due(&mut self) -> Option<(Waiting<C>, cortado_replica::RequestEnd)> {
        loop {
            let (request, answer): (RequestId, _) = self.applying.take_due()?;
            if let Some(waiting) = self.requests.take(request) {
                return Some((waiting, answer));
            }
        }
    }

    /// Asks how the other replicas are, unless that is being asked.
    pub(crate) fn look_around(&mut self, turn: &mut Turn<'_, C>) {
        if self.looking.is_none() {
            let job = turn.job();
            self.looking = Some(job);
            self.looked_at = turn.clock();
            turn.act(Action::LookAround(job));
        }
    }

    /// Steps down if the node's store is full, in favour of a node that could lead. Without one, it
    /// leads on: what it has can be read.
    pub(crate) fn give_way_if_full(
        &mut self,
        around: &Surroundings,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        if self.room == Room::Here {
            return Ok(());
        }
        let end = self.log_end.max(self.core.fold().position.offset);
        // By name: that one claims at once, and if its store should be full by then, all the same.
        let Some(to) = successor(&around.peers, end) else {
            self.room = Room::Nowhere;
            return Ok(());
        };
        self.room = Room::Sought;
        if self.core.role() != Role::Leader {
            return Ok(());
        }
        let request = self.requests.next_id();
        self.step(Input::HandOff { to: Some(to), request }, turn)
    }
}

/// Who should follow a leader without room: of those that could lead, the one that has most.
///
/// * `end`: of the log.
fn successor(peers: &[PeerState], end: LogOffset) -> Option<NodeId> {
    let could = |peer: &&PeerState| {
        let lag_records = end.0.saturating_sub(peer.folded.0);
        peer.readable && peer.has_room && lag_records <= SUCCESSOR_LAG_RECORDS_MAX
    };
    peers.iter().filter(could).max_by_key(|peer| peer.folded).map(|peer| peer.node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_has_room_is_close_and_has_most() {
        let close = PeerState {
            node: NodeId(2),
            readable: true,
            has_room: true,
            serves: false,
            folded: LogOffset(20_000),
        };
        let check = |want: Option<u32>, peers: &[PeerState]| {
            assert_eq!(successor(peers, LogOffset(30_000)), want.map(NodeId));
        };
        let more = PeerState { node: NodeId(3), folded: LogOffset(20_001), ..close };
        check(None, &[]);
        check(Some(2), &[close]);
        check(Some(3), &[close, more]);
        check(Some(2), &[close, PeerState { has_room: false, ..more }]);
        check(Some(2), &[close, PeerState { readable: false, ..more }]);
        // It would claim at once, and reads would wait until it has read the log.
        check(None, &[PeerState { folded: LogOffset(19_999), ..close }]);
    }
}
