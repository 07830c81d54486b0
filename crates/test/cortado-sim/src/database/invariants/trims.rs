//! The log never forgets what fewer than two replicas (all, if there are fewer) hold durably.

use crate::kernel::violation::Violation;
use cortado_model::LogOffset;

const NAME: &str = "trims";

/// How many replicas must hold what the log forgets.
pub const HOLDERS_MIN: usize = 2;

/// The log is about to forget what lies below `below`.
///
/// * `durable`: where the durable checkpoint of each replica stands.
///
/// # Errors
/// Too few replicas hold it.
pub fn check(below: LogOffset, durable: &[LogOffset]) -> Result<(), Violation> {
    let holders = durable.iter().filter(|offset| **offset >= below).count();
    // One store may be lost between the decision and the trim; the other one must still be there.
    if holders + 1 >= HOLDERS_MIN.min(durable.len()) && holders > 0 {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("trimmed below {below}, held durably: {durable:?}")))
}
