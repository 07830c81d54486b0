//! Two clocks that must not be mixed: one measures, the other names.

/// Milliseconds of a node's steady clock (`CLOCK_BOOTTIME`), from an arbitrary start.
///
/// Measures durations on one node; means nothing to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment `duration_ms` later; saturates, so that "never" can be spelled.
    pub const fn plus(self, duration_ms: u64) -> Millis {
        Millis(self.0.saturating_add(duration_ms))
    }

    /// Milliseconds since `earlier`; 0 if `earlier` is later.
    pub const fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The first later moment that is a whole number of periods; a period of 0 counts as 1.
    ///
    /// For what is done at a steady pace: those that share a clock, as the nodes of a process do,
    /// do it together, and wake the process up once.
    pub const fn next_multiple_of(self, period_ms: u64) -> Millis {
        let period_ms = if period_ms == 0 { 1 } else { period_ms };
        self.plus(period_ms - self.0 % period_ms)
    }
}

/// Milliseconds since the beginning of 1970 (UTC), as a node's wall clock believes.
///
/// Names moments for operators and for expiry; no safety rests on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMillis(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_at_a_steady_pace_is_done_at_whole_periods() {
        for (now, period_ms, next) in [(0, 50, 50), (1, 50, 50), (50, 50, 100), (7, 0, 8)] {
            assert_eq!(Millis(now).next_multiple_of(period_ms), Millis(next), "{now} {period_ms}");
        }
        assert_eq!(Millis(u64::MAX).next_multiple_of(250), Millis(u64::MAX));
    }
}
