//! What a node holds of partitions, for whoever moves replicas.
//!
//! Start reading at [`Holdings`].

use crate::ReplicaProgress;
use cortado_model::{LogOffset, NodeId, Scn};

/// What one node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// How far it has folded `_cluster`.
    pub cluster_scn: Scn,
    /// Nodes that have been silent for so long that it trims logs without them, in ascending order.
    pub away: Vec<NodeId>,
    /// The replicas that were asked for and are there, in ascending order.
    pub replicas: Vec<Holding>,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// How far it is, and what it does.
    pub progress: ReplicaProgress,
    /// Where its log ends, as far as it knows.
    pub end: LogOffset,
    /// Who may claim, as it has folded the log, in ascending order.
    pub replica_set: Vec<NodeId>,
    /// What it holds, in bytes; `None` as long as that is being found out.
    pub bytes: Option<u64>,
    /// What has come of the snapshot that it copies, in bytes; `None` if it copies none.
    pub copied_bytes: Option<u64>,
}
