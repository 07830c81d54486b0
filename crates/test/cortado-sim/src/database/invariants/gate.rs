//! No record is written that a node which may run cannot read, and an upgrade comes to its end.

use crate::kernel::time::{Moment, SECOND};
use crate::kernel::violation::Violation;
use cortado_driver::News;
use cortado_replica::Stop;

const NAME: &str = "gate";

/// How long after the faults every partition uses what all nodes read.
const OVER_US_MAX: u64 = 360 * SECOND;

/// A replica has told something.
///
/// # Errors
/// It stands before what only a newer build can read.
pub fn check_news(who: &str, news: &News) -> Result<(), Violation> {
    let why = match news {
        News::Stopped { why: Stop::NeedsUpgrade(need), .. } => need.to_string(),
        News::StandsStill { why, needs_upgrade: true } => why.clone(),
        _ => return Ok(()),
    };
    Err(Violation::new(NAME, format!("{who}: {why}")))
}

/// It is looked how many partitions are not at the level that all nodes read.
///
/// # Errors
/// Some still are not.
pub fn check_over(behind: usize, healed: Moment, now: Moment) -> Result<(), Violation> {
    if behind == 0 || now.since(healed) <= OVER_US_MAX {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("{behind} partitions do not use what all nodes read")))
}
