//! Why a life of a replica ends, and what follows from each failure.
//!
//! Start reading at [`Halt`].

use crate::event::{Resolution, SurveyError};
use alloc::string::{String, ToString};
use cortado_model::{LogId, LogOffset, NodeId, StoreError};
use cortado_replica::Stop;

/// Why a driver stopped driving its core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It was told to.
    Ended,
    /// The store has no room.
    StoreFull { why: String },
    /// The store of the whole node must be opened again.
    StoreFailed { why: String },
    /// The replica's state is wrong, or cannot be read.
    Damaged { why: String },
    /// The log has forgotten what this replica has not folded.
    Trimmed { first: LogOffset },
    /// What stands in the log contradicts this replica, or cannot be read.
    Broken { at: LogOffset, why: String },
    /// The leader goes on with records that this replica has lost.
    Behind { at: LogOffset, why: String },
    /// What stands in the log was accepted elsewhere and is missing here: that replica has it.
    LostRecord { holder: NodeId, below: LogOffset, why: String },
    /// The log cannot be used as it is now; what the replica has stays untouched.
    Unusable { why: String },
    /// The log lacks what the replica has, which stays untouched.
    Truncated { why: String },
    /// This build cannot read what counts, or this replica's history is not the leader's: nothing
    /// may be thrown away, and an operator must decide.
    StandsStill {
        why: String,
        /// Another build could go on.
        needs_upgrade: bool,
    },
    /// The same for its history alone: an operator can choose it, or another one.
    Disputes { why: String },
    /// That has been done.
    Resolved(Resolution),
}

impl Halt {
    /// What it means for the replica that it cannot go past the record at `at`.
    pub(crate) fn before(at: LogOffset, stop: &Stop) -> Halt {
        let why = stop.to_string();
        match stop {
            Stop::Broken(_) => Halt::Broken { at, why },
            Stop::Behind(_) => Halt::Behind { at, why },
            Stop::NeedsUpgrade(_) => Halt::StandsStill { why, needs_upgrade: true },
            Stop::Disputed(_) => Halt::Disputes { why },
        }
    }

    /// Another log has taken the place of the replica's: what it has may be all that is left.
    pub(crate) fn replaced(found: LogId, wanted: LogId) -> Halt {
        let why = alloc::format!("the log was replaced: its identity is {found}, not {wanted}");
        Halt::StandsStill { why, needs_upgrade: false }
    }

    /// The log has lost records, or has told an old end. No replica can be right beyond the end of
    /// its log, so none is asked; what this one has may be all that is left of them.
    pub(crate) fn truncated(end: LogOffset, applied: LogOffset) -> Halt {
        let why = alloc::format!("the log ends at {end}, this replica has applied up to {applied}");
        Halt::Truncated { why }
    }

    /// The log was deleted, or is not there for now: what this replica has may be all that is left.
    pub(crate) fn missing() -> Halt {
        Halt::Unusable { why: "the log of this partition does not exist".to_string() }
    }

    /// Whether a leadership of this replica may still be given up in the log.
    pub(crate) fn can_step_down(&self) -> bool {
        match self {
            Halt::StoreFull { .. } | Halt::StoreFailed { .. } | Halt::Damaged { .. } => true,
            Halt::Ended
            | Halt::Trimmed { .. }
            | Halt::Broken { .. }
            | Halt::Behind { .. }
            | Halt::LostRecord { .. }
            | Halt::Unusable { .. }
            | Halt::Truncated { .. }
            | Halt::StandsStill { .. }
            | Halt::Disputes { .. }
            | Halt::Resolved(_) => false,
        }
    }
}

/// Duty 6: what each failure of the store means for the replica.
impl From<SurveyError> for Halt {
    /// Neither log nor store say where the replica stands.
    fn from(error: SurveyError) -> Halt {
        match error {
            SurveyError::Log { why } => Halt::Unusable { why },
            SurveyError::Store(error) => Halt::from(error),
        }
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Halt {
        match error {
            StoreError::Full { why } => Halt::StoreFull { why },
            StoreError::Damaged { why } => Halt::Damaged { why },
            StoreError::Failed { why } => Halt::StoreFailed { why },
        }
    }
}
