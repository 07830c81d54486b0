//! What a dead node led is served by others soon: as soon as three beats are missing where its
//! machine says that it does not run, and when its time is up where nothing says so.

use crate::kernel::time::MILLI;
use crate::kernel::violation::Violation;
use std::collections::BTreeSet;

/// What follows when a node is found to be dead, with delays of 16 ms at most: a look, a claim, the
/// comparison with peers, the opening barrier, and a client's next try after up to 40 ms. The dead
/// leader's lease is over before, after 611 ms.
const REST_US: u64 = 250 * MILLI;

/// From the death of a node whose machine refuses connections until a write is served elsewhere,
/// with the settings that ship: three beats, on a clock that is slow by a tenth.
pub const REFUSED_US_MAX: u64 = 833 * MILLI + REST_US;

/// The same where nothing comes back from the machine: the whole limit, on such a clock. Gossip has
/// come to suspect the node by then.
pub const LOST_US_MAX: u64 = 1_111 * MILLI + REST_US;

/// The bound has passed.
///
/// * `unserved`: partitions that the dead node led, and of which no write was served since.
///
/// # Errors
/// There are some.
pub fn check(unserved: &BTreeSet<usize>, bound_us: u64) -> Result<(), Violation> {
    if unserved.is_empty() {
        return Ok(());
    }
    let details = format!("no write of {unserved:?} was served {bound_us} µs after a leader died");
    Err(Violation::new("dead_leader", details))
}
