//! What was answered "definitely not done" never takes effect: not before the answer, not later.

use crate::database::documents::{AttemptId, ValueId};
use crate::database::history::{Action, Attempt, Operation};
use crate::database::truth::Truth;
use crate::kernel::violation::Violation;
use cortado_cluster::RouteStep;
use std::collections::BTreeMap;

const NAME: &str = "definite_errors";

/// The tries of one partition that were answered so, and how.
#[derive(Debug, Default)]
pub struct Denied {
    attempts: BTreeMap<AttemptId, String>,
    /// Values that parts of a bulk were to write.
    values: BTreeMap<(AttemptId, ValueId), String>,
}

impl Denied {
    /// `attempt` was answered with a definite error.
    ///
    /// # Errors
    /// It had taken effect.
    pub fn deny(
        &mut self,
        truth: &Truth,
        attempt: AttemptId,
        answer: String,
    ) -> Result<(), Violation> {
        if let Some(scn) = truth.attempts.get(&attempt) {
            let details = format!("{attempt:?} was answered {answer}, and is accepted at {scn}");
            return Err(Violation::new(NAME, details));
        }
        self.attempts.insert(attempt, answer);
        Ok(())
    }

    /// The part of a bulk that was to write `value` was answered with a definite error.
    ///
    /// # Errors
    /// It had taken effect.
    pub fn deny_part(
        &mut self,
        truth: &Truth,
        attempt: AttemptId,
        value: ValueId,
        answer: String,
    ) -> Result<(), Violation> {
        let accepted = truth.attempts.get(&attempt).and_then(|scn| truth.transaction(*scn));
        let mut written = accepted.iter().flat_map(|accepted| &accepted.transaction.changes);
        if written.any(|change| ValueId::after(change) == value) {
            let details = format!("{value:?} of {attempt:?} was answered {answer}, and accepted");
            return Err(Violation::new(NAME, details));
        }
        self.values.insert((attempt, value), answer);
        Ok(())
    }

    /// The newest accepted transaction of `truth` has just landed.
    ///
    /// # Errors
    /// It had been denied, or a part of it.
    pub fn check_newest(&self, truth: &Truth) -> Result<(), Violation> {
        let Some(newest) = truth.transactions.last() else { return Ok(()) };
        let Some(attempt) = AttemptId::of(&newest.transaction) else { return Ok(()) };
        let mut written = newest.transaction.changes.iter().map(ValueId::after);
        let part = written.find_map(|value| self.values.get(&(attempt, value)));
        let Some(answer) = self.attempts.get(&attempt).or(part) else { return Ok(()) };
        let details = format!("{attempt:?} was answered {answer}, then accepted at {}", newest.scn);
        Err(Violation::new(NAME, details))
    }
}

/// A client takes `step` after the tries of `operation`.
///
/// # Errors
/// It calls not done what may have been done, or would do twice what it may do once.
pub fn check_step(operation: &Operation, step: RouteStep) -> Result<(), Violation> {
    let nothing = |attempt: &Attempt| {
        attempt.ended.as_ref().is_some_and(|(_, reply)| reply.is_definitely_nothing())
    };
    let reads = matches!(operation.action, Action::Read { .. });
    let nothing_done = reads || operation.attempts.iter().all(nothing);
    let right = match step {
        RouteStep::NotDone => nothing_done,
        RouteStep::TryAgain => nothing_done || operation.key.is_some(),
        RouteStep::Answer => true,
        RouteStep::Unknown(_) => !nothing_done,
    };
    let details = || format!("{step:?} after {:?} of {:?}", operation.attempts, operation.action);
    if right { Ok(()) } else { Err(Violation::new(NAME, details())) }
}
