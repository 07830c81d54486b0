//! Whatever was answered before an operation began comes before it in the log's order.
//!
//! Stronger and quicker than the oracle's search, but it believes the SCNs that nodes report.

use crate::kernel::violation::Violation;
use cortado_model::Scn;

const NAME: &str = "real_time";

/// The newest transaction that a finished strong or strict operation of one partition has proven.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floor(pub Scn);

impl Floor {
    /// An operation that began when the floor was `then` ends having met `scn`.
    ///
    /// # Errors
    /// It met something older.
    pub fn finish(&mut self, then: Scn, scn: Scn, what: &str) -> Result<(), Violation> {
        if scn < then {
            let details = format!("{what} met {scn}, and {then} had been answered before it began");
            return Err(Violation::new(NAME, details));
        }
        self.0 = self.0.max(scn);
        Ok(())
    }
}
