//! When most of an aperture is down, it widens; when that is over, it comes back.
//!
//! The steps are those of [`Widening`]: all peers that widen do so alike, so the endpoints that
//! still work get even shares of what has lost its own. Bounded, and shown in the report.

use super::{EndpointSet, Nanos, RingKey, Widening};
use crate::load::LoadMetric;
use std::time::Duration;

/// Between two steps: those who were let in need a moment to show whether they work.
const STEP_PAUSE: Duration = Duration::from_millis(500);
/// For how long the usual aperture must have worked before the others are left again.
const CALM: Duration = Duration::from_secs(10);

/// How far the aperture is widened, and since when.
#[derive(Default)]
pub(super) struct Escape {
    widening: Widening,
    widened_at: Option<Nanos>,
    calm_since: Option<Nanos>,
}

impl Escape {
    pub(super) fn widening(&self) -> Widening {
        self.widening
    }
}

impl<K: RingKey, T, M: LoadMetric> EndpointSet<K, T, M> {
    /// Widens the aperture if fewer than half as many as usual work, and narrows it if three
    /// quarters of the usual ones have worked for a while. Answers whether it did either.
    ///
    /// One that failed its latest request does not count as working, though it may be too early to
    /// leave it alone: a client with few requests would need minutes to condemn each endpoint of an
    /// aperture that is down as a whole, and get no answer until then.
    pub(super) fn check_escape(&mut self, now: Nanos) -> bool {
        let (mut usual, mut usual_alive, mut alive, mut others) = (0, 0, 0, 0);
        for entry in self.entries.values() {
            let is_alive = usize::from(entry.endpoint.is_trusted());
            alive += is_alive * usize::from(entry.wanted > 0);
            others += usize::from(entry.wanted == 0);
            usual += usize::from(entry.is_usual);
            usual_alive += is_alive * usize::from(entry.is_usual);
        }
        let escape = &mut self.escape;
        if 2 * alive < usual && others > 0 {
            escape.calm_since = None;
            let is_due = escape.widened_at.is_none_or(|at| now >= at.after(STEP_PAUSE));
            let Some(next) = escape.widening.next().filter(|_| is_due) else { return false };
            (escape.widening, escape.widened_at) = (next, Some(now));
            self.tally.widenings += 1;
            return true;
        }
        if escape.widening == Widening::NONE {
            return false;
        }
        if 4 * usual_alive < 3 * usual {
            escape.calm_since = None;
            return false;
        }
        let is_calm = now >= escape.calm_since.get_or_insert(now).after(CALM);
        if is_calm {
            *escape = super::Escape::default();
        }
        is_calm
    }
}
