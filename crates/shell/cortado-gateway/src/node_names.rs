//! The names of nodes, each held by one node: of two that register at the same time one gets it.
//!
//! Every member is described in docs/formats/cluster.md. Decides nothing. Start reading at
//! [`NodeNameDocument`].

use crate::cluster_log::{VERSION_WITH_NAMES, key};
use cortado_model::{DocumentKey, NodeId, TableId};
use serde::{Deserialize, Serialize};

/// Which node holds a name, by the name. Nodes that are called after their ids have none.
pub(crate) const NAMES: TableId = TableId(13);

/// The holder of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeNameDocument {
    pub(crate) version: u32,
    /// The node's id.
    pub(crate) node: u32,
}

impl NodeNameDocument {
    pub(crate) fn of(node: NodeId) -> NodeNameDocument {
        NodeNameDocument { version: VERSION_WITH_NAMES, node: node.0 }
    }
}

/// The key of a name, which has been checked to be one.
pub(crate) fn name_key(name: &str) -> DocumentKey {
    key(&[name])
}
