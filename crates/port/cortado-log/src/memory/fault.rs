//! The ways in which the in-memory log fails when it is told to. Closed: a new way is a new
//! variant, and every match says what it means.

/// What happens to one append instead of the expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing lands; the answer says so.
    Refuse,
    /// Everything lands; the answer is "perhaps".
    UnknownLanded,
    /// Nothing lands; the answer is "perhaps".
    UnknownLost,
    /// Only the first `records` of the append land; the answer is "perhaps".
    Prefix {
        /// How many land; all of them if the append has fewer.
        records: usize,
    },
    /// Everything lands and can be read; the acknowledgement waits until it is released.
    HoldAcknowledgement,
    /// The records land twice, one set after the other; the answer names the first.
    Duplicate,
    /// This append and all later ones are refused, until the restart.
    Unusable {
        /// Whether this append's records land before.
        landed: bool,
    },
}

/// What happens to one read instead of the expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// A passing failure.
    Unavailable,
    /// The stored bytes are not what was written.
    Damaged,
}
