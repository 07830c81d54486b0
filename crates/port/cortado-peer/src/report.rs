//! How a node and its replicas are, for operators and for nodes that wait for them.
//!
//! Start reading at [`NodeReport`].

use crate::ReplicaProgress;
use cortado_model::{LogOffset, NodeIncarnation};

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// Its life.
    pub incarnation: NodeIncarnation,
    /// Where clients reach it.
    pub address: String,
    /// Why it is unhealthy, if it is.
    pub sick: Option<String>,
    /// It is well enough to be given leaderships; whether there is room, each replica says.
    pub fit: bool,
    /// In ascending order.
    pub replicas: Vec<ReplicaReport>,
}

/// One replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaReport {
    /// How far it is, and what it does.
    pub progress: ReplicaProgress,
    /// Where its log ends, as far as it knows.
    pub end: LogOffset,
    /// For how long it has known that the log holds more than it has folded; 0 if it does not.
    pub behind_ms: u64,
    /// It leads, and no replica has been able to compare histories with it so far.
    pub unverified: bool,
    /// The feature level that its log uses, as far as it has folded; 0 before it has.
    pub feature_level: u32,
}
