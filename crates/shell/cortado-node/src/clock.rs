//! The two clocks, read here and nowhere else in this crate.
//!
//! Start reading at [`Clock`].

use cortado_model::{Millis, WallMillis};
use cortado_replica::Now;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Reads both clocks. All nodes of a process share one, so their moments compare.
///
/// The steady clock is the machine's time since boot, which goes on while the machine sleeps: a
/// leader that wakes up must not take its lease for valid. The runtime's timers stand still
/// meanwhile. They only make a node look at the clock, and ring late at worst.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    source: Source,
    start: Duration,
}

/// Where the steady clock's time comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Boot,
    /// The runtime, whose clock a test can move; counted from this moment on.
    #[cfg(test)]
    Runtime(Instant),
}

/// Counts suspension. Linux's monotonic clock does not; that of macOS does, and has no other name.
#[cfg(target_os = "linux")]
const BOOT: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const BOOT: ClockId = ClockId::Monotonic;

impl Source {
    fn now(self) -> Duration {
        match self {
            Source::Boot => {
                // Neither is negative: this clock begins at zero.
                let since = clock_gettime(BOOT);
                Duration::new(since.tv_sec as u64, since.tv_nsec as u32)
            }
            #[cfg(test)]
            Source::Runtime(start) => start.elapsed(),
        }
    }
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock::of(Source::Boot)
    }

    /// A clock that a test moves together with the runtime's.
    #[cfg(test)]
    pub(crate) fn of_runtime() -> Clock {
        Clock::of(Source::Runtime(Instant::now()))
    }

    fn of(source: Source) -> Clock {
        Clock { source, start: source.now() }
    }

    /// Both clocks, now.
    pub(crate) fn now(&self) -> Now {
        Now { clock: self.steady(), wall: wall() }
    }

    /// The steady clock.
    pub(crate) fn steady(&self) -> Millis {
        Millis(millis(self.elapsed()))
    }

    /// When the steady clock will show `at`, unless the machine sleeps before.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        // The steady clock first: so a timer never rings a moment too early.
        let left = Duration::from_millis(at.0).saturating_sub(self.elapsed());
        Instant::now().checked_add(left).unwrap_or_else(far_away)
    }

    fn elapsed(&self) -> Duration {
        self.source.now().saturating_sub(self.start)
    }
}

/// The wall clock; before 1970 it is 1970.
pub(crate) fn wall() -> WallMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    WallMillis(millis(since.unwrap_or_default()))
}

/// A moment that no request waits for.
fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(24 * 60 * 60)
}

/// Whole milliseconds; more than there are is as many as there are.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[test]
    fn the_steady_clock_starts_at_zero_and_never_goes_back() {
        let before = Source::Boot.now();
        let clock = Clock::start();
        assert!(before <= clock.start && clock.start <= Source::Boot.now());
        let (first, second) = (clock.elapsed(), clock.elapsed());
        assert!(first <= second, "{first:?} {second:?}");
        assert!(clock.start + second <= Source::Boot.now());
    }

    #[test]
    fn a_timer_for_a_moment_is_neither_early_nor_late() {
        let clock = Clock::start();
        for at in [Millis(0), Millis(1), Millis(5_000), Millis(86_400_000)] {
            let at_time = Duration::from_millis(at.0);
            let (steady_before, before) = (clock.elapsed(), Instant::now());
            let due = clock.instant(at);
            let (after, steady_after) = (Instant::now(), clock.elapsed());
            assert!(due >= before + at_time.saturating_sub(steady_after), "{at:?}");
            assert!(due <= after + at_time.saturating_sub(steady_before), "{at:?}");
        }
        assert!(clock.instant(Millis(u64::MAX)) > Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_test_can_move_a_clock_of_the_runtime() {
        let clock = Clock::of_runtime();
        assert_eq!(clock.instant(Millis(400)), Instant::now() + Duration::from_millis(400));
        advance(Duration::from_millis(400)).await;
        assert_eq!(clock.steady(), Millis(400));
        assert_eq!(clock.instant(Millis(300)), Instant::now());
    }
}
