//! What a process is given from outside. Start reading at [`Components`].

use crate::directory::NodeDirectories;
use crate::store_factory::StoreFactory;
use cortado_log::{Beats, Log};
use cortado_metrics::Registry;
use cortado_model::ClusterUuid;
use cortado_peer::PeerNetwork;
use std::sync::Arc;

/// What a cluster is built from.
#[derive(Clone)]
pub struct Components {
    /// The log that all nodes share.
    pub log: Arc<dyn Log>,
    /// The streams on which all nodes show that they live.
    pub beats: Arc<dyn Beats>,
    /// The way of the nodes to one another.
    pub network: Arc<dyn PeerNetwork>,
    /// A store for each node.
    pub stores: Arc<dyn StoreFactory>,
    /// Who the nodes are from one life to the next.
    pub directories: Arc<dyn NodeDirectories>,
    /// Takes what the nodes count and show; of this cluster alone.
    pub metrics: Arc<Registry>,
    /// What the operator has allowed of them and should not forget, for every answer about health.
    pub warnings: Vec<String>,
    /// Whether there may be no cluster yet.
    pub founding: Founding,
    /// Whose the data of this process is, as far as that is noted beside it: no other is joined.
    pub belongs_to: Option<ClusterUuid>,
}

/// Which process begins the log of `_cluster`, and with it the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Founding {
    /// This one, if the log is empty and no store knows a cluster.
    Create,
    /// Another process has done so: an empty log is a wrong or a lost one.
    Join,
}
