//! True time, which no node can read, and the clocks that nodes read instead.
//!
//! Start reading at [`NodeClock`].

use cortado_model::{Millis, WallMillis};
use cortado_replica::Now;
use std::fmt;

/// True time: microseconds since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `micros` later.
    pub const fn plus(self, micros: u64) -> Moment {
        Moment(self.0.saturating_add(micros))
    }

    /// Microseconds since `earlier`; 0 if `earlier` is later.
    pub const fn since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Microseconds of a millisecond.
pub const MILLI: u64 = 1_000;
/// Microseconds of a second.
pub const SECOND: u64 = 1_000_000;

/// The two clocks of one node. They go on while the node is paused or down.
#[derive(Clone, Debug)]
pub struct NodeClock {
    /// What the steady clock showed when the world began.
    base_us: u64,
    /// Parts per million by which the steady clock is fast; negative when slow.
    drift_ppm: i64,
    /// What is wrong with the wall clock.
    wall_skew_ms: i64,
    /// True time during which the steady clock stood still: a clock that no node should use.
    stopped_us: u64,
}

impl NodeClock {
    /// A clock that is `drift_ppm` fast and counts from `base_us`.
    pub fn new(base_us: u64, drift_ppm: i64) -> NodeClock {
        NodeClock { base_us, drift_ppm, wall_skew_ms: 0, stopped_us: 0 }
    }

    /// What the node reads at `moment`.
    pub fn read(&self, moment: Moment) -> Now {
        let wall = (WALL_START_MS + moment.0 / MILLI).saturating_add_signed(self.wall_skew_ms);
        Now { clock: Millis(self.steady_us(moment) / MILLI), wall: WallMillis(wall) }
    }

    /// The true moment at which the steady clock shows `at`, or `now` if that has been.
    pub fn moment_of(&self, at: Millis, now: Moment) -> Moment {
        let ahead_us = (at.0.saturating_mul(MILLI)).saturating_sub(self.steady_us(now));
        // Dividing by the rate rounds down; one more microsecond makes sure that it has come.
        let rate = (1_000_000 + self.drift_ppm) as u128;
        let micros = u128::from(ahead_us) * 1_000_000 / rate + 1;
        now.plus(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Sets the wall clock wrong.
    pub fn skew_wall(&mut self, skew_ms: i64) {
        self.wall_skew_ms = skew_ms;
    }

    /// Lets the steady clock miss `micros`.
    pub fn miss(&mut self, micros: u64) {
        self.stopped_us += micros;
    }

    fn steady_us(&self, moment: Moment) -> u64 {
        let running = u128::from(moment.0.saturating_sub(self.stopped_us));
        let rate = (1_000_000 + self.drift_ppm) as u128;
        self.base_us + (running * rate / 1_000_000) as u64
    }
}

/// 23 November 2026, in Unix milliseconds.
const WALL_START_MS: u64 = 1_795_392_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(drift_ppm: i64, after_ms: u64, want_ms: u64) {
        let clock = NodeClock::new(5_000, drift_ppm);
        let now = Moment(after_ms * MILLI);
        assert_eq!(clock.read(now).clock, Millis(5 + want_ms));
        let wake = clock.moment_of(Millis(5 + want_ms + 100), now);
        assert!(clock.read(wake).clock >= Millis(5 + want_ms + 100));
        assert!(clock.read(Moment(wake.0 - 1_000)).clock < Millis(5 + want_ms + 100));
    }

    #[test]
    fn clocks_run_at_their_own_rate() {
        check(0, 1_000, 1_000);
        check(100_000, 1_000, 1_100);
        check(-100_000, 1_000, 900);
        check(2_000_000, 10, 30);
    }

    #[test]
    fn only_the_wall_clock_jumps() {
        let mut clock = NodeClock::new(0, 0);
        clock.skew_wall(-3_600_000);
        let now = clock.read(Moment(SECOND));
        assert_eq!(now.clock, Millis(1_000));
        assert_eq!(now.wall, WallMillis(WALL_START_MS + 1_000 - 3_600_000));
    }
}
