//! A node in one of its lives.

use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation};

/// Who a node is from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeLife {
    pub(crate) node: NodeId,
    pub(crate) incarnation: NodeIncarnation,
    /// Where its incarnations are counted.
    pub(crate) directory: DirectoryUuid,
    /// Drawn at the start: two processes that run copies of one directory may count alike.
    pub(crate) nonce: u128,
}

/// What becomes of a node that cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextLife {
    /// It starts again by itself, with an incarnation above this one.
    Begins { above: NodeIncarnation },
    /// It stays down until it is started by hand.
    Waits,
}
