//! Every request that a driver has taken is answered exactly once, as long as its node lives; and
//! what a driver wants done has numbers that only grow, one batch at a time.

use crate::kernel::violation::Violation;
use cortado_driver::JobId;

const NAME: &str = "answers";

/// A driver has answered something that no caller waits for.
pub fn unexpected(what: &str) -> Violation {
    Violation::new(NAME, format!("no caller waits for: {what}"))
}

/// A driver wants something done under the number `job`.
///
/// # Errors
/// It has had one as high: two answers could be confused.
pub fn check_number(last: JobId, job: JobId) -> Result<(), Violation> {
    if job > last {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("an action has number {}, another had {}", job.0, last.0)))
}

/// A driver gives its store a batch.
///
/// # Errors
/// The store has one that it has not answered.
pub fn check_alone(under_way: Option<JobId>, job: JobId) -> Result<(), Violation> {
    match under_way {
        None => Ok(()),
        Some(other) => {
            let details = format!("batch {} is given while {} is under way", job.0, other.0);
            Err(Violation::new(NAME, details))
        }
    }
}

/// After the faults, and when clients have stopped, every caller has been answered.
///
/// # Errors
/// Those in `waiting` have not.
pub fn check_none_waits(waiting: impl Iterator<Item = String>) -> Result<(), Violation> {
    let waiting: Vec<String> = waiting.collect();
    if waiting.is_empty() {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("never answered: {}", waiting.join(", "))))
}
