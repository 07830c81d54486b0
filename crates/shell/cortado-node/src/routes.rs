//! Which replicas of this process serve which partition.
//!
//! Holds handles, decides nothing about leadership: a driver says that it serves, the higher
//! generation wins. Start reading at [`Route`].

use crate::metrics::GatewayMetrics;
use crate::replica_handle::ReplicaHandle;
use cortado_model::{DatabaseId, Generation, NodeId, NodeIncarnation, PartitionId};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::info;

/// The replicas of all partitions.
pub(crate) struct Routes {
    partitions: RwLock<HashMap<PartitionId, Arc<Route>>>,
    metrics: Arc<GatewayMetrics>,
}

impl Routes {
    pub(crate) fn new(metrics: Arc<GatewayMetrics>) -> Routes {
        Routes { partitions: RwLock::default(), metrics }
    }

    /// The route of `partition`, whether or not anybody serves it yet.
    pub(crate) fn route(&self, partition: PartitionId) -> Arc<Route> {
        if let Some(route) = read(&self.partitions).get(&partition) {
            return Arc::clone(route);
        }
        let mut partitions = write(&self.partitions);
        let metrics = &self.metrics;
        let route = partitions
            .entry(partition)
            .or_insert_with(|| Arc::new(Route::new(partition, Arc::clone(metrics))));
        Arc::clone(route)
    }

    /// Every route there is.
    pub(crate) fn all(&self) -> Vec<Arc<Route>> {
        let mut routes: Vec<_> = read(&self.partitions).values().map(Arc::clone).collect();
        routes.sort_by_key(|route| route.partition);
        routes
    }

    /// Forgets a dropped database.
    pub(crate) fn forget(&self, database: DatabaseId) {
        write(&self.partitions).retain(|partition, _| partition.database != database);
    }
}

/// The replicas of one partition.
pub(crate) struct Route {
    pub(crate) partition: PartitionId,
    state: RwLock<RouteState>,
    /// Counts the changes of `state`.
    changes: watch::Sender<u64>,
    metrics: Arc<GatewayMetrics>,
}

#[derive(Default)]
struct RouteState {
    replicas: Vec<Arc<ReplicaHandle>>,
    serving: Option<(Generation, Arc<ReplicaHandle>)>,
    /// Since when nobody serves; `None` if somebody does, or nobody ever has.
    unserved_since: Option<Instant>,
}

impl Route {
    fn new(partition: PartitionId, metrics: Arc<GatewayMetrics>) -> Route {
        let (changes, _) = watch::channel(0);
        Route { partition, state: RwLock::default(), changes, metrics }
    }

    /// Who serves as leader.
    pub(crate) fn serving(&self) -> Option<Arc<ReplicaHandle>> {
        read(&self.state).serving.as_ref().map(|(_, handle)| Arc::clone(handle))
    }

    /// Who serves as leader, and in which generation.
    pub(crate) fn serving_generation(&self) -> Option<(Generation, NodeId)> {
        read(&self.state).serving.as_ref().map(|(generation, handle)| (*generation, handle.node))
    }

    /// Every replica of the nodes that run, by node.
    pub(crate) fn replicas(&self) -> Vec<Arc<ReplicaHandle>> {
        read(&self.state).replicas.clone()
    }

    /// The replica of `node`, if that runs.
    pub(crate) fn replica(&self, node: NodeId) -> Option<Arc<ReplicaHandle>> {
        read(&self.state).replicas.iter().find(|handle| handle.node == node).map(Arc::clone)
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn add(&self, handle: Arc<ReplicaHandle>) {
        let mut state = write(&self.state);
        state.replicas.retain(|other| other.node != handle.node);
        state.replicas.push(handle);
        state.replicas.sort_by_key(|handle| handle.node);
        drop(state);
        self.changed();
    }

    /// Whether nobody leads, and nobody can, because the stores are full.
    pub(crate) fn waits_for_room(&self) -> bool {
        let state = read(&self.state);
        let stuck = |replica: &Arc<ReplicaHandle>| {
            replica.waits_for_room() || !replica.role().is_readable()
        };
        state.serving.is_none()
            && state.replicas.iter().any(|replica| replica.waits_for_room())
            && state.replicas.iter().all(stuck)
    }

    /// Forgets the replica of one life of a node, whatever that still does.
    pub(crate) fn remove_node(&self, node: NodeId, incarnation: NodeIncarnation) {
        let mut state = write(&self.state);
        let of_node =
            |handle: &Arc<ReplicaHandle>| handle.node == node && handle.incarnation == incarnation;
        let replicas = state.replicas.len();
        state.replicas.retain(|handle| !of_node(handle));
        let served = state.serving.as_ref().is_some_and(|(_, handle)| of_node(handle));
        if served {
            state.serving = None;
            state.unserved_since = Some(Instant::now());
        }
        let changed = served || state.replicas.len() < replicas;
        drop(state);
        if changed {
            self.changed();
        }
    }

    pub(crate) fn remove(&self, handle: &Arc<ReplicaHandle>) {
        self.stop_serving(handle);
        write(&self.state).replicas.retain(|other| !Arc::ptr_eq(other, handle));
        self.changed();
    }

    /// `handle` serves in `generation`. A higher generation that serves already stays.
    pub(crate) fn serve(&self, handle: &Arc<ReplicaHandle>, generation: Generation) {
        let mut state = write(&self.state);
        if state.serving.as_ref().is_some_and(|(serving, _)| *serving > generation) {
            return;
        }
        state.serving = Some((generation, Arc::clone(handle)));
        let gap = state.unserved_since.take().map(|since| since.elapsed());
        drop(state);
        if let Some(gap) = gap {
            self.metrics.write_gap.observe(gap);
            let (partition, node, gap_ms) = (self.partition, handle.node, gap.as_millis() as u64);
            info!(%partition, %node, %generation, gap_ms, "partition served again");
        }
        self.changed();
    }

    /// `handle` serves no longer, if it did.
    pub(crate) fn stop_serving(&self, handle: &Arc<ReplicaHandle>) {
        let mut state = write(&self.state);
        if !state.serving.as_ref().is_some_and(|(_, serving)| Arc::ptr_eq(serving, handle)) {
            return;
        }
        state.serving = None;
        state.unserved_since = Some(Instant::now());
        drop(state);
        self.changed();
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
