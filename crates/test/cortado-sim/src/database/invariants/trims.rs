//! The log never forgets what fewer than two replicas (all, if there are fewer) hold durably, nor
//! what some replica has not held yet, unless its node is away for long.

use crate::kernel::violation::Violation;
use cortado_model::{LogOffset, NodeId};

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

/// The log is about to forget what lies below `below`.
///
/// * `verified`: below which offset each replica that is not away has ever held everything durably.
///
/// # Errors
/// One of them would find in the log less than it needs.
pub fn check_verified(
    below: LogOffset,
    mut verified: impl Iterator<Item = (NodeId, LogOffset)>,
) -> Result<(), Violation> {
    match verified.find(|(_, verified)| *verified < below) {
        Some((node, verified)) => {
            let details = format!("trimmed below {below}, {node} has verified {verified}");
            Err(Violation::new(NAME, details))
        }
        None => Ok(()),
    }
}
