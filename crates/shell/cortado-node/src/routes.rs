//! What this node knows of each partition: its own replica, and who leads.
//!
//! Decides nothing about leadership: a driver says that it serves, a newer leadership is believed.
//! Start reading at [`Route`].

use crate::replica_handle::ReplicaHandle;
use cortado_driver::ReplicaRole;
use cortado_model::{DatabaseId, PartitionId};
use cortado_peer::KnownLeader;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// All partitions that this node has heard of.
#[derive(Default)]
pub(crate) struct Routes {
    partitions: RwLock<HashMap<PartitionId, Arc<Route>>>,
}

impl Routes {
    /// The route of `partition`, whether or not anybody serves it yet.
    pub(crate) fn route(&self, partition: PartitionId) -> Arc<Route> {
        if let Some(route) = read(&self.partitions).get(&partition) {
            return Arc::clone(route);
        }
        let mut partitions = write(&self.partitions);
        Arc::clone(partitions.entry(partition).or_insert_with(|| Arc::new(Route::new(partition))))
    }

    /// The replicas of this node, by partition.
    pub(crate) fn replicas(&self) -> Vec<Arc<ReplicaHandle>> {
        let mut replicas: Vec<_> =
            read(&self.partitions).values().filter_map(|route| route.replica()).collect();
        replicas.sort_by_key(|replica| replica.partition);
        replicas
    }

    /// Forgets databases that are no more.
    pub(crate) fn retain(&self, exists: impl Fn(DatabaseId) -> bool) {
        let kept = |partition: &PartitionId| {
            partition.database == DatabaseId::CLUSTER || exists(partition.database)
        };
        write(&self.partitions).retain(|partition, _| kept(partition));
    }
}

/// One partition, as this node knows it.
pub(crate) struct Route {
    pub(crate) partition: PartitionId,
    state: RwLock<RouteState>,
    /// Counts the changes of `state`.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct RouteState {
    replica: Option<Arc<ReplicaHandle>>,
    /// The own replica serves as leader.
    serves: bool,
    leader: KnownLeader,
    /// Since when requests have found nobody who serves, if they have.
    unserved_since: Option<Instant>,
}

impl Route {
    fn new(partition: PartitionId) -> Route {
        let (changes, _) = watch::channel(0);
        Route { partition, state: RwLock::default(), changes }
    }

    /// The replica of this node, if it has one.
    pub(crate) fn replica(&self) -> Option<Arc<ReplicaHandle>> {
        read(&self.state).replica.clone()
    }

    /// The replica of this node, if it serves as leader.
    pub(crate) fn serving(&self) -> Option<Arc<ReplicaHandle>> {
        let state = read(&self.state);
        state.replica.as_ref().filter(|_| state.serves).map(Arc::clone)
    }

    /// Who leads, as far as it is known here.
    pub(crate) fn leader(&self) -> KnownLeader {
        read(&self.state).leader
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Somebody says who leads; answers whether that is newer than what was known.
    pub(crate) fn learn(&self, leader: KnownLeader) -> bool {
        // Nearly always it is known.
        if !leader.is_newer_than(&read(&self.state).leader) {
            return false;
        }
        let mut state = write(&self.state);
        let newer = leader.is_newer_than(&state.leader);
        if newer {
            state.leader = leader;
            drop(state);
            self.changed();
        }
        newer
    }

    /// This node has a replica now.
    pub(crate) fn add(&self, replica: Arc<ReplicaHandle>) {
        write(&self.state).replica = Some(replica);
        self.changed();
    }

    pub(crate) fn remove(&self, replica: &Arc<ReplicaHandle>) {
        let mut state = write(&self.state);
        if !state.replica.as_ref().is_some_and(|own| Arc::ptr_eq(own, replica)) {
            return;
        }
        (state.replica, state.serves) = (None, false);
        drop(state);
        self.changed();
    }

    /// The own replica has another role.
    pub(crate) fn show_role(&self, replica: &Arc<ReplicaHandle>, role: ReplicaRole) {
        let mut state = write(&self.state);
        if state.replica.as_ref().is_some_and(|own| Arc::ptr_eq(own, replica)) {
            state.serves = role == ReplicaRole::Leader;
            drop(state);
            // Whoever waits for a candidate wants to know that it is none any more, too.
            self.changed();
        }
    }

    /// A request has found nobody who serves.
    pub(crate) fn note_unserved(&self) {
        if read(&self.state).unserved_since.is_none() {
            write(&self.state).unserved_since.get_or_insert_with(Instant::now);
        }
    }

    /// A request was served; answers for how long none was, if that had been so.
    pub(crate) fn note_served(&self) -> Option<Duration> {
        read(&self.state).unserved_since?;
        write(&self.state).unserved_since.take().map(|since| since.elapsed())
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    // Nothing panics while it holds one of these locks with the state half changed.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
