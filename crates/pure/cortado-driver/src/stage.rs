//! Between a replica's lives, and in one: where its driver stands.
//!
//! Decides nothing. Start reading at [`Stage`].

use crate::event::JobId;
use crate::halt::Halt;
use crate::life::Life;
use crate::rebuilding::Rebuilding;
use crate::role::ReplicaRole;
use alloc::boxed::Box;
use cortado_model::{LogOffset, Millis};
use cortado_replica::FoldState;

/// Where a driver stands.
#[derive(Debug)]
pub(crate) enum Stage<C> {
    /// Looks for its checkpoint and its log.
    Surveying(JobId),
    /// Removes what an interrupted snapshot has left.
    Clearing {
        job: JobId,
        fold: Box<FoldState>,
        first: LogOffset,
    },
    Living(Box<Life<C>>),
    /// Waits for the store to be done with a batch, before anything else follows from `halt`.
    Draining {
        job: JobId,
        halt: Halt,
    },
    /// The store is full. What it shows can be read meanwhile.
    AwaitingRoom {
        probe: Option<JobId>,
        due: Millis,
    },
    Rebuilding(Rebuilding),
    /// Begins a life at this time.
    Resting(Millis),
    /// Serves nothing and touches nothing until told to stop: another build, or a person, goes on.
    StandingStill,
    /// Goes on with what it has, as an operator wants; finds out behind what.
    LookingThrough(JobId),
    Ended,
}

impl<C> Stage<C> {
    /// What the replica does.
    ///
    /// * `in_doubt`: what it has is not what its log, or its leader, goes on with.
    pub(crate) fn role(&self, in_doubt: bool) -> ReplicaRole {
        match self {
            Stage::Living(life) => life.core.role().into(),
            Stage::AwaitingRoom { .. } => ReplicaRole::Full,
            Stage::Rebuilding(_) => ReplicaRole::Restoring,
            Stage::Surveying(_)
            | Stage::Draining { .. }
            | Stage::Resting(_)
            | Stage::StandingStill
            | Stage::LookingThrough(_)
                if in_doubt =>
            {
                ReplicaRole::Disputed
            }
            Stage::Surveying(_)
            | Stage::Clearing { .. }
            | Stage::Draining { .. }
            | Stage::Resting(_)
            | Stage::StandingStill
            | Stage::LookingThrough(_)
            | Stage::Ended => ReplicaRole::Offline,
        }
    }

    /// The replica, while it lives.
    pub(crate) fn life(&self) -> Option<&Life<C>> {
        match self {
            Stage::Living(life) => Some(life),
            Stage::Surveying(_)
            | Stage::Clearing { .. }
            | Stage::Draining { .. }
            | Stage::AwaitingRoom { .. }
            | Stage::Rebuilding(_)
            | Stage::Resting(_)
            | Stage::StandingStill
            | Stage::LookingThrough(_)
            | Stage::Ended => None,
        }
    }
}
