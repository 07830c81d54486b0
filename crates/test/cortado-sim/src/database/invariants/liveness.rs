//! After the faults stop, every partition is served again, and every replica catches up, within a
//! bound.

use crate::database::history::{Action, Level, Operation, Reply};
use crate::kernel::time::{Moment, SECOND};
use crate::kernel::violation::Violation;

const NAME: &str = "liveness";

/// From the end of the faults until all kinds of service work again. Covers the longest lateness
/// of an append, of a restart, and of a detection that has backed off after many wrong guesses.
pub const SERVED_US_MAX: u64 = 30 * SECOND;
/// From the end of all requests until nothing is under way any more. Covers the rest of a driver
/// whose log was out of reach when it began, on a clock that runs at a third of its rate.
pub const QUIET_US_MAX: u64 = 25 * SECOND;

/// What has worked on one partition since the faults stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    write: bool,
    strong: bool,
    strict: bool,
}

impl Served {
    /// An operation that began after the faults has ended.
    pub fn note(&mut self, operation: &Operation, reply: &Reply) {
        match (&operation.action, reply) {
            (Action::Write(_), Reply::Committed { .. }) => self.write = true,
            (Action::Read { level: Level::Strong, .. }, Reply::Values { .. }) => self.strong = true,
            (Action::Read { level: Level::Strict, .. }, Reply::Values { .. }) => self.strict = true,
            (Action::Write(_) | Action::Bulk(_) | Action::Read { .. }, _) => {}
        }
    }

    /// Whether everything has worked.
    pub fn is_complete(self) -> bool {
        self.write && self.strong && self.strict
    }
}

/// The faults stopped at `healed`.
///
/// # Errors
/// Some partition is not served again although the bound has passed.
pub fn check_served(served: &[Served], healed: Moment, now: Moment) -> Result<(), Violation> {
    if now.since(healed) <= SERVED_US_MAX || served.iter().all(|each| each.is_complete()) {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("{} µs after the faults: {served:?}", now.since(healed))))
}

/// Clients stopped at `stopped`; `unfinished` names what is under way still.
///
/// # Errors
/// The bound has passed.
pub fn check_quiet(unfinished: &[String], stopped: Moment, now: Moment) -> Result<(), Violation> {
    if now.since(stopped) <= QUIET_US_MAX {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("does not come to rest: {}", unfinished.join(", "))))
}
