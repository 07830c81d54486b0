//! No node claims because a leader is silent while it does not hear its own beats.

use crate::kernel::violation::Violation;
use cortado_model::Millis;

const NAME: &str = "hearing";

/// A node claims at `now`, on its own clock, since it takes a leader for dead.
///
/// * `heard_itself`: when its own beats last came back on each stream.
///
/// # Errors
/// On some stream that is longer ago than two beats.
pub fn check(now: Millis, heard_itself: &[Option<Millis>], beat_ms: u64) -> Result<(), Violation> {
    let lately = |at: &Option<Millis>| at.is_some_and(|at| now.since(at) <= 2 * beat_ms);
    if heard_itself.iter().all(lately) {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("claimed at {now:?}, heard itself at {heard_itself:?}")))
}
