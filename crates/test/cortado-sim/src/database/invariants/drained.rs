//! After the faults stop, a drained node leads nothing that another one could lead, and a node that
//! is not drained gets back what it should lead.

use crate::kernel::time::{Moment, SECOND};
use crate::kernel::violation::Violation;
use cortado_model::NodeId;

const NAME: &str = "drained";

/// How long a leadership may be at the wrong node. Covers the five minutes after which a node that
/// has claimed nothing of what it was given is tried again, on a clock that is a tenth slow.
pub const MISPLACED_US_MAX: u64 = 360 * SECOND;

/// Since when another node should lead a partition, and could.
#[derive(Debug, Default)]
pub struct Misplaced(Option<Moment>);

impl Misplaced {
    /// It is looked who leads.
    ///
    /// * `wanted`: who should lead, and could; `None` if that is not known, or no node could.
    ///
    /// # Errors
    /// That has been another node for too long.
    pub fn look(
        &mut self,
        partition: usize,
        leader: Option<NodeId>,
        wanted: Option<NodeId>,
        now: Moment,
    ) -> Result<(), Violation> {
        let Some(wanted) = wanted.filter(|_| wanted != leader) else {
            self.0 = None;
            return Ok(());
        };
        let since = *self.0.get_or_insert(now);
        if now.since(since) <= MISPLACED_US_MAX {
            return Ok(());
        }
        let details = format!("p{partition} is led by {leader:?}, and {wanted} should lead it");
        Err(Violation::new(NAME, details))
    }

    /// Whether the one leads that should.
    pub fn is_over(&self) -> bool {
        self.0.is_none()
    }
}
