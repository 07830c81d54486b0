//! What becomes of a request after each try to have some replica serve it: retry by outcome.
//!
//! Knows no document, no socket and no time: its caller asks the replicas, waits, and counts down
//! to the deadline. Start reading at [`RouteAttempt::judge`].
//! Source: docs/protocols/failover.md, "Requests meanwhile".

#[cfg(test)]
mod tests;

/// One request on its way from one replica to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteAttempt {
    repetition: Repetition,
    /// An earlier try may have been committed. Then a replica's answer still counts, since it has
    /// looked for the key; but that nothing came of a *later* try says nothing.
    perhaps: bool,
}

/// What a request would do if replicas served it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// Nothing: it only reads.
    Harmless,
    /// Nothing more: the first answer is remembered under its idempotency key, and given again.
    Remembered,
    /// The same once more: it writes, without a key.
    Doubled,
}

/// How one try ended: all that the next step depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    /// The replica has answered: it is done, or can be done in no state like this one.
    Answered,
    /// Certainly nothing was done: the replica does not lead, not yet or no longer.
    NotHere,
    /// Certainly nothing was done, and no other try would do better before the cluster's state is
    /// another one: there is no leader, or it is overloaded, or its log takes nothing.
    Declined,
    /// Certainly nothing was done, and nothing will be: the deadline passed before it was begun.
    DeadlineBefore,
    /// Perhaps it was done: the replica went away while it was on its way.
    LeaderLost,
    /// Perhaps it was done: the log failed while it was on its way.
    LogFailed,
    /// Perhaps it was done: the deadline passed while it was on its way.
    DeadlineAfter,
}

/// What to do after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteStep {
    /// Ask the replica that leads by then.
    TryAgain,
    /// Hand the replica's answer on.
    Answer,
    /// Give up: certainly nothing was done, and nothing will be.
    NotDone,
    /// Give up: whether it was done is unknown.
    Unknown(Doubt),
}

/// Why it is unknown whether a request was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A replica went away with it.
    LeaderLost,
    /// The log failed under it.
    LogFailed,
    /// The deadline passed while it was on its way.
    Deadline,
}

impl RouteAttempt {
    /// Before the first try.
    pub fn new(repetition: Repetition) -> RouteAttempt {
        RouteAttempt { repetition, perhaps: false }
    }

    /// What to do now that a try has had this outcome.
    ///
    /// Never says that nothing was done if any of the tries may have done something.
    pub fn judge(&mut self, outcome: TryOutcome) -> RouteStep {
        match outcome {
            TryOutcome::Answered => RouteStep::Answer,
            TryOutcome::NotHere => RouteStep::TryAgain,
            TryOutcome::Declined | TryOutcome::DeadlineBefore => self.give_up(),
            TryOutcome::LeaderLost => match self.repetition {
                Repetition::Harmless => RouteStep::TryAgain,
                Repetition::Remembered => {
                    self.perhaps = true;
                    RouteStep::TryAgain
                }
                Repetition::Doubled => RouteStep::Unknown(Doubt::LeaderLost),
            },
            TryOutcome::LogFailed => match self.repetition {
                Repetition::Harmless => RouteStep::TryAgain,
                // The next try would need the same log.
                Repetition::Remembered | Repetition::Doubled => {
                    RouteStep::Unknown(Doubt::LogFailed)
                }
            },
            TryOutcome::DeadlineAfter => match self.repetition {
                Repetition::Harmless => RouteStep::NotDone,
                Repetition::Remembered | Repetition::Doubled => RouteStep::Unknown(Doubt::Deadline),
            },
        }
    }

    fn give_up(&self) -> RouteStep {
        if self.perhaps { RouteStep::Unknown(Doubt::LeaderLost) } else { RouteStep::NotDone }
    }
}
