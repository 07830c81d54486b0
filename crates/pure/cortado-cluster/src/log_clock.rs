//! The wall clock that records may carry: this node's own, held back by what other nodes' say.
//!
//! Log time never goes back, so a clock that is far ahead for a moment would end the life of
//! documents for good. Never reads a clock itself. Start reading at [`LogClock::bounded`].
//! Source: docs/protocols/replication.md, "Publishing".

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cortado_model::{Millis, NodeId, WallMillis};

/// What one node has heard of the wall clocks of others.
#[derive(Clone, Debug, Default)]
pub struct LogClock {
    heard: BTreeMap<NodeId, Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    wall: WallMillis,
    /// By this node's steady clock.
    at: Millis,
}

/// A clock that was told longer ago than this does not count.
const HEARD_MS: u64 = 5_000;
/// How far ahead of the median a record may be.
const STEP_MS: u64 = 1_000;
/// A leader whose clock is further off the median hands over.
const OFF_MS_MAX: u64 = 5_000;

impl LogClock {
    /// `node` has told its wall clock.
    ///
    /// * `now`: the steady clock of this node; also below.
    pub fn hear(&mut self, now: Millis, node: NodeId, wall: WallMillis) {
        self.heard.insert(node, Heard { wall, at: now });
    }

    /// What a record carries that is written now, if that is not earlier than the one before.
    ///
    /// * `wall`: the wall clock of this node; also below.
    pub fn bounded(&self, now: Millis, wall: WallMillis) -> WallMillis {
        self.latest(now).map_or(wall, |latest| wall.min(latest))
    }

    /// The latest time that a record may carry, whatever this node's own wall clock says: it goes
    /// on as the steady clock does. `None` if no node has told its clock lately: this node's
    /// counts alone then.
    pub fn latest(&self, now: Millis) -> Option<WallMillis> {
        // A clock behind the median is not held back, so one that is ahead of all stands for any.
        let median = self.median(now, WallMillis(u64::MAX))?;
        Some(WallMillis(median.0.saturating_add(STEP_MS)))
    }

    /// Whether this node's clock is so far off those of others that it should not lead.
    pub fn is_off(&self, now: Millis, wall: WallMillis) -> bool {
        self.median(now, wall).is_some_and(|median| median.0.abs_diff(wall.0) > OFF_MS_MAX)
    }

    /// The median of all clocks, this node's among them: then one that is wrong never decides where
    /// there are three. Of two in the middle the earlier one: time that stands still does less harm
    /// than time that has jumped. `None` if no other node was heard of.
    fn median(&self, now: Millis, wall: WallMillis) -> Option<WallMillis> {
        let heard = self.fresh(now);
        let mut clocks: Vec<u64> =
            heard.map(|heard| heard.wall.0.saturating_add(now.since(heard.at))).collect();
        if clocks.is_empty() {
            return None;
        }
        clocks.push(wall.0);
        clocks.sort_unstable();
        Some(WallMillis(clocks[(clocks.len() - 1) / 2]))
    }

    fn fresh(&self, now: Millis) -> impl Iterator<Item = &Heard> {
        self.heard.values().filter(move |heard| now.since(heard.at) <= HEARD_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const TIME: u64 = 100 * HOUR_MS;

    /// A node whose clock says `own`, and that has heard `others` 2 s ago, relative to [`TIME`].
    #[track_caller]
    fn check(own: i64, others: &[i64], bounded: i64, is_off: bool) {
        let at = |offset: i64| WallMillis(TIME.saturating_add_signed(offset));
        let mut clock = LogClock::default();
        for (node, other) in (2..).zip(others) {
            clock.hear(Millis(7_000), NodeId(node), at(*other - 2_000));
        }
        let now = Millis(9_000);
        assert_eq!(clock.bounded(now, at(own)), at(bounded), "{own} among {others:?}");
        assert_eq!(clock.is_off(now, at(own)), is_off, "{own} among {others:?}");
    }

    #[test]
    fn records_are_at_most_a_step_ahead_of_most_clocks() {
        let hour = HOUR_MS as i64;
        check(hour, &[], hour, false); // alone
        check(hour, &[0, 10], 1_010, true);
        check(hour, &[0], 1_000, true);
        check(0, &[-hour], -hour + 1_000, true);
        check(-hour, &[0], -hour, false); // the earlier one of two
        check(0, &[hour, -hour], 0, false);
        check(-hour, &[0, 0], -hour, true); // behind, and not to be helped
        check(900, &[0, 0], 900, false);
        check(5_001, &[0, 0], 1_000, true);
        check(5_000, &[0, 0], 1_000, false);
        check(hour, &[0, 0, hour], 1_000, true);
    }

    #[test]
    fn a_clock_that_was_told_long_ago_does_not_count() {
        let mut clock = LogClock::default();
        clock.hear(Millis(1_000), NodeId(2), WallMillis(TIME));
        let wall = WallMillis(TIME + HOUR_MS);
        assert_eq!(clock.bounded(Millis(6_000), wall), WallMillis(TIME + 6_000));
        assert_eq!(clock.bounded(Millis(6_001), wall), wall);
        assert_eq!(clock.latest(Millis(6_001)), None);
        clock.hear(Millis(6_001), NodeId(2), WallMillis(TIME + 5_001));
        assert_eq!(clock.bounded(Millis(6_001), wall), WallMillis(TIME + 6_001));
        assert_eq!(clock.latest(Millis(6_100)), Some(WallMillis(TIME + 6_100)));
    }
}
