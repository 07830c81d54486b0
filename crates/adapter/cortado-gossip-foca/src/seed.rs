//! Where other nodes may be.

use cortado_model::NodeId;

/// Where another node may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipSeed {
    /// Which, if that is known.
    pub node: Option<NodeId>,
    /// `host:port`.
    pub address: String,
}
