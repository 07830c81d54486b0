//! The ways in which the in-memory log fails when it is told to. Closed: a new way is a new
//! variant, and every match says what it means.

/// What happens to one append instead of the expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing lands; the outcomes say so.
    Refuse,
    /// Everything lands; the outcomes are "perhaps".
    UnknownLanded,
    /// Nothing lands; the outcomes are "perhaps".
    UnknownLost,
    /// Only the first `records` of the append land; the outcomes are "perhaps".
    Prefix {
        /// How many land; all of them if the append has fewer.
        records: usize,
    },
    /// Only the first `records` of the append land, and each outcome says what became of its own.
    Split {
        /// How many land; all of them if the append has fewer.
        records: usize,
    },
    /// Everything lands; the outcomes say so, but not where.
    Somewhere,
    /// Everything lands and can be read; the outcomes wait until they are released.
    HoldAcknowledgement,
    /// Nothing lands and nothing is answered until it is released; then everything lands, behind
    /// what has come meanwhile.
    HoldRecords,
    /// The records land twice, one set after the other; the outcomes name the first.
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
