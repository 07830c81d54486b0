//! Log time as it goes on from the last record, also where the wall clock is behind that.
//!
//! A wall clock that ran ahead and was set right would make log time stand still until it has
//! caught up: nothing would expire, perhaps for years. So log time goes on at half the pace of the
//! steady clock until then. Reads no clock. Start reading at [`LogTime::at`].
//! Source: docs/protocols/replication.md, "Publishing".

use crate::protocol::Now;
use cortado_model::{Millis, WallMillis};

/// Steady milliseconds in which log time goes on by one while the wall clock is behind it.
const PACE: u64 = 2;

/// The log time of one partition, as one replica has met it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogTime {
    /// Of the last record.
    time: WallMillis,
    /// Up to here, steady time has been counted.
    counted: Millis,
}

impl LogTime {
    /// * `time`: of the last record, whenever that was.
    pub(crate) fn new(time: WallMillis, now: Millis) -> LogTime {
        LogTime { time, counted: now }
    }

    /// What a record carries that is written now.
    pub(crate) fn at(&self, now: Now) -> WallMillis {
        let crept = now.clock.since(self.counted) / PACE;
        // A wall clock that keeps going is ahead of this.
        now.wall.max(WallMillis(self.time.0.saturating_add(crept)))
    }

    /// A record carries `time`; one that is not later changes nothing.
    pub(crate) fn pass(&mut self, time: WallMillis, now: Millis) {
        if time > self.time {
            // What is left of a pace counts for the next one.
            let crept = (time.0 - self.time.0).saturating_mul(PACE);
            self.counted = self.counted.plus(crept).min(now).max(self.counted);
            self.time = time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn now(clock: u64, wall: u64) -> Now {
        Now { clock: Millis(clock), wall: WallMillis(wall) }
    }

    #[test]
    fn a_wall_clock_that_is_not_behind_is_what_counts() {
        let time = LogTime::new(WallMillis(5_000), Millis(100));
        assert_eq!(time.at(now(100, 5_000)), WallMillis(5_000));
        assert_eq!(time.at(now(200, 9_000)), WallMillis(9_000));
        assert_eq!(time.at(now(900, 4_999)), WallMillis(5_400));
    }

    #[test]
    fn log_time_creeps_until_a_clock_that_ran_ahead_has_been_caught_up_with() {
        // The wall clock was a day ahead; it has just been set right.
        let mut time = LogTime::new(WallMillis(2 * DAY_MS), Millis(0));
        let wall = |clock: u64| DAY_MS + clock;
        // However often records are written, and none of them takes time away.
        for clock in 1..=1_001 {
            let stamped = time.at(now(clock, wall(clock)));
            time.pass(stamped, Millis(clock));
        }
        assert_eq!(time.at(now(1_001, wall(1_001))), WallMillis(2 * DAY_MS + 500));
        let caught_up = 2 * DAY_MS;
        let before = time.at(now(caught_up - 10, wall(caught_up - 10)));
        assert!(before > WallMillis(wall(caught_up - 10)), "{before:?}");
        let after = time.at(now(caught_up + 10, wall(caught_up + 10)));
        assert_eq!(after, WallMillis(wall(caught_up + 10)));
        // From then on, the wall clock is all that counts.
        time.pass(after, Millis(caught_up + 10));
        assert_eq!(time.at(now(caught_up + 10, 0)), after);
    }
}
