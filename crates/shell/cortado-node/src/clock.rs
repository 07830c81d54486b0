//! The two clocks, read here and nowhere else in this crate.

use cortado_model::{Millis, WallMillis};
use cortado_replica::Now;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Reads both clocks. All nodes of a process share one, so their moments compare.
///
/// The steady clock is the runtime's, which a test can move. With the embedded log no promise
/// rests on its rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// Both clocks, now.
    pub(crate) fn now(&self) -> Now {
        Now { clock: self.steady(), wall: wall() }
    }

    /// The steady clock.
    pub(crate) fn steady(&self) -> Millis {
        Millis(millis(self.start.elapsed()))
    }

    /// When the steady clock will show `at`.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        self.start.checked_add(Duration::from_millis(at.0)).unwrap_or_else(far_away)
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
