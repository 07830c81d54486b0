//! Which node a data directory is: decided once, by its name and what `_cluster` says of it.
//!
//! Pure but for the random number. Start reading at [`seat_in`].
//! Source: docs/protocols/failover.md, "Registration".

use crate::directory::DirectoryError;
use cortado_gateway::{Catalog, NodeFacts, random_u128};
use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation};

/// The ids of routers begin here; those of nodes stay below, so that neither passes for the other.
pub(crate) const ROUTERS: u32 = 1 << 31;

/// Remembers which node a data directory is.
pub trait NodeSeats: Send + Sync + 'static {
    /// The node that was decided upon; `None` in a directory that is new. May block.
    ///
    /// # Errors
    /// What is stored cannot be read, or is of a node with another name than `name`.
    fn taken(&self, name: &str) -> Result<Option<NodeId>, DirectoryError>;

    /// Notes that the directory is `node`, durably. May block.
    ///
    /// # Errors
    /// It cannot be noted: the node must not start.
    fn take(&self, name: &str, node: NodeId) -> Result<(), DirectoryError>;
}

/// Which node a directory is to be, and above which life of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeSeat {
    pub(crate) node: NodeId,
    pub(crate) above: NodeIncarnation,
}

/// Why a directory cannot be the node that it is called.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    /// Another directory is.
    #[error(
        "the name {name} is registered with data directory {holder}: start the node there, choose \
         another name, or, if that directory is lost, let this one take over with `cortado node \
         replace {name}` and start it again"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// The other one.
        holder: DirectoryUuid,
    },
}

/// Which node the directory called `name` is in a cluster of which `catalog` is known.
///
/// A random id, which no other node has: what a node says before it has registered can then be
/// taken for nobody else's, though two begin at the same time under one name.
///
/// * `taken`: which node it was before.
///
/// # Errors
/// See [`SeatError`].
pub(crate) fn seat_in(
    catalog: &Catalog,
    name: &str,
    taken: Option<NodeId>,
) -> Result<NodeSeat, SeatError> {
    let stays = |node| NodeSeat { node, above: NodeIncarnation(0) };
    if let Some(own) = taken.and_then(|node| catalog.node(node)) {
        // How it stands there is for its registration to find out.
        return Ok(stays(own.node));
    }
    match catalog.node_named(name) {
        Some(NodeFacts { node, incarnation, replaced: true, removed: false, .. }) => {
            Ok(NodeSeat { node: *node, above: *incarnation })
        }
        Some(NodeFacts { directory, removed: false, .. }) => {
            Err(SeatError::NameTaken { name: name.to_owned(), holder: *directory })
        }
        Some(_) | None => Ok(stays(taken.unwrap_or_else(|| fresh(catalog)))),
    }
}

/// An id that no node has, as far as is known.
fn fresh(catalog: &Catalog) -> NodeId {
    loop {
        let node = NodeId(random_u128() as u32 & (ROUTERS - 1));
        if node.0 != 0 && catalog.node(node).is_none() {
            return node;
        }
    }
}
