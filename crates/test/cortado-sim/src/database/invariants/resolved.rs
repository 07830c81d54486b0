//! When an operator has chosen one of several histories, it goes on: every replica comes to it, and
//! nothing that it holds is lost.

use super::kept::Kept;
use crate::database::store::Image;
use crate::kernel::time::SECOND;
use crate::kernel::violation::Violation;
use cortado_driver::ReplicaRole;

/// The name of this invariant: from the choice on, the only one that counts.
pub const NAME: &str = "resolved";

/// Longer than all that may rest, one after another.
const DONE_US_MAX: u64 = 60 * SECOND;

/// A store holds what the chosen one held.
///
/// # Errors
/// It does not.
pub fn check_same(who: &str, chosen: &Kept, image: &Image) -> Result<(), Violation> {
    let now = Kept::of(image);
    if now.has_same_documents(chosen) {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("{who} holds {now:?}, what was chosen {chosen:?}")))
}

/// One history goes on within a bound.
///
/// # Errors
/// Histories differ still.
pub fn check_done(
    partition: usize,
    waited_us: u64,
    roles: &[Option<ReplicaRole>],
) -> Result<(), Violation> {
    if waited_us <= DONE_US_MAX {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("p{partition} is not one history yet: {roles:?}")))
}
