//! A handoff leaves no gap: nothing is accepted between a step-down and the next claim, and where
//! nothing else goes wrong, the successor serves soon.

use crate::database::truth::{Kind, Milestone, Truth};
use crate::kernel::time::{MILLI, Moment};
use crate::kernel::violation::Violation;

const NAME: &str = "handoff";

/// How long writes may wait when all nodes and the log are well: "well under 100 ms", with 5 times
/// the longest way through the simulated network.
const CALM_GAP_US_MAX: u64 = 60 * MILLI;

/// The handoff of one partition that is under way.
#[derive(Debug, Default)]
pub struct Handoff {
    stepped_down_at: Option<Moment>,
    /// The longest time without a leader.
    pub longest_us: u64,
}

impl Handoff {
    /// A record has just been accepted.
    ///
    /// # Errors
    /// It stands between a step-down and a claim.
    pub fn accepted(&mut self, truth: &Truth, now: Moment) -> Result<(), Violation> {
        let [.., before, newest] = truth.accepted[..] else { return Ok(()) };
        if newest.kind == Kind::StepDown {
            self.stepped_down_at = Some(now);
        }
        check_order(before, newest)
    }

    /// A leader begins to serve.
    ///
    /// # Errors
    /// In a `calm` world the handoff took too long.
    pub fn serving(&mut self, now: Moment, calm: bool) -> Result<(), Violation> {
        let Some(since) = self.stepped_down_at.take() else { return Ok(()) };
        let gap_us = now.since(since);
        self.longest_us = self.longest_us.max(gap_us);
        if calm && gap_us > CALM_GAP_US_MAX {
            return Err(Violation::new(NAME, format!("no leader for {gap_us} µs")));
        }
        Ok(())
    }
}

fn check_order(before: Milestone, newest: Milestone) -> Result<(), Violation> {
    let opens = newest.kind == Kind::Claim && newest.scn.generation == before.scn.generation.next();
    if before.kind == Kind::StepDown && !opens {
        let details = format!("{} follows the step-down {}", newest.scn, before.scn);
        return Err(Violation::new(NAME, details));
    }
    Ok(())
}
