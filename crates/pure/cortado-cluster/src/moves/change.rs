//! What operators, or the automation, want to be placed otherwise.
//!
//! Decides nothing. Start reading at [`PlannedChange`].

use core::fmt;
use cortado_model::{NodeId, PartitionId};

/// A planned change; never used again in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeId(pub u64);

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A planned change, as `_cluster` keeps it until it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedChange {
    /// Which.
    pub id: ChangeId,
    /// What for.
    pub kind: PlannedKind,
    /// Whether it goes on.
    pub state: ChangeState,
    /// How fast.
    pub limits: MoveLimits,
    /// Replicas that had to be copied when it was planned.
    pub replicas: u32,
    /// What they held then, in bytes.
    pub bytes: u64,
}

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedKind {
    /// A node has joined, and gets its share.
    AddNode(NodeId),
    /// A node is to leave for good; its replicas go to all others.
    RemoveNode(NodeId),
    /// A node takes over all that another one had.
    ReplaceNode {
        /// The one that is gone, or shall go.
        from: NodeId,
        /// The one that takes over.
        to: NodeId,
    },
    /// Everything is to be even again over all nodes.
    Expand,
    /// An operator moves one replica.
    Manual {
        /// Of which partition.
        partition: PartitionId,
        /// From where.
        from: NodeId,
        /// To where.
        to: NodeId,
    },
}

/// Whether a change goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeState {
    /// It does.
    Running,
    /// It rests where it is, until it is resumed.
    Paused,
    /// Nothing more is begun, and what was begun is ended: forward where that is nearly done, back
    /// where it is not.
    Cancelled,
}

/// How fast replicas may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveLimits {
    /// Replicas that are copied to one node at a time; 1 or more.
    pub copies_per_node: u32,
    /// Replicas that are copied in the whole cluster at a time; 1 or more.
    pub copies_per_cluster: u32,
    /// What all copies together may take, in bytes a second; 0 for no bound.
    pub bytes_per_second: u64,
}

impl Default for MoveLimits {
    fn default() -> MoveLimits {
        MoveLimits {
            copies_per_node: 3,
            copies_per_cluster: 10,
            // Half of what a gigabit carries.
            bytes_per_second: 60_000_000,
        }
    }
}

impl PlannedKind {
    /// The node that is no member any more when the change is over, if there is one.
    pub fn leaving(&self) -> Option<NodeId> {
        match self {
            PlannedKind::RemoveNode(node) | PlannedKind::ReplaceNode { from: node, .. } => {
                Some(*node)
            }
            PlannedKind::AddNode(_) | PlannedKind::Expand | PlannedKind::Manual { .. } => None,
        }
    }
}

impl MoveLimits {
    /// What one of so many copies may take, in bytes a second; `None` for no bound. Never 0: a copy
    /// that rests for long loses the snapshot that it is made from.
    pub fn bytes_per_second_of_one(&self, copies: u32) -> Option<u64> {
        let bounded = self.bytes_per_second > 0;
        bounded.then(|| (self.bytes_per_second / u64::from(copies.max(1))).max(1))
    }
}

impl fmt::Display for PlannedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlannedKind::AddNode(node) => write!(f, "{node} gets its share of replicas"),
            PlannedKind::RemoveNode(node) => write!(f, "{node} is to hold no replica"),
            PlannedKind::ReplaceNode { from, to } => write!(f, "{to} takes over for {from}"),
            PlannedKind::Expand => f.write_str("replicas are spread evenly over all nodes"),
            PlannedKind::Manual { partition, from, to } => {
                write!(f, "the replica of {partition} goes from {from} to {to}")
            }
        }
    }
}
