//! A node in one of its lives, and whether another one follows.
//!
//! Start reading at [`NodeLife`].

use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation};

/// Who a node is from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLife {
    /// Its name.
    pub node: NodeId,
    /// Counts its lives.
    pub incarnation: NodeIncarnation,
    /// Where they are counted.
    pub directory: DirectoryUuid,
    /// Drawn at the start: two processes that run copies of one directory may count alike.
    pub nonce: u128,
}

/// What becomes of a node that cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextLife {
    /// It starts again by itself, with an incarnation above this one.
    Begins {
        /// The incarnation.
        above: NodeIncarnation,
    },
    /// It stays down until it is started by hand.
    Waits,
}
