//! Orders about one partition's leadership and state.
//!
//! Start reading at [`HandOff`].

use crate::KnownLeader;
use cortado_model::{NodeId, PartitionId};
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
