//! The cluster as one node knows it: its facts, and who leads.
//!
//! For the node's parts and its gateway alike. Decides nothing. Start reading at [`KnownCluster`].

use crate::folded_catalog::FoldedCatalog;
use crate::routes::Routes;
use cortado_model::{ClusterUuid, NodeId, PartitionId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one life of a node, or a router, knows of its cluster.
pub struct KnownCluster {
    /// The facts, as far as `_cluster` has been folded here.
    pub catalog: FoldedCatalog,
    /// Who leads each partition.
    pub routes: Arc<Routes>,
    founders: BTreeSet<NodeId>,
    own: Option<NodeId>,
}

impl KnownCluster {
    /// Before anything is known.
    ///
    /// * `founders`: the nodes that are about to register.
    /// * `own`: the node that knows this; `None` for a router, which counts nowhere.
    pub fn new(
        cluster: ClusterUuid,
        founders: BTreeSet<NodeId>,
        own: Option<NodeId>,
    ) -> KnownCluster {
        let (catalog, routes) = (FoldedCatalog::new(cluster), Arc::default());
        KnownCluster { catalog, routes, founders, own }
    }

    /// The nodes that are about to register, in ascending order.
    pub fn founders(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.founders.iter().copied()
    }

    /// The nodes that `partition` is placed on, in order of rank; last one to which a replica is
    /// moving.
    pub fn placed(&self, partition: PartitionId) -> Vec<NodeId> {
        let catalog = self.catalog.newest();
        if partition != PartitionId::CLUSTER {
            let database = catalog.database_by_id(partition.database);
            let placed = database.map(|database| database.placement(partition.number));
            return placed
                .map(|nodes| catalog.held(partition, nodes).into_owned())
                .unwrap_or_default();
        }
        // The members, and this node, whose accepted claim is its registration.
        let mut nodes: BTreeSet<NodeId> = catalog.members().collect();
        if nodes.is_empty() {
            // A new cluster: these are about to register.
            nodes.extend(self.founders());
        }
        nodes.extend(self.own);
        nodes.into_iter().collect()
    }
}
