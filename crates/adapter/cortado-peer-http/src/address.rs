//! Where a node is.

use cortado_model::NodeIncarnation;

/// Where a node is, and in which life, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// The life that is meant: another one is not asked. `None` if it is not known, as in settings.
    pub incarnation: Option<NodeIncarnation>,
    /// `host:port`, tried in turn. Names are looked up for every connection.
    pub addresses: Vec<String>,
}
