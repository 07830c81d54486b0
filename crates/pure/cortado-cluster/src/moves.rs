//! Changing where replicas live: what is planned, one partition's next step, and the pace of all.
//!
//! A replica moves by being added, catching up, handing the leadership over if it leads, and being
//! removed. What has been done stands in `_cluster` and in the partitions' logs, so that any later
//! controller goes on from there; nothing here remembers anything. Start reading at [`next_steps`].
//! Source: docs/protocols/moves.md.

mod change;
mod pace;
mod planning;
mod progress;
mod replica_move;
mod step;
#[cfg(test)]
mod tests;

pub use change::{ChangeId, ChangeState, MoveLimits, PlannedChange, PlannedKind};
pub use pace::{MoveDecision, next_steps, waiting};
pub use planning::{Located, MoveTarget, PlanError, plan_moves};
pub use progress::{MoveProgress, RateMeter, progress_of};
pub use replica_move::{MoveStage, ReplicaMove};
pub use step::{
    MoveStep, MoveWait, MovingPartition, ReplicaState, ServingLeader, next_step, repair,
};
