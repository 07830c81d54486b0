//! What this node serves of each partition: its own replica, beside who leads.
//!
//! Decides nothing about leadership: a driver says that it serves. Start reading at [`LocalRoute`].

use crate::replica_handle::ReplicaHandle;
use cortado_driver::ReplicaRole;
use cortado_gateway::{Route, Routes};
use cortado_model::{DatabaseId, PartitionId};
use cortado_peer::KnownLeader;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// All partitions that this node has been asked for, or has a replica of.
pub(crate) struct LocalRoutes {
    /// Who leads, as the node's gateway sees it, too.
    routes: Arc<Routes>,
    partitions: RwLock<HashMap<PartitionId, Arc<LocalRoute>>>,
}

impl LocalRoutes {
    /// Of a node without replicas.
    pub(crate) fn new(routes: Arc<Routes>) -> LocalRoutes {
        LocalRoutes { routes, partitions: RwLock::default() }
    }

    /// The route of `partition`, whether or not it is served yet.
    pub(crate) fn route(&self, partition: PartitionId) -> Arc<LocalRoute> {
        if let Some(route) = self.partitions.read().get(&partition) {
            return Arc::clone(route);
        }
        let mut partitions = self.partitions.write();
        let new = || Arc::new(LocalRoute::new(self.routes.route(partition)));
        Arc::clone(partitions.entry(partition).or_insert_with(new))
    }

    /// The route of `partition`, if it has been asked for.
    pub(crate) fn known(&self, partition: PartitionId) -> Option<Arc<LocalRoute>> {
        self.partitions.read().get(&partition).map(Arc::clone)
    }

    /// Wakes all requests that wait here.
    pub(crate) fn wake_all(&self) {
        self.partitions.read().values().for_each(|route| route.route.changed());
    }

    /// The replicas of this node, by partition.
    pub(crate) fn replicas(&self) -> Vec<Arc<ReplicaHandle>> {
        let mut replicas: Vec<_> =
            self.partitions.read().values().filter_map(|route| route.replica()).collect();
        replicas.sort_by_key(|replica| replica.partition);
        replicas
    }

    /// Forgets databases that are no more.
    pub(crate) fn retain(&self, exists: impl Fn(DatabaseId) -> bool) {
        // Last what holds on to it: a route that is asked for meanwhile is a new one in both.
        self.routes.retain(&exists);
        let kept = |partition: &PartitionId| {
            partition.database == DatabaseId::CLUSTER || exists(partition.database)
        };
        self.partitions.write().retain(|partition, _| kept(partition));
    }
}

/// One partition, as this node serves it.
pub(crate) struct LocalRoute {
    pub(crate) partition: PartitionId,
    route: Arc<Route>,
    state: RwLock<LocalState>,
}

#[derive(Default)]
struct LocalState {
    replica: Option<Arc<ReplicaHandle>>,
    /// The own replica serves as leader.
    serves: bool,
}

impl LocalRoute {
    fn new(route: Arc<Route>) -> LocalRoute {
        LocalRoute { partition: route.partition, route, state: RwLock::default() }
    }

    /// The replica of this node, if it has one.
    pub(crate) fn replica(&self) -> Option<Arc<ReplicaHandle>> {
        self.state.read().replica.clone()
    }

    /// The replica of this node, if it serves as leader.
    pub(crate) fn serving(&self) -> Option<Arc<ReplicaHandle>> {
        let state = self.state.read();
        state.replica.as_ref().filter(|_| state.serves).map(Arc::clone)
    }

    /// Who leads, as far as it is known here.
    pub(crate) fn leader(&self) -> KnownLeader {
        self.route.leader()
    }

    /// The own replica, or a peer, says who leads.
    pub(crate) fn learn(&self, leader: KnownLeader) {
        self.route.learn(leader);
    }

    /// Tells of every change from now on: of the own replica, and of who leads.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.route.changes()
    }

    /// This node has a replica now.
    pub(crate) fn add(&self, replica: Arc<ReplicaHandle>) {
        self.state.write().replica = Some(replica);
        self.route.changed();
    }

    pub(crate) fn remove(&self, replica: &Arc<ReplicaHandle>) {
        let mut state = self.state.write();
        if !state.replica.as_ref().is_some_and(|own| Arc::ptr_eq(own, replica)) {
            return;
        }
        *state = LocalState::default();
        drop(state);
        self.route.changed();
    }

    /// The own replica has another role.
    pub(crate) fn show_role(&self, replica: &Arc<ReplicaHandle>, role: ReplicaRole) {
        let mut state = self.state.write();
        if state.replica.as_ref().is_some_and(|own| Arc::ptr_eq(own, replica)) {
            state.serves = role == ReplicaRole::Leader;
            drop(state);
            // A request that waits for a candidate must also hear when it is no longer one.
            self.route.changed();
        }
    }
}
