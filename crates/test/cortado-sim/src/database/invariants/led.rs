//! A partition of which some replica shows everything that is committed is led, though all stores
//! be full.

use crate::kernel::violation::Violation;

/// All stores have been full for longer than any detection takes.
///
/// * `readable`: some replica folds, and has applied what is committed.
///
/// # Errors
/// Such a replica could lead, and none does.
pub fn check(partition: usize, readable: bool, led: bool) -> Result<(), Violation> {
    if led || !readable {
        return Ok(());
    }
    Err(Violation::new("led", format!("p{partition} can be read, and has no leader")))
}
