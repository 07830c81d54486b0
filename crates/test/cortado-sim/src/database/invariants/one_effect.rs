//! A write with an idempotency key takes effect once, however often it is tried, as long as its
//! answer is remembered.

use crate::database::truth::{Truth, Use};
use crate::kernel::violation::Violation;

const NAME: &str = "one_effect";

/// The newest accepted transaction of `truth` has just landed.
///
/// # Errors
/// A key of it had been used before, and log time had not passed what was promised then.
pub fn check_newest(truth: &Truth) -> Result<(), Violation> {
    let Some(newest) = truth.transactions.last() else { return Ok(()) };
    let mut names = newest.transaction.idempotency.iter().map(|idempotency| &idempotency.name);
    names.try_for_each(|name| truth.keys.get(name).map_or(Ok(()), |uses| check(uses)))
}

/// As [`check_newest`], for every key.
///
/// # Errors
/// The first that was used twice.
pub fn check_all(truth: &Truth) -> Result<(), Violation> {
    truth.keys.values().try_for_each(|uses| check(uses))
}

fn check(uses: &[Use]) -> Result<(), Violation> {
    let again = uses.windows(2).find(|pair| pair[1].remembered.time <= pair[0].remembered.expires);
    let Some(pair) = again else { return Ok(()) };
    let (first, second) = (pair[0].scn, pair[1].scn);
    Err(Violation::new(NAME, format!("one key took effect at {first} and at {second}")))
}
