//! A leader that others dispute is replaced before it has served, or not at all; and who takes its
//! place serves nothing while a lease of it may be in use.

use crate::kernel::violation::Violation;
use cortado_driver::ReplicaRole;
use cortado_model::{Generation, NodeId};

const NAME: &str = "disputes";

/// A disputed leader that has served leads on.
///
/// # Errors
/// It does not.
pub fn check_leads_on(leader: NodeId, role: ReplicaRole) -> Result<(), Violation> {
    if role == ReplicaRole::Leader {
        return Ok(());
    }
    let details = format!("{leader} has served, and is {} now", role.name());
    Err(Violation::new(NAME, details))
}

/// A leader of `generation` may serve a read under its lease.
///
/// * `serving`: who serves just now, and in which generation.
///
/// # Errors
/// A later leader serves already.
pub fn check_lease(
    generation: Generation,
    serving: impl IntoIterator<Item = (NodeId, Generation)>,
) -> Result<(), Violation> {
    let later = serving.into_iter().find(|(_, other)| *other > generation);
    let Some((node, later)) = later else { return Ok(()) };
    let details = format!("a lease of generation {generation} is left, and {node} serves {later}");
    Err(Violation::new(NAME, details))
}
