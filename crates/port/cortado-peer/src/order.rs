//! Orders about one partition's leadership and state.
//!
//! Start reading at [`HandOff`].

use cortado_cluster::KnownLeader;
use cortado_model::{Generation, NodeId, PartitionId, Scn};
use cortado_replica::NotDone;
use tokio::time::Instant;

/// Give the leadership up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOff {
    /// Of what.
    pub partition: PartitionId,
    /// The successor.
    pub to: NodeId,
    /// When the asking node gives up.
    pub deadline: Instant,
}

/// What became of a handoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOffAnswer {
    /// The step-down is committed; this node is to follow.
    SteppedDown(NodeId),
    /// This node leads, and was to lead.
    Leads,
    /// This node does not lead.
    WrongNode(KnownLeader),
    /// No replica could follow now, or not the one that was named.
    NoSuccessor,
    /// Definitely not done.
    NotDone(NotDone),
    /// Perhaps done.
    Unknown,
}

/// Whether a round of digests has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyAnswer {
    /// It has.
    Begun,
    /// This node does not lead.
    WrongNode(KnownLeader),
}

/// Change who may claim a partition, by one node.
///
/// It names all that it rests on, so that one that comes late changes nothing unless everything is
/// as it was. Source: docs/protocols/moves.md, "The replica set".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeReplicas {
    /// Which.
    pub partition: PartitionId,
    /// The leadership in which it is given.
    pub generation: Generation,
    /// Who may claim now.
    pub from: Vec<NodeId>,
    /// Who may then.
    pub to: Vec<NodeId>,
    /// Where `_cluster` says what it rests on.
    pub declared_at: Scn,
    /// When the asking node gives up.
    pub deadline: Instant,
}

/// What became of an order to change the replica set. Whether it is done shows in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeReplicasAnswer {
    /// The leader has it in line.
    Taken,
    /// This node does not lead.
    WrongNode(KnownLeader),
    /// Something else is declared about the partition by now.
    Outdated,
    /// The leader's line is full.
    Overloaded,
}
