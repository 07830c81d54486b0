//! Who leads a partition, as far as some node knows.
//!
//! Start reading at [`KnownLeader`].

use cortado_model::{Generation, NodeId};

/// Who leads a partition, as far as a node has folded its log. What is newer counts more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownLeader {
    /// The leadership.
    pub generation: Generation,
    /// It has been given up: `node` is the successor that the former leader named.
    pub stepped_down: bool,
    /// The leader, or its successor; `None` if no node has claimed, or none was named.
    pub node: Option<NodeId>,
}

impl KnownLeader {
    /// Whether it tells of a later leadership than `other`, or of its end.
    pub fn is_newer_than(&self, other: &KnownLeader) -> bool {
        (self.generation, self.stepped_down) > (other.generation, other.stepped_down)
    }
}
