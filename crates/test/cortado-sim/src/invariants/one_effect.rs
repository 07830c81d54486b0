//! A write with an idempotency key takes effect once, however often it is tried.

use crate::truth::Truth;
use crate::violation::Violation;

const NAME: &str = "one_effect";

/// The newest accepted transaction of `truth` has just landed.
///
/// # Errors
/// Its key had been used before.
pub fn check_newest(truth: &Truth) -> Result<(), Violation> {
    let newest = truth.transactions.last().and_then(|t| t.transaction.idempotency.first());
    let Some(uses) = newest.and_then(|idempotency| truth.keys.get(&idempotency.name)) else {
        return Ok(());
    };
    if uses.len() > 1 {
        return Err(Violation::new(NAME, format!("one key took effect at {uses:?}")));
    }
    Ok(())
}
