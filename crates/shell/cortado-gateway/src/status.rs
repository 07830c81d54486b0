//! What operators see of the cluster: a picture of one moment.
//!
//! Nothing decides by it. Start reading at [`Status`].

use cortado_cluster::{Capacity, Gate, Zone};
use cortado_driver::ReplicaRole;
use cortado_model::{Generation, LogOffset, NodeId, NodeIncarnation, Scn};

/// The cluster at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// In ascending order.
    pub nodes: Vec<NodeStatus>,
    /// `_cluster` first, then by name.
    pub databases: Vec<DatabaseStatus>,
}

/// Why clients cannot be served now, or not all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The process is ending.
    #[error("the process is shutting down")]
    Ending,
    /// Nothing can be written until the process starts again.
    #[error("the log has failed: {why}")]
    LogFailed {
        /// The cause.
        why: String,
    },
    /// The node of the process does not run.
    #[error("the node does not run: {why}")]
    NodeDown {
        /// Why, if that is known.
        why: String,
    },
    /// The node of the process may not lead or count yet.
    #[error("the node has not registered yet")]
    Unregistered,
    /// The node of the process has replicas that can be of no use yet.
    #[error("{replicas} replicas of the node neither serve nor follow")]
    ReplicasNotReady {
        /// How many.
        replicas: usize,
    },
    /// The process does not know where requests go, or knows it from long ago.
    #[error("_cluster is not read to its end: look at the brokers, and at the way to them")]
    CatalogNotRead,
    /// The log of `_cluster` holds what this build cannot read.
    #[error("_cluster was written by a newer version: upgrade this process")]
    TooOld,
    /// Replicas of `_cluster` have different histories, this process's is one of them.
    #[error(
        "the history of _cluster is disputed: `cortado partition resolve _cluster/0` shows the \
         histories, and lets one go on, which this process then follows"
    )]
    CatalogDisputed,
    /// No request finds its way.
    #[error("no node of the cluster is reached: look at the nodes, and at the way to them")]
    NoNodeReached,
    /// Nothing can be declared, and no node registers.
    #[error("_cluster has no leader")]
    NoClusterLeader,
    /// The cluster is new.
    #[error("the journal is being created")]
    NoJournal,
    /// Requests for these partitions wait, or are not done.
    #[error("{partitions} partitions have no leader")]
    NoLeader {
        /// How many.
        partitions: usize,
    },
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Which.
    pub node: NodeId,
    /// Whether it runs.
    pub alive: bool,
    /// Its current or last life.
    pub incarnation: NodeIncarnation,
    /// Where clients reach it.
    pub address: String,
    /// Partitions that it leads.
    pub leaderships: usize,
    /// Replicas that it runs.
    pub replicas: usize,
    /// What fails together with it, if it has said so.
    pub zone: Option<Zone>,
    /// How much it can carry beside others; `None` before it has registered.
    pub capacity: Option<Capacity>,
    /// It leads nothing that another node can.
    pub drained: bool,
    /// Why it is unhealthy, if it is; why it does not run, if that is known.
    pub sick: Option<String>,
}

/// How far the cluster is with a newer feature level.
#[derive(Clone, Debug)]
pub struct UpgradeStatus {
    /// The level that leaders use.
    pub feature_level: u32,
    /// What holds a newer one up.
    pub gate: Gate,
    /// Every node that is registered, in ascending order.
    pub nodes: Vec<UpgradeNode>,
    /// Partitions that there are.
    pub partitions: usize,
    /// Those of them whose logs do not use the level yet, as far as nodes that run have folded.
    pub to_follow: usize,
}

/// What a node has declared for its newest life.
#[derive(Clone, Debug)]
pub struct UpgradeNode {
    /// Which.
    pub node: NodeId,
    /// Whether it runs.
    pub alive: bool,
    /// Its build; empty if it does not say.
    pub build: String,
    /// The highest level that it reads.
    pub feature_level: u32,
}

/// One database.
#[derive(Clone, Debug)]
pub struct DatabaseStatus {
    /// Its name.
    pub name: String,
    /// In ascending order.
    pub partitions: Vec<PartitionStatus>,
}

/// One partition.
#[derive(Clone, Debug)]
pub struct PartitionStatus {
    /// Its number.
    pub number: u32,
    /// The node that serves it, if one does.
    pub leader: Option<NodeId>,
    /// Who should lead it when all nodes are well.
    pub preferred: Option<NodeId>,
    /// The node that an operator has placed its leadership on.
    pub pinned: Option<NodeId>,
    /// The highest generation that any replica has seen.
    pub generation: Generation,
    /// The end of its log.
    pub end: LogOffset,
    /// By placement rank.
    pub replicas: Vec<ReplicaStatus>,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// Its node.
    pub node: NodeId,
    /// Its node tells of it. If not, nothing of what follows is known.
    pub is_told: bool,
    /// What it does; offline if its node does not run.
    pub role: ReplicaRole,
    /// It leads, and no other replica has been able to compare histories with it so far.
    pub unverified: bool,
    /// What it has applied.
    pub applied: Scn,
    /// Records of the log that it has not folded.
    pub lag_records: u64,
    /// For how long it has known of them.
    pub lag_ms: u64,
}
