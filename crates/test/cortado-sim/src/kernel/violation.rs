//! How a checker says that something must not be.

use crate::kernel::time::Moment;
use std::fmt;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name: the file in `invariants/` or `oracle/`.
    pub invariant: &'static str,
    /// What was seen.
    pub details: String,
}

impl Violation {
    /// `invariant` does not hold, as `details` show.
    pub fn new(invariant: &'static str, details: String) -> Violation {
        Violation { invariant, details }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.details)
    }
}

/// A violation, and when it was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When.
    pub at: Moment,
    /// What.
    pub violation: Violation,
}
