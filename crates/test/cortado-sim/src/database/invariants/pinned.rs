//! A leadership that an operator has placed stays where it is as long as its node lives, goes to
//! another node when that dies, and comes back when it lives again.

use crate::kernel::violation::Violation;
use cortado_model::NodeId;

const NAME: &str = "pinned";

/// The pinned node has lived for longer than it takes to hand a leadership back.
///
/// # Errors
/// It does not lead.
pub fn check_led_by(
    partition: usize,
    pin: NodeId,
    leader: Option<NodeId>,
) -> Result<(), Violation> {
    if leader == Some(pin) {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("p{partition} is pinned to {pin}, and led by {leader:?}")))
}

/// All was quiet between two looks.
///
/// # Errors
/// The leadership has moved meanwhile, perhaps there and back.
pub fn check_unmoved(partition: usize, before: u32, now: u32) -> Result<(), Violation> {
    if before == now {
        return Ok(());
    }
    let details =
        format!("p{partition} went from generation {before} to {now} while all was quiet");
    Err(Violation::new(NAME, details))
}

/// The pinned node has been dead for longer than any detection takes.
///
/// # Errors
/// No other node leads.
pub fn check_led_by_another(
    partition: usize,
    pin: NodeId,
    leader: Option<NodeId>,
) -> Result<(), Violation> {
    if leader.is_some_and(|leader| leader != pin) {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("{pin} is dead, and p{partition} is led by {leader:?}")))
}
