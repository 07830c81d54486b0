//! The requests that are under way.

use super::LoadMetric;
use crate::outcome::Outcome;
use crate::time::Nanos;
use std::time::Duration;

/// The load is the number of outstanding requests. The default: robust, and needs no clock.
///
/// An endpoint that fails fast looks idle; see [`FailureAware`](super::FailureAware).
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl LoadMetric for LeastLoaded {
    type State = ();
    const NEEDS_DURATIONS: bool = false;

    fn start(&self) {}

    #[inline]
    fn load(&self, _: &(), _: Nanos, outstanding: f64) -> f64 {
        outstanding
    }

    #[inline]
    fn finish(&self, _: &(), _: Duration, _: Nanos, _: Outcome) {}
}
