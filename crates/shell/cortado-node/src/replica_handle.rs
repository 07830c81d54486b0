//! What others see of a replica, and how they reach the task that owns it.
//!
//! Never blocks and never changes the replica. Start reading at [`ReplicaHandle`].

use crate::changed_replicas::ChangedReplicas;
use crate::inbox::{DriverInput, INBOX_MAX};
use crate::vitals::Vitals;
use cortado_model::{
    Generation, LogOffset, Millis, NodeId, NodeIncarnation, PartitionId, ReplicaIncarnation, Scn,
};
use cortado_replica::{FoldState, Role, StepDown};
use cortado_store::Store;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// One replica in one life of its node; it may be built anew several times.
pub(crate) struct ReplicaHandle {
    pub(crate) partition: PartitionId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: NodeIncarnation,
    pub(crate) store: Arc<dyn Store>,
    /// Its node's.
    vitals: Arc<Vitals>,
    /// Its node's, too: whom to tell that this replica shows something new.
    changed: Arc<ChangedReplicas>,
    inbox: mpsc::Sender<DriverInput>,
    shown: Shown,
}

/// What a replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplicaRole {
    /// Out of service.
    Offline = 0,
    /// Copies a snapshot or folds its log again.
    Restoring = 1,
    /// Applies what the leader commits.
    Follower = 2,
    /// A follower whose claim is on its way.
    Candidate = 3,
    /// Has won its generation but may not serve yet.
    Opening = 4,
    /// Serves writes and strong reads.
    Leader = 5,
    /// Hands over.
    SteppingDown = 6,
}

impl ReplicaRole {
    /// The name in status and metrics.
    pub fn name(self) -> &'static str {
        match self {
            ReplicaRole::Offline => "offline",
            ReplicaRole::Restoring => "restoring",
            ReplicaRole::Follower => "follower",
            ReplicaRole::Candidate => "candidate",
            ReplicaRole::Opening => "opening",
            ReplicaRole::Leader => "leader",
            ReplicaRole::SteppingDown => "stepping_down",
        }
    }

    /// Whether its store shows a prefix of the history and grows with it.
    pub(crate) fn is_readable(self) -> bool {
        match self {
            ReplicaRole::Offline | ReplicaRole::Restoring => false,
            ReplicaRole::Follower
            | ReplicaRole::Candidate
            | ReplicaRole::Opening
            | ReplicaRole::Leader
            | ReplicaRole::SteppingDown => true,
        }
    }

    fn from_number(number: u8) -> ReplicaRole {
        match number {
            1 => ReplicaRole::Restoring,
            2 => ReplicaRole::Follower,
            3 => ReplicaRole::Candidate,
            4 => ReplicaRole::Opening,
            5 => ReplicaRole::Leader,
            6 => ReplicaRole::SteppingDown,
            _ => ReplicaRole::Offline,
        }
    }
}

impl From<Role> for ReplicaRole {
    fn from(role: Role) -> ReplicaRole {
        match role {
            Role::Offline => ReplicaRole::Offline,
            Role::Follower => ReplicaRole::Follower,
            Role::Candidate => ReplicaRole::Candidate,
            Role::Opening => ReplicaRole::Opening,
            Role::Leader => ReplicaRole::Leader,
            Role::SteppingDown => ReplicaRole::SteppingDown,
        }
    }
}

/// Written by the driver alone, read by everybody.
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
    /// How often the store has been emptied to be filled anew.
    restorations: AtomicU64,
    /// When the replica last was at the end of its log.
    complete_at: AtomicU64,
    /// When it noticed that it is not, `u64::MAX` while it is.
    behind_since: AtomicU64,
    leadership: Mutex<Leadership>,
}

/// Who leads the partition, as this replica has folded it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) generation: Generation,
    /// Who won it.
    pub(crate) leader: Option<(NodeId, ReplicaIncarnation)>,
    /// How it ended, if it has.
    pub(crate) stepped_down: Option<StepDown>,
    /// When this replica first knew of it, or of its end.
    pub(crate) since: Millis,
}

impl ReplicaHandle {
    pub(crate) fn new(
        partition: PartitionId,
        (node, incarnation): (NodeId, NodeIncarnation),
        store: Arc<dyn Store>,
        vitals: Arc<Vitals>,
        changed: Arc<ChangedReplicas>,
    ) -> (Arc<ReplicaHandle>, mpsc::Receiver<DriverInput>) {
        let (inbox, receiver) = mpsc::channel(INBOX_MAX);
        let shown = Shown { behind_since: AtomicU64::new(u64::MAX), ..Shown::default() };
        let handle =
            ReplicaHandle { partition, node, incarnation, store, vitals, changed, inbox, shown };
        (Arc::new(handle), receiver)
    }

    /// Begins the life of a replica; it is nobody who has ever claimed.
    pub(crate) fn begin_life(&self, incarnation: ReplicaIncarnation) {
        self.shown.life.store(incarnation.life, Ordering::Release);
        self.changed.tell(self.partition);
    }

    /// In whose name the replica claims and writes now.
    pub(crate) fn replica_incarnation(&self) -> ReplicaIncarnation {
        let life = self.shown.life.load(Ordering::Acquire);
        ReplicaIncarnation { node: self.incarnation, life }
    }

    /// Puts `input` in line; gives it back if the line is full or the driver is gone.
    pub(crate) fn offer(
        &self,
        input: DriverInput,
    ) -> Result<(), mpsc::error::TrySendError<DriverInput>> {
        self.inbox.try_send(input)
    }

    /// Puts `input` in line, waiting for room. `false` if the driver is gone.
    pub(crate) async fn send(&self, input: DriverInput) -> bool {
        self.inbox.send(input).await.is_ok()
    }

    /// Waits for the answer to an input that was put in line. `None` if the driver is gone.
    ///
    /// An input that came in line just as the driver went is dropped with the line, which whoever
    /// waits here holds open: its answer alone may never come.
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
        ReplicaRole::from_number(self.shown.role.load(Ordering::Acquire))
    }

    /// Whether its store has no room; what it has can be read.
    pub(crate) fn waits_for_room(&self) -> bool {
        self.vitals.waits_for_room()
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

    pub(crate) fn show_known_end(&self, end: LogOffset) {
        self.shown.known_end.store(end.0, Ordering::Release);
    }

    /// Everything up to here is in the store.
    pub(crate) fn applied(&self) -> Scn {
        scn_of(self.shown.applied.load(Ordering::Acquire))
    }

    /// Nothing that the store has shown so far lies above.
    pub(crate) fn applied_at_most(&self) -> Scn {
        scn_of(self.shown.applying.load(Ordering::Acquire))
    }

    /// When the store last held everything that was in the log.
    pub(crate) fn complete_at(&self) -> Millis {
        Millis(self.shown.complete_at.load(Ordering::Acquire))
    }

    /// For how long this replica has known that its log holds more; 0 if it does not.
    pub(crate) fn behind_ms(&self, now: Millis) -> u64 {
        now.since(Millis(self.shown.behind_since.load(Ordering::Acquire)))
    }

    pub(crate) fn leadership(&self) -> Leadership {
        *self.lock_leadership()
    }

    // What follows is for the driver.

    pub(crate) fn show_role(&self, role: ReplicaRole) {
        let before = self.shown.role.swap(role as u8, Ordering::AcqRel);
        if before != role as u8 {
            self.changed.tell(self.partition);
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

    /// `at`: now, if the log had nothing beyond.
    pub(crate) fn show_folded(&self, fold: &FoldState, at: Option<Millis>) {
        self.shown.applied.store(fold.last.to_u64(), Ordering::Release);
        self.shown.applying.fetch_max(fold.last.to_u64(), Ordering::AcqRel);
        let before = self.shown.folded.swap(fold.position.offset.0, Ordering::AcqRel);
        if before == 0 && fold.position.offset > LogOffset::ZERO {
            // Its log has begun: it can be led.
            self.changed.tell(self.partition);
        }
        if let Some(at) = at {
            self.shown.complete_at.store(at.0, Ordering::Release);
            self.shown.behind_since.store(u64::MAX, Ordering::Release);
        }
    }

    /// The log holds more than the store.
    pub(crate) fn show_behind(&self, now: Millis) {
        self.shown.behind_since.fetch_min(now.0, Ordering::AcqRel);
    }

    /// After a resync the replica may be anywhere.
    pub(crate) fn show_restored(&self, fold: &FoldState, now: Millis) {
        self.shown.applying.store(fold.last.to_u64(), Ordering::Release);
        self.show_folded(fold, None);
        *self.lock_leadership() = Leadership {
            generation: fold.generation(),
            leader: fold.claimant.as_ref().map(|claimant| (claimant.node, claimant.incarnation)),
            stepped_down: fold.stepped_down,
            since: now,
        };
        self.changed.tell(self.partition);
    }

    pub(crate) fn update_leadership(&self, update: impl FnOnce(&mut Leadership)) {
        update(&mut self.lock_leadership());
        self.changed.tell(self.partition);
    }

    fn lock_leadership(&self) -> MutexGuard<'_, Leadership> {
        // Plain values: no update leaves them half done.
        self.shown.leadership.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn scn_of(number: u64) -> Scn {
    // Only `to_u64` writes these.
    Scn::from_u64(number).unwrap_or(Scn::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::genesis::cluster_genesis;
    use cortado_model::{ClusterUuid, LogId};
    use cortado_store::MemoryStore;

    fn handle() -> (Arc<ReplicaHandle>, mpsc::Receiver<DriverInput>, Arc<ChangedReplicas>) {
        let vitals = Arc::new(Vitals::new(Clock::start()));
        let life = (NodeId(1), NodeIncarnation(1));
        let store = Arc::new(MemoryStore::new());
        let changed = Arc::new(ChangedReplicas::default());
        let tells = Arc::clone(&changed);
        let (handle, line) = ReplicaHandle::new(PartitionId::CLUSTER, life, store, vitals, tells);
        (handle, line, changed)
    }

    #[tokio::test]
    async fn whoever_waits_for_a_driver_that_is_gone_is_told_so() {
        let (handle, line, _) = handle();
        let (given, was_given) = oneshot::channel();
        // Held as by an input that came in line behind the driver's last look.
        let (_stuck, never) = oneshot::channel::<u32>();
        given.send(7).unwrap();
        drop(line);
        assert_eq!(handle.answer(was_given).await, Some(7));
        assert_eq!(handle.answer(never).await, None);
    }

    #[test]
    fn what_it_does_and_who_leads_is_news_and_progress_is_none() {
        let (handle, _line, changed) = handle();
        let told = || changed.take().contains(&PartitionId::CLUSTER);
        let mut fold = FoldState::before(cluster_genesis(ClusterUuid(1)), LogId::UNKNOWN);
        handle.show_restored(&fold, Millis(0));
        handle.begin_life(ReplicaIncarnation { node: NodeIncarnation(1), life: 1 });
        assert!(told());
        let check = |news: bool, change: &dyn Fn(&ReplicaHandle)| {
            change(&handle);
            assert_eq!(told(), news);
        };
        check(true, &|handle| handle.show_role(ReplicaRole::Follower));
        check(false, &|handle| handle.show_role(ReplicaRole::Follower));
        check(false, &|handle| handle.show_folded(&fold, Some(Millis(1))));
        check(true, &|handle| handle.update_leadership(|shown| shown.since = Millis(2)));
        check(true, &|handle| handle.show_restoring());
        // Its first record makes a log one that can be led; the next one does not.
        for news in [true, false] {
            fold.position.offset = fold.position.offset.plus(1);
            check(news, &|handle| handle.show_folded(&fold, Some(Millis(3))));
            check(false, &|handle| handle.show_known_end(fold.position.offset));
        }
    }
}
