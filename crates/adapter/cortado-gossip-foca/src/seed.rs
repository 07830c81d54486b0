//! Where other nodes may be.

use cortado_model::NodeId;

/// Where another node may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipSeed {
    /// Which; must be known where nodes have certificates.
    pub node: Option<NodeId>,
    /// `host:port`.
    pub address: String,
}
