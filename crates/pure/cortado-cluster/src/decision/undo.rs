//! How a person would take back what was decided.

use super::facts::PartitionFacts;
use crate::explanation::{Cause, Command};

/// The command that restores the former state, if there was one to return to.
pub(super) fn undo(facts: &PartitionFacts<'_>, cause: &Cause) -> Option<Command> {
    let before = match cause {
        Cause::NeverLed => None,
        Cause::LeaderDead { leader, .. }
        | Cause::LeaderGray { leader, .. }
        | Cause::LeaderCutOff { leader, .. }
        | Cause::LeaderRestarted { leader, .. } => Some(*leader),
        Cause::SteppedDown { by, .. } => Some(*by),
        Cause::Drained => return Some(Command::Resume { node: facts.me }),
        // The move goes on; to end that is another command's business.
        Cause::MovesAway => return None,
        Cause::PreferredIsBack { .. } | Cause::PinnedIsBack { .. } | Cause::Sick(_) => {
            Some(facts.me)
        }
    };
    let other = before.filter(|before| *before != facts.me || !cause.is_claim());
    other.map(|to| Command::HandOff { partition: facts.partition, to })
}
