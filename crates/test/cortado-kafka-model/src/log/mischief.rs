//! What the log on the model can be made to do wrong, for the conformance suite.

use cortado_model::LogOffset;

/// What can be made to go wrong with one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaMischief {
    /// The answer to the next request is lost, and by the time that it is sent again the broker has
    /// forgotten where the records stand.
    SucceedWithoutPosition,
    /// The next request stays on its way.
    HoldNext,
    /// What is on its way arrives.
    ReleaseHeld,
    /// A stranger ends so many transactions.
    Skip(u64),
    /// The log cleaner takes a record away.
    Lose(LogOffset),
    /// All machines lose power, and what stands from here on with it.
    Truncate(LogOffset),
    /// The topic is deleted and created again.
    Replace,
}
