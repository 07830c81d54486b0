//! Moving replicas costs none that is needed: as many as there should be have caught up before one
//! is given up, or as many as without the move; the last good one never is; and every move ends.

use crate::kernel::time::{Moment, SECOND};
use crate::kernel::violation::Violation;
use cortado_model::NodeId;
use std::fmt::Display;

const NAME: &str = "moves";

/// From the end of the faults until every move is over: a handful of them, each a copy, a handoff
/// and a few looks of a controller, in a partition that has to be led again first. A leader that
/// has often had to take over from all others waits for five minutes before it trusts one again.
pub const OVER_US_MAX: u64 = 340 * SECOND;

/// A controller decides to give a replica up, or lets its node delete it.
///
/// * `left`: replicas that have caught up then, of those that may claim.
/// * `wanted`: as many as there should be, or as there would be without the move; one, if the
///   replica itself has not caught up.
///
/// # Errors
/// Too few are left.
pub fn check_given_up(
    partition: usize,
    node: NodeId,
    left: usize,
    wanted: usize,
) -> Result<(), Violation> {
    if left >= wanted {
        return Ok(());
    }
    let details = format!("{node} gives up p{partition}, and {left} of {wanted} are left");
    Err(Violation::new(NAME, details))
}

/// A node deletes what it has of a partition.
///
/// * `held`: another replica holds durably what the log may have forgotten.
/// * `may_claim`: the log lets the node claim still.
///
/// # Errors
/// It is the last one, or it is still counted on.
pub fn check_deleted(who: impl Display, held: bool, may_claim: bool) -> Result<(), Violation> {
    if !held {
        return Err(Violation::new(NAME, format!("{who} deletes what no other replica has")));
    }
    if may_claim {
        return Err(Violation::new(NAME, format!("{who} deletes what it may claim")));
    }
    Ok(())
}

/// The faults stopped at `healed`.
///
/// # Errors
/// Some move is under way although the bound has passed.
pub fn check_over(under_way: &[String], healed: Moment, now: Moment) -> Result<(), Violation> {
    if under_way.is_empty() || now.since(healed) <= OVER_US_MAX {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("does not end: {}", under_way.join(", "))))
}

/// Everything is at rest.
///
/// # Errors
/// Others may claim than hold a replica.
pub fn check_set(
    partition: usize,
    replicas: &[NodeId],
    placed: &[NodeId],
) -> Result<(), Violation> {
    let mut sorted = placed.to_vec();
    sorted.sort_unstable();
    if replicas == sorted {
        return Ok(());
    }
    let details = format!("p{partition} is placed on {placed:?}, {replicas:?} may claim");
    Err(Violation::new(NAME, details))
}
