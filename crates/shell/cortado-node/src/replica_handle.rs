//! What others see of a replica, and how they reach the task that owns it.
//!
//! Never blocks and never changes the replica. Start reading at [`ReplicaHandle`].

use crate::asker::Input;
use crate::changed_replicas::ChangedReplicas;
use crate::store_room::StoreRoom;
use crate::tasks::Tasks;
use cortado_cluster::AppendWait;
use cortado_driver::{FoldedLeadership, INBOX_MAX, PeerStanding, ReplicaRole, Sighting};
use cortado_lanes::StoreLanes;
use cortado_model::{
    Generation, LogOffset, Millis, NodeId, NodeIncarnation, PartitionId, ReplicaIncarnation, Scn,
    WallMillis,
};
use cortado_peer::{KnownLeader, ReplicaProgress};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tracing::{Span, error_span};

/// One replica in one life of its node; it may be built anew several times.
pub(crate) struct ReplicaHandle {
    pub(crate) partition: PartitionId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: NodeIncarnation,
    /// Of what is logged of it. Entered where lines are written, and not for each poll of a task.
    pub(crate) span: Span,
    /// Its node's, as is the room.
    pub(crate) lanes: Arc<StoreLanes>,
    room: Arc<StoreRoom>,
    /// Its node's, too: what is told that this replica shows something new.
    changed: Arc<ChangedReplicas>,
    inbox: mpsc::Sender<Input>,
    shown: Shown,
}

/// Written by the driver alone, read by any task.
///
/// Invariant: what is below `folded` is in the store, and what the store shows is at or below
/// `applying`.
#[derive(Default)]
struct Shown {
    /// The life of the replica that is driven now; 0 before the first.
    life: AtomicU32,
    folded: AtomicU64,
    applied: AtomicU64,
    applying: AtomicU64,
    /// Where the log ends, as the driver knows it.
    known_end: AtomicU64,
    role: AtomicU8,
    unverified: AtomicBool,
    /// As the fold has it; 0 before there is one.
    feature_level: AtomicU32,
    /// It leads, and its log is not trimmed: digests were missing from its last round.
    held_back: AtomicBool,
    /// How often the store has been emptied to be filled anew.
    restorations: AtomicU64,
    /// Why it stands still, if a newer build could go on.
    needs_upgrade: Mutex<Option<String>>,
    /// A record is missing that others may have.
    may_lack_record: AtomicBool,
    /// When the replica last was at the end of its log, and lacked nothing.
    complete_at: AtomicU64,
    /// When it noticed that it is not, `u64::MAX` while it is.
    behind_since: AtomicU64,
    leadership: Mutex<FoldedLeadership>,
    /// That of `leadership`: readers take no lock.
    generation: AtomicU32,
    /// The peers have not been told how it is now, and will be.
    moved: AtomicBool,
    standing: Mutex<Option<PeerStanding>>,
    append_wait: Mutex<AppendWait>,
}

/// Why an input was not put in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The line is full.
    Full,
    /// The driver is gone.
    Gone,
}

impl ReplicaHandle {
    pub(crate) fn new(
        partition: PartitionId,
        (node, incarnation): (NodeId, NodeIncarnation),
        lanes: Arc<StoreLanes>,
        room: Arc<StoreRoom>,
        changed: Arc<ChangedReplicas>,
    ) -> (Arc<ReplicaHandle>, mpsc::Receiver<Input>) {
        let (inbox, receiver) = mpsc::channel(INBOX_MAX);
        let shown = Shown { behind_since: AtomicU64::new(u64::MAX), ..Shown::default() };
        // On whenever any line is.
        let span = error_span!("replica", %partition, %node);
        let handle = ReplicaHandle {
            partition,
            node,
            incarnation,
            span,
            lanes,
            room,
            changed,
            inbox,
            shown,
        };
        (Arc::new(handle), receiver)
    }

    /// Begins a life of the replica, under an incarnation that has never claimed.
    pub(crate) fn begin_life(&self, incarnation: ReplicaIncarnation) {
        self.shown.life.store(incarnation.life, Ordering::Release);
        self.changed.tell(self.partition);
    }

    /// In whose name the replica claims and writes now.
    pub(crate) fn replica_incarnation(&self) -> ReplicaIncarnation {
        let life = self.shown.life.load(Ordering::Acquire);
        ReplicaIncarnation { node: self.incarnation, life }
    }

    /// It stands still before what only a newer build can read.
    pub(crate) fn show_needs_upgrade(&self, why: String) {
        *self.shown.needs_upgrade.lock() = Some(why);
    }

    /// Why it stands still, if a newer build could go on.
    pub(crate) fn needs_upgrade(&self) -> Option<String> {
        self.shown.needs_upgrade.lock().clone()
    }

    /// Puts `input` in line.
    ///
    /// # Errors
    /// It was dropped.
    pub(crate) fn offer(&self, input: Input) -> Result<(), NotTaken> {
        self.inbox.try_send(input).map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::Full,
            TrySendError::Closed(_) => NotTaken::Gone,
        })
    }

    /// Puts `input` in line, waiting for room. `false` if the driver is gone.
    pub(crate) async fn send(&self, input: Input) -> bool {
        self.inbox.send(input).await.is_ok()
    }

    /// Puts `input` in line as soon as there is room; a task of `tasks` waits, not the caller.
    pub(crate) fn send_beside(self: &Arc<Self>, tasks: &Tasks, input: Input) {
        let handle = Arc::clone(self);
        tasks.spawn(async move {
            // A replica that is gone starts anew anyway.
            let _ = handle.send(input).await;
        });
    }

    /// Waits for the answer to an input that was put in line. `None` if the driver is gone.
    ///
    /// An input that came in line just as the driver went is dropped with the line, which the
    /// waiting caller itself holds open: its answer alone may never come.
    pub(crate) async fn answer<T>(&self, mut answer: oneshot::Receiver<T>) -> Option<T> {
        tokio::select! {
            biased;
            answered = &mut answer => answered.ok(),
            () = self.inbox.closed() => answer.try_recv().ok(),
        }
    }

    /// Inputs that wait in line.
    pub(crate) fn waiting_inputs(&self) -> usize {
        self.inbox.max_capacity() - self.inbox.capacity()
    }

    /// Waits until the driver has ended.
    pub(crate) async fn ended(&self) {
        self.inbox.closed().await;
    }

    pub(crate) fn role(&self) -> ReplicaRole {
        let role = ReplicaRole::from_number(self.shown.role.load(Ordering::Acquire));
        // Readers take no lock, but where there is nothing to read.
        if role == ReplicaRole::Offline && self.shown.needs_upgrade.lock().is_some() {
            return ReplicaRole::NeedsUpgrade;
        }
        role
    }

    /// Whether it leads and no replica has been able to compare histories with it so far.
    pub(crate) fn is_unverified(&self) -> bool {
        self.shown.unverified.load(Ordering::Acquire)
    }

    /// The feature level that its log uses, as far as it has folded; 0 before it has.
    pub(crate) fn feature_level(&self) -> u32 {
        self.shown.feature_level.load(Ordering::Acquire)
    }

    /// Whether it leads and its log is not trimmed, because digests of other replicas are missing.
    pub(crate) fn is_held_back(&self) -> bool {
        self.shown.held_back.load(Ordering::Acquire)
    }

    /// Whether its store has no room; what it has can be read.
    pub(crate) fn waits_for_room(&self) -> bool {
        self.room.is_missing()
    }

    /// Changes when the store is emptied to be filled anew: what was read across such a change
    /// may be a part of a state.
    pub(crate) fn restorations(&self) -> u64 {
        self.shown.restorations.load(Ordering::Acquire)
    }

    /// Everything below is in the store.
    pub(crate) fn folded(&self) -> LogOffset {
        LogOffset(self.shown.folded.load(Ordering::Acquire))
    }

    /// Where the log ends, as the driver last knew it.
    pub(crate) fn known_end(&self) -> LogOffset {
        LogOffset(self.shown.known_end.load(Ordering::Acquire))
    }

    /// The replica as a reader finds it now.
    pub(crate) fn sighting(&self) -> Sighting {
        let shown = &self.shown;
        // In the order of the expressions.
        Sighting {
            restorations: self.restorations(),
            role: self.role(),
            generation: Generation(shown.generation.load(Ordering::Acquire)),
            applied: self.applied(),
            folded: self.folded(),
            known_end: self.known_end(),
            complete_at: (!shown.may_lack_record.load(Ordering::Acquire))
                .then(|| Millis(shown.complete_at.load(Ordering::Acquire))),
        }
    }

    /// Everything up to here is in the store.
    pub(crate) fn applied(&self) -> Scn {
        scn_of(self.shown.applied.load(Ordering::Acquire))
    }

    /// Nothing that the store has shown so far lies above.
    pub(crate) fn applied_at_most(&self) -> Scn {
        scn_of(self.shown.applying.load(Ordering::Acquire))
    }

    /// For how long this replica has known that its log holds more; 0 if it does not.
    pub(crate) fn behind_ms(&self, now: Millis) -> u64 {
        now.since(Millis(self.shown.behind_since.load(Ordering::Acquire)))
    }

    pub(crate) fn leadership(&self) -> FoldedLeadership {
        self.shown.leadership.lock().clone()
    }

    /// Who leads, as the replica has folded its log.
    pub(crate) fn known_leader(&self) -> KnownLeader {
        let folded = self.leadership();
        let stepped_down = folded.stepped_down.is_some();
        KnownLeader { generation: folded.generation, stepped_down, node: folded.leads() }
    }

    /// Whether it leads, as it has folded its log or as a step-down has named it, and does not get
    /// to that log.
    ///
    /// * `beats_silent`, `beat_ms`: as [`AppendWait::is_cut_off`] has them.
    pub(crate) fn is_cut_off(&self, now: Millis, beats_silent: bool, beat_ms: u64) -> bool {
        let waits = self.shown.append_wait.lock().is_cut_off(now, beats_silent, beat_ms);
        waits && self.known_leader().node == Some(self.node)
    }

    /// The peers are about to be told: what changes from now on is news.
    pub(crate) fn begin_telling(&self) {
        // Nothing that is read afterwards may be read before.
        self.shown.moved.swap(false, Ordering::AcqRel);
    }

    /// How far it is, as its peers are told.
    pub(crate) fn progress(&self) -> ReplicaProgress {
        ReplicaProgress {
            partition: self.partition,
            role: self.role(),
            leader: self.known_leader(),
            applied: self.applied(),
            folded: self.folded(),
            has_room: !self.waits_for_room(),
        }
    }

    /// How this replica would say that it stands; `None` before its driver has begun.
    pub(crate) fn standing(&self, wall: WallMillis) -> Option<PeerStanding> {
        let role = self.role();
        self.shown.standing.lock().map(|standing| PeerStanding { role, wall, ..standing })
    }

    /// The node's store has room now, or not any more.
    pub(crate) fn show_room(&self) {
        self.move_on_urgently();
    }

    // What follows is for the driver.

    /// It sends an append.
    pub(crate) fn show_append(&self, now: Millis) {
        self.shown.append_wait.lock().begin(now);
    }

    /// An append was acknowledged.
    ///
    /// * `oldest`: when the oldest one was sent that is not answered, if there is any.
    pub(crate) fn show_acknowledged(&self, oldest: Option<Millis>) {
        self.shown.append_wait.lock().acknowledged(oldest);
    }

    /// Something of what [`progress`](Self::progress) tells is another one.
    fn move_on(&self) {
        // Once, however often it moves until then.
        if !self.shown.moved.swap(true, Ordering::AcqRel) {
            self.changed.tell_moved(self.partition);
        }
    }

    /// The same, and what others do depends on it.
    fn move_on_urgently(&self) {
        self.move_on();
        self.changed.hurry();
    }

    pub(crate) fn show_role(&self, role: ReplicaRole) {
        let before = self.shown.role.swap(role as u8, Ordering::AcqRel);
        if before != role as u8 {
            // The next leader finds out itself.
            self.show_held_back(false);
            self.changed.tell(self.partition);
            self.move_on_urgently();
        }
    }

    /// The store is about to be emptied.
    pub(crate) fn show_restoring(&self) {
        self.show_role(ReplicaRole::Restoring);
        self.shown.restorations.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn show_applying(&self, scn: Scn) {
        self.shown.applying.fetch_max(scn.to_u64(), Ordering::AcqRel);
    }

    /// A record is missing that others may have, or none is. Shown before what is folded behind it.
    pub(crate) fn show_lack(&self, may_lack_record: bool) {
        self.shown.may_lack_record.store(may_lack_record, Ordering::Release);
    }

    /// Everything up to here is in the store, and the log is known to end at `end`.
    ///
    /// * `now`: before `end` was known.
    pub(crate) fn show_applied(&self, applied: (Scn, LogOffset), end: LogOffset, now: Millis) {
        let (scn, offset) = applied;
        self.shown.applied.store(scn.to_u64(), Ordering::Release);
        self.shown.applying.fetch_max(scn.to_u64(), Ordering::AcqRel);
        let before = self.shown.folded.swap(offset.0, Ordering::AcqRel);
        if before != offset.0 {
            self.move_on();
        }
        if before == 0 && offset > LogOffset::ZERO {
            // Its log has begun: it can be led.
            self.changed.tell(self.partition);
        }
        self.shown.known_end.store(end.0, Ordering::Release);
        if end <= offset {
            if !self.shown.may_lack_record.load(Ordering::Acquire) {
                self.shown.complete_at.store(now.0, Ordering::Release);
            }
            self.shown.behind_since.store(u64::MAX, Ordering::Release);
        } else {
            self.shown.behind_since.fetch_min(now.0, Ordering::AcqRel);
        }
    }

    /// After a resync the replica may be anywhere.
    pub(crate) fn show_restored(&self, applied: (Scn, LogOffset)) {
        let (scn, offset) = applied;
        self.shown.applying.store(scn.to_u64(), Ordering::Release);
        self.shown.applied.store(scn.to_u64(), Ordering::Release);
        self.shown.folded.store(offset.0, Ordering::Release);
        self.changed.tell(self.partition);
        self.move_on_urgently();
    }

    pub(crate) fn show_leadership(&self, leadership: &FoldedLeadership) {
        self.shown.leadership.lock().clone_from(leadership);
        self.shown.generation.store(leadership.generation.0, Ordering::Release);
        self.changed.tell(self.partition);
        self.move_on_urgently();
    }

    pub(crate) fn show_unverified(&self, unverified: bool) {
        self.shown.unverified.store(unverified, Ordering::Release);
    }

    pub(crate) fn show_feature_level(&self, level: u32) {
        self.shown.feature_level.store(level, Ordering::Release);
    }

    pub(crate) fn show_held_back(&self, held_back: bool) {
        self.shown.held_back.store(held_back, Ordering::Release);
    }

    pub(crate) fn show_standing(&self, standing: PeerStanding) {
        *self.shown.standing.lock() = Some(standing);
    }
}

fn scn_of(number: u64) -> Scn {
    // Only `to_u64` writes these.
    Scn::from_u64(number).unwrap_or(Scn::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Life;
    use cortado_cluster::NodeLife;
    use cortado_driver::{Event, Level, Serving};
    use cortado_model::DirectoryUuid;
    use cortado_store::MemoryStore;

    fn handle() -> (Arc<ReplicaHandle>, mpsc::Receiver<Input>, Arc<ChangedReplicas>) {
        let life = (NodeId(1), NodeIncarnation(1));
        let lanes = StoreLanes::start(life.0, Arc::new(MemoryStore::new()), ());
        let lanes = Arc::new(lanes.unwrap());
        let changed = Arc::new(ChangedReplicas::default());
        let tells = Arc::clone(&changed);
        let (handle, line) =
            ReplicaHandle::new(PartitionId::CLUSTER, life, lanes, Arc::default(), tells);
        (handle, line, changed)
    }

    #[tokio::test]
    async fn requests_to_a_driver_that_has_ended_are_refused() {
        let (handle, line, _) = handle();
        let (given, was_given) = oneshot::channel();
        // Held as by an input that came in line behind the driver's last look.
        let (_stuck, never) = oneshot::channel::<u32>();
        given.send(7).unwrap();
        drop(line);
        assert_eq!(handle.answer(was_given).await, Some(7));
        assert_eq!(handle.answer(never).await, None);
    }

    #[tokio::test]
    async fn what_is_sent_beside_a_full_line_is_not_lost() {
        let (handle, mut line, _) = handle();
        while handle.offer(Event::Tick).is_ok() {}
        let (node, incarnation) = (handle.node, handle.incarnation);
        let me = NodeLife { node, incarnation, directory: DirectoryUuid(1), nonce: 0 };
        let tasks = Tasks::new(Life::new(me, mpsc::unbounded_channel().0));
        handle.send_beside(&tasks, Event::Verify);
        drop(handle);
        for _ in 0..INBOX_MAX {
            assert!(matches!(line.recv().await, Some(Event::Tick)));
        }
        assert!(matches!(line.recv().await, Some(Event::Verify)));
    }

    /// Its store held everything for the last time before a record went missing, however far the
    /// replica has folded since.
    #[test]
    fn a_state_that_may_lack_a_record_is_of_no_known_age() {
        let (handle, _line, _) = handle();
        handle.show_role(ReplicaRole::Follower);
        let bounded = Level::Bounded { max_lag_ms: 100 };
        let check = |end: u64, now: u64, serves: bool| {
            let serving = handle.sighting().serves(bounded, Some(LogOffset(end)), Millis(now));
            assert_eq!(matches!(serving, Serving::Now(_)), serves, "at {now} ms");
        };
        let folded = |offset: u64, end: u64, now: u64| {
            handle.show_applied((Scn::ZERO, LogOffset(offset)), LogOffset(end), Millis(now));
        };
        folded(7, 7, 1_000);
        check(7, 5_000, true);
        handle.show_lack(true);
        folded(8, 8, 2_000);
        check(8, 2_000, false);
        // The record has come: it is complete again, or as old as before.
        handle.show_lack(false);
        check(8, 2_000, true);
        check(9, 1_100, true);
        check(9, 1_101, false);
    }

    #[test]
    fn what_it_does_and_who_leads_is_news_and_progress_is_none() {
        let (handle, _line, changed) = handle();
        let told = || changed.take().contains(&PartitionId::CLUSTER);
        handle.show_restored((Scn::ZERO, LogOffset::ZERO));
        handle.begin_life(ReplicaIncarnation { node: NodeIncarnation(1), life: 1 });
        assert!(told());
        let check = |news: bool, change: &dyn Fn(&ReplicaHandle)| {
            change(&handle);
            assert_eq!(told(), news);
        };
        let applied = |handle: &ReplicaHandle, offset: u64| {
            handle.show_applied((Scn::ZERO, LogOffset(offset)), LogOffset(2), Millis(1));
        };
        check(true, &|handle| handle.show_role(ReplicaRole::Follower));
        check(false, &|handle| handle.show_role(ReplicaRole::Follower));
        check(false, &|handle| applied(handle, 0));
        let leadership = FoldedLeadership { since: Millis(2), ..FoldedLeadership::default() };
        check(true, &|handle| handle.show_leadership(&leadership));
        check(true, &|handle| handle.show_restoring());
        // Its first record makes a log one that can be led; the next one does not.
        check(true, &|handle| applied(handle, 1));
        check(false, &|handle| applied(handle, 2));
    }
}
