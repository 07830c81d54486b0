//! Reads: which replica may serve one, and when.
//!
//! Start reading at [`Gateway::read_at`].
//! Source: docs/protocols/replication.md, "Reads".

use super::{Consistency, Gateway, ReadError, ReadOptions, Served, ServedRole};
use crate::asker::{Asker, Input};
use crate::catalog::{Database, Table};
use crate::replica_handle::ReplicaHandle;
use crate::routes::Route;
use cortado_cluster::{Repetition, RouteAttempt, RouteStep, TryOutcome};
use cortado_driver::{ReplicaRole, Reply};
use cortado_model::{
    DatabaseId, DocumentKey, Generation, PartitionId, Scn, StoredDocument, TableId,
};
use cortado_replica::{NotDone, ReadNeed};
use cortado_store::{Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

/// How often a session looks whether some replica has applied what it has seen.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// How often those who wait for a leader see whether there can be one at all.
const HOPELESS_LOOK: Duration = Duration::from_millis(250);
/// What clients are told when nobody could serve a read.
const RETRY_AFTER_MS: u64 = 1_000;

impl Gateway {
    /// Reads one document.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn get(
        &self,
        database: &Database,
        table: &Table,
        key: &DocumentKey,
        read: &ReadOptions,
    ) -> Result<Served<Option<StoredDocument>>, ReadError> {
        let partition = database.partition_id(database.partition_of(key));
        self.get_in(partition, table.id, key, read).await
    }

    pub(crate) async fn get_in(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
        read: &ReadOptions,
    ) -> Result<Served<Option<StoredDocument>>, ReadError> {
        let key = key.clone();
        self.read_at(partition, read, Length::Short, move |replica, store| {
            let document = store.get(partition, table, &key)?;
            // Read afterwards: what the store has shown is covered by it.
            Ok((document, replica.applied_at_most()))
        })
        .await
    }

    /// Looks at a replica that may serve `read`; at another one if it goes away meanwhile.
    ///
    /// * `length`: how long a look takes.
    /// * `look`: answers what it saw, and a position that covers it.
    pub(crate) async fn read_at<T, L>(
        &self,
        partition: PartitionId,
        read: &ReadOptions,
        length: Length,
        look: L,
    ) -> Result<Served<T>, ReadError>
    where
        T: Send + 'static,
        L: Fn(&ReplicaHandle, &dyn Store) -> Result<(T, Scn), StoreError> + Clone + Send + 'static,
    {
        let route = self.process.routes.route(partition);
        let count = |_: &ReadError| self.process.metrics.reads_unserved.add(1);
        loop {
            let sighting = self.replica_for(&route, read).await.inspect_err(count)?;
            let seen = sighting.look(length, read.deadline, &look).await.inspect_err(count)?;
            if let Some(served) = self.judge(sighting, seen, read.deadline) {
                return served;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether what was seen may be served; `None` to look again.
    fn judge<T>(
        &self,
        sighting: Sighting,
        seen: Result<(T, Scn), StoreError>,
        deadline: Instant,
    ) -> Option<Result<Served<T>, ReadError>> {
        let Sighting { replica, restorations, role, within } = sighting;
        let partition = replica.partition;
        match seen {
            Ok((value, applied)) => {
                // Read across a restoration, it may be a part of a state.
                let intact = replica.restorations() == restorations && role.is_readable();
                // What the next leader writes, that one may not show yet.
                let beyond = within.is_some_and(|at| replica.applied_at_most().generation > at);
                let leads = role == ReplicaRole::Leader;
                let role = if leads { ServedRole::Leader } else { ServedRole::Follower };
                let (partition, node) = (partition.number, replica.node);
                (intact && !beyond).then(|| {
                    self.process.metrics.reads.add(1);
                    Ok(Served { value, partition, applied, node, role })
                })
            }
            Err(error) => {
                warn!(%partition, node = %replica.node, %error, "store not read");
                let late = Instant::now() >= deadline;
                late.then(|| Err(ReadError::Store { why: error.to_string() }))
            }
        }
    }

    /// The replica that may serve `read` now; waits for it until the deadline.
    async fn replica_for(&self, route: &Route, read: &ReadOptions) -> Result<Sighting, ReadError> {
        match (read.consistency, read.at_least) {
            (Consistency::Strong, _) => self.proven_leader(route, ReadNeed::Lease, read).await,
            (Consistency::Strict, _) => self.proven_leader(route, ReadNeed::Barrier, read).await,
            (Consistency::Session, Some(scn)) => self.replica_at(route, scn, read.deadline).await,
            (Consistency::Session, None) | (Consistency::Eventual, _) => {
                self.replica_at(route, Scn::ZERO, read.deadline).await
            }
            (Consistency::Bounded { max_lag_ms }, _) => {
                let recent = |replica: &ReplicaHandle| self.lag_ms(replica) <= max_lag_ms;
                match self.any_replica(route, recent) {
                    Some(sighting) => Ok(sighting),
                    None => self.proven_leader(route, ReadNeed::Lease, read).await,
                }
            }
        }
    }

    /// The leader, when its store shows everything that was committed before this call.
    ///
    /// * `otherwise`: how that is proven where the log's end cannot be read locally.
    async fn proven_leader(
        &self,
        route: &Route,
        otherwise: ReadNeed,
        read: &ReadOptions,
    ) -> Result<Sighting, ReadError> {
        let mut changes = None;
        let mut attempt = RouteAttempt::new(Repetition::Harmless);
        loop {
            let Some(leader) = self.leader(route, read.deadline).await else {
                let full = route.waits_for_room();
                return Err(match self.exists(route.partition.database) {
                    true if full => unserved("the stores have no room for what is committed"),
                    true => unserved("no replica leads the partition"),
                    false => ReadError::NoSuchDatabase,
                });
            };
            // Before the proof, so that whatever happens after it is noticed.
            let mut sighting = Sighting::of(leader);
            let leader = &sighting.replica;
            let need = match self.process.log.local_end(route.partition) {
                Some(end) if leader.folded() >= end && leader.role().is_readable() => {
                    return Ok(sighting);
                }
                Some(end) => ReadNeed::Folded(end),
                None => {
                    sighting.within = Some(leader.leadership().generation);
                    otherwise
                }
            };
            self.process.metrics.reads_waited.add(1);
            let changes = changes.get_or_insert_with(|| route.changes());
            let parked = park(&sighting.replica, need, read.deadline).await;
            match attempt.judge(parked.outcome()) {
                RouteStep::Answer => return Ok(sighting),
                RouteStep::TryAgain => {
                    // Either a change or the pause: both mean to look again.
                    let _ = timeout(LOOK_AGAIN, changes.changed()).await;
                }
                // A read has no effect of which somebody could be in doubt.
                RouteStep::NotDone | RouteStep::Unknown(_) => return Err(unserved(parked.why())),
            }
        }
    }

    /// Some replica that has applied `scn`. Waits here rather than in a replica's inbox, so that
    /// a position which never comes costs nobody but its reader.
    async fn replica_at(
        &self,
        route: &Route,
        scn: Scn,
        deadline: Instant,
    ) -> Result<Sighting, ReadError> {
        loop {
            if let Some(sighting) = self.any_replica(route, |replica| replica.applied() >= scn) {
                return Ok(sighting);
            }
            if !self.exists(route.partition.database) {
                return Err(ReadError::NoSuchDatabase);
            }
            if Instant::now() >= deadline {
                return Err(unserved("no replica has applied what the session has seen"));
            }
            self.process.metrics.reads_waited.add(1);
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Some readable replica that is `fit`; a different one each time.
    fn any_replica(&self, route: &Route, fit: impl Fn(&ReplicaHandle) -> bool) -> Option<Sighting> {
        let mut sightings: Vec<_> = route.replicas().into_iter().map(Sighting::of).collect();
        sightings.retain(|sighting| sighting.role.is_readable() && fit(&sighting.replica));
        if sightings.is_empty() {
            return None;
        }
        let turn = self.process.turn.fetch_add(1, Ordering::Relaxed);
        Some(sightings.swap_remove(turn % sightings.len()))
    }

    /// How old the newest complete state of `replica` may be.
    pub(crate) fn lag_ms(&self, replica: &ReplicaHandle) -> u64 {
        // The clock first: a record that arrives after this moment is no lag.
        let now = self.process.clock.steady();
        let end = self.process.log.local_end(replica.partition);
        let end = end.unwrap_or_else(|| replica.known_end());
        if replica.folded() >= end { 0 } else { now.since(replica.complete_at()) }
    }

    /// Whether a database has not been dropped, as far as is known here.
    pub(super) fn exists(&self, id: DatabaseId) -> bool {
        let newest = self.process.newest_catalog.borrow();
        id == DatabaseId::CLUSTER || newest.database_by_id(id).is_some()
    }

    /// Who leads; waits for somebody until the deadline, or until waiting is of no use.
    pub(crate) async fn leader(
        &self,
        route: &Route,
        deadline: Instant,
    ) -> Option<Arc<ReplicaHandle>> {
        if let Some(leader) = route.serving() {
            return Some(leader);
        }
        let mut changes = route.changes();
        loop {
            if let Some(leader) = route.serving() {
                return Some(leader);
            }
            let over = self.process.is_ending() || !self.exists(route.partition.database);
            if over || route.waits_for_room() || Instant::now() >= deadline {
                return None;
            }
            // None of these is a change of the route: look again now and then.
            let look_again = deadline.min(Instant::now() + HOPELESS_LOOK);
            let _ = timeout_at(look_again, changes.changed()).await;
        }
    }
}

/// How long a look at a store takes that may be read inline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Microseconds.
    Short,
    /// More than others should wait on the same thread.
    Long,
}

/// A replica that a read looks at, as it was before the look.
struct Sighting {
    replica: Arc<ReplicaHandle>,
    restorations: u64,
    role: ReplicaRole,
    /// The generation whose leader proved itself by a lease or a barrier: its store must show
    /// nothing beyond.
    within: Option<Generation>,
}

impl Sighting {
    fn of(replica: Arc<ReplicaHandle>) -> Sighting {
        let (restorations, role) = (replica.restorations(), replica.role());
        Sighting { replica, restorations, role, within: None }
    }

    /// Looks at the replica's store: on this thread if that takes microseconds.
    ///
    /// # Errors
    /// The store has not answered by the `deadline`. Its own error is an answer.
    async fn look<T, L>(
        &self,
        length: Length,
        deadline: Instant,
        look: &L,
    ) -> Result<Result<T, StoreError>, ReadError>
    where
        T: Send + 'static,
        L: Fn(&ReplicaHandle, &dyn Store) -> Result<T, StoreError> + Clone + Send + 'static,
    {
        let lanes = &self.replica.lanes;
        if let (Some(store), Length::Short) = (lanes.inline(), length) {
            return Ok(look(&self.replica, store));
        }
        let (look, replica) = (look.clone(), Arc::clone(&self.replica));
        let look = move |store: &dyn Store| look(&replica, store);
        let looking = async {
            match length {
                Length::Short => lanes.read(look).await,
                Length::Long => lanes.read_long(look).await,
            }
        };
        let late = |_| unserved("the store did not answer in time");
        timeout_at(deadline, looking).await.map_err(late)
    }
}

/// Lets a replica say when its store shows what `need` demands.
async fn park(replica: &ReplicaHandle, need: ReadNeed, deadline: Instant) -> Parked {
    let (caller, answer) = Asker::new();
    match replica.offer(Input::Read { caller, need }) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => return Parked::Overloaded,
        Err(TrySendError::Closed(_)) => return Parked::NotHere,
    }
    match timeout_at(deadline, replica.answer(answer)).await {
        Ok(Some(Reply::Ready)) => Parked::Ready,
        Ok(Some(Reply::NotDone(NotDone::Overloaded))) => Parked::Overloaded,
        // A read is answered in no other words.
        Ok(Some(Reply::Written(_) | Reply::Refused(_) | Reply::Unknown(_)))
        | Ok(Some(Reply::NotDone(
            NotDone::NotLeader
            | NotDone::Changing
            | NotDone::LogRefused
            | NotDone::LogUnusable
            | NotDone::Exhausted
            | NotDone::Offline,
        ))) => Parked::NotHere,
        Ok(None) => Parked::LeaderLost,
        Err(_) => Parked::Deadline,
    }
}

/// How a read that waits at a replica ended.
enum Parked {
    Ready,
    NotHere,
    Overloaded,
    LeaderLost,
    Deadline,
}

impl Parked {
    fn outcome(&self) -> TryOutcome {
        match self {
            Parked::Ready => TryOutcome::Answered,
            Parked::NotHere => TryOutcome::NotHere,
            Parked::Overloaded => TryOutcome::Declined,
            Parked::LeaderLost => TryOutcome::LeaderLost,
            Parked::Deadline => TryOutcome::DeadlineAfter,
        }
    }

    /// What a reader that gives up has waited for.
    fn why(&self) -> &'static str {
        match self {
            Parked::Ready | Parked::Deadline => "the leader did not catch up",
            Parked::NotHere | Parked::LeaderLost => "no replica leads the partition",
            Parked::Overloaded => "too many requests wait",
        }
    }
}

pub(super) fn unserved(why: &'static str) -> ReadError {
    ReadError::Unserved { why, retry_after_ms: RETRY_AFTER_MS }
}
