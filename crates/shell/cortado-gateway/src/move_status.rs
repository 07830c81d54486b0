//! Changes of where replicas live, as operators order and see them.
//!
//! Nothing decides by it. Start reading at [`ChangePlan`].

use cortado_cluster::{ChangeId, MoveLimits, MoveProgress, PlannedChange, PlannedKind};
use cortado_model::{NodeId, PartitionId};

/// What an operator wants to be placed otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeOrder {
    /// What for.
    pub kind: PlannedKind,
    /// How fast.
    pub limits: MoveLimits,
}

/// What a change moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePlan {
    /// Its id; `None` if it has not begun, or moves nothing.
    pub id: Option<ChangeId>,
    /// What for.
    pub kind: PlannedKind,
    /// How fast.
    pub limits: MoveLimits,
    /// Replicas to copy.
    pub replicas: usize,
    /// What they hold, in bytes, as far as that is known.
    pub bytes: u64,
    /// Whether it is known of all of them.
    pub all_measured: bool,
    /// Partitions that are placed otherwise afterwards, if only in the order of their nodes.
    pub partitions: usize,
    /// The replicas that come and go.
    pub moves: Vec<PlannedMove>,
}

/// One replica that is to come, to go, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedMove {
    /// Of which partition.
    pub partition: PartitionId,
    /// Where one is removed.
    pub from: Option<NodeId>,
    /// Where one is added.
    pub to: Option<NodeId>,
}

/// A change that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeStatus {
    /// Which, and whether it goes on.
    pub change: PlannedChange,
    /// How far it is.
    pub progress: MoveProgress,
    /// What its partitions wait for.
    pub waiting: Vec<MoveWaiting>,
}

/// Partitions that wait for the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveWaiting {
    /// For what.
    pub why: String,
    /// One of them.
    pub first: PartitionId,
    /// How many there are.
    pub partitions: usize,
}
