//! A leader that loses its way to the log is replaced soon, by nodes that go on to reach it: it
//! says so itself, and they need not wait for what it does.

use crate::kernel::time::MILLI;
use crate::kernel::violation::Violation;

/// From the cut until another node serves, with the settings that ship. Three beats on a clock that
/// is slow by a tenth, 833 ms, and the same again for a turn behind all others, as of a node that
/// has claimed a moment ago; the rest is for looks, for a claim, the comparison with peers and the
/// opening barrier, each on ways of 4 ms on average.
pub const REPLACED_US_MAX: u64 = 2_500 * MILLI;

/// The same holds where a leader is cut from one broker, from its first append on that waits there;
/// with one beat more on a slow clock, 278 ms, in which it could take back what it has said. So
/// long after the cut, something is written in most worlds.
pub const WRITTEN_US: u64 = 1_000 * MILLI;

/// The bound has passed.
///
/// * `unled`: partitions that the leader led, and no other node leads.
///
/// # Errors
/// There are some.
pub fn check(unled: &[usize]) -> Result<(), Violation> {
    if unled.is_empty() {
        return Ok(());
    }
    let details = format!("{unled:?} lack a leader that reaches the log, {REPLACED_US_MAX} µs on");
    Err(Violation::new("cut_off", details))
}
