//! What a node remembers from one life to the next: who it is, and how often it has lived.
//!
//! A port: the binary keeps it on a disk, tests keep it in memory. Start reading at
//! [`NodeDirectories`].

use cortado_gateway::random_u128;
use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;

/// The data directories of the nodes of this process, as far as they tell who the nodes are.
pub trait NodeDirectories: Send + Sync + 'static {
    /// Begins a life of `node`: raises its incarnation, durably, and answers it. May block.
    ///
    /// Called before the node does anything else. A directory that has never held the node gets a
    /// UUID of its own, and the node its first incarnation.
    ///
    /// * `above`: the new incarnation is higher, as it is higher than any answered before.
    ///
    /// # Errors
    /// The node must not start. A counter that cannot be read is never begun anew.
    fn begin_life(
        &self,
        node: NodeId,
        above: NodeIncarnation,
    ) -> Result<NodeIdentity, DirectoryError>;
}

/// Who a node is in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Where it lives: another one is another node, whatever its name.
    pub directory: DirectoryUuid,
    /// Counts its lives there.
    pub incarnation: NodeIncarnation,
}

/// Why a node does not know who it is. Nothing was changed, or the counter is one higher.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// What is stored is not what was written.
    #[error("the node's identity is damaged: {why}")]
    Damaged {
        /// What is wrong, and what to do about it.
        why: String,
    },
    /// It cannot be read or written.
    #[error("{what}")]
    Failed {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl NodeIdentity {
    /// Of a directory that is new: it has not lived yet.
    pub fn new() -> NodeIdentity {
        let directory = DirectoryUuid(random_u128());
        NodeIdentity { directory, incarnation: NodeIncarnation(0) }
    }

    /// The next life, above `above`; `None` if the incarnations are used up.
    pub fn next(self, above: NodeIncarnation) -> Option<NodeIdentity> {
        let incarnation = self.incarnation.max(above).0.checked_add(1)?;
        Some(NodeIdentity { incarnation: NodeIncarnation(incarnation), ..self })
    }
}

impl Default for NodeIdentity {
    fn default() -> NodeIdentity {
        NodeIdentity::new()
    }
}

/// Directories that last as long as this value.
#[derive(Debug, Default)]
pub struct MemoryDirectories {
    nodes: Mutex<BTreeMap<NodeId, NodeIdentity>>,
}

impl MemoryDirectories {
    /// Who a node was in its last life; `None` before the first.
    pub fn identity(&self, node: NodeId) -> Option<NodeIdentity> {
        self.nodes.lock().get(&node).copied()
    }

    /// Gives a node the directory of this identity; with `None` it gets a new one.
    pub fn replace(&self, node: NodeId, identity: Option<NodeIdentity>) {
        let mut nodes = self.nodes.lock();
        nodes.remove(&node);
        nodes.extend(identity.map(|identity| (node, identity)));
    }
}

impl NodeDirectories for MemoryDirectories {
    fn begin_life(
        &self,
        node: NodeId,
        above: NodeIncarnation,
    ) -> Result<NodeIdentity, DirectoryError> {
        let mut nodes = self.nodes.lock();
        let identity = nodes.entry(node).or_default();
        let used_up = || DirectoryError::Damaged { why: "its incarnations are used up".to_owned() };
        *identity = identity.next(above).ok_or_else(used_up)?;
        Ok(*identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(last: u64, above: u64, want: Option<u64>) {
        let last = NodeIdentity { incarnation: NodeIncarnation(last), ..NodeIdentity::new() };
        let next = last.next(NodeIncarnation(above));
        assert_eq!(next.map(|next| next.incarnation.0), want);
        assert!(next.is_none_or(|next| next.directory == last.directory));
    }

    #[test]
    fn a_life_is_above_all_before_it() {
        check(0, 0, Some(1));
        check(1, 0, Some(2));
        check(1, 17, Some(18));
        check(17, 1, Some(18));
        check(u64::MAX, 0, None);
    }
}
