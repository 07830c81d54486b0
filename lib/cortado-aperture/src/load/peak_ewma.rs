//! How long requests take, remembering peaks.
//!
//! Source: the peak-sensitive moving average of Twitter Finagle, restated. Reads there change the
//! average; here they do not.

use super::LoadMetric;
use super::decaying::{Decay, Decaying};
use crate::outcome::Outcome;
use crate::sync::{AtomicU64, Ordering};
use crate::time::Nanos;
use std::time::Duration;

/// The load is the endpoint's round-trip time, averaged, times the requests it would then have.
///
/// A slower answer than the average replaces it at once, a faster one moves it with time: an
/// endpoint that stalls is left within one answer and tried again as its average decays. An
/// endpoint of which nothing is known gets one request until it has answered. Not for long polls,
/// whose times say nothing about load, nor for errors that come fast; see
/// [`FailureAware`](super::FailureAware).
#[derive(Clone, Copy, Debug)]
pub struct PeakEwma {
    decay: Decay,
}

impl PeakEwma {
    /// An average over some `tau`; a request of zero nanoseconds counts as none.
    pub fn new(tau: Duration) -> PeakEwma {
        PeakEwma { decay: Decay::new(tau) }
    }
}

impl Default for PeakEwma {
    /// Over 10 seconds.
    fn default() -> PeakEwma {
        PeakEwma::new(Duration::from_secs(10))
    }
}

/// The averaged round-trip time of one endpoint.
#[derive(Debug)]
pub struct Cost {
    nanos: Decaying,
    observed_at: AtomicU64,
}

impl Cost {
    pub(crate) fn unknown() -> Cost {
        Cost { nanos: Decaying::zero(), observed_at: AtomicU64::new(0) }
    }

    /// An answer that took `rtt`, after the last that was seen at `last`.
    fn observe(&self, decay: Decay, rtt: Duration, last: Nanos, now: Nanos) {
        let rtt = rtt.as_nanos() as f64;
        let kept = decay.factor(last, now);
        self.nanos.update(decay, last, now, |cost| {
            if rtt > cost { rtt } else { cost * kept + rtt * (1.0 - kept) }
        });
    }
}

/// The load of an endpoint that has been asked but has never answered: more than any real one.
const UNKNOWN: f64 = ((i64::MAX) >> 16) as f64;

impl LoadMetric for PeakEwma {
    type State = Cost;
    const NEEDS_DURATIONS: bool = true;

    fn start(&self) -> Cost {
        Cost::unknown()
    }

    #[inline]
    fn load(&self, state: &Cost, now: Nanos, outstanding: f64) -> f64 {
        let cost = state.nanos.read(self.decay, now);
        if cost == 0.0 && outstanding > 0.0 {
            return UNKNOWN + outstanding;
        }
        cost * (outstanding + 1.0)
    }

    /// Also one that was given up: it took that long, and perhaps would have taken longer.
    fn finish(&self, state: &Cost, took: Duration, now: Nanos, _: Outcome) {
        // Each observer takes the time since the last one as its own, so none counts twice.
        let last = Nanos(state.observed_at.fetch_max(now.0, Ordering::Relaxed));
        state.observe(self.decay, took, last, now);
    }
}

#[cfg(test)]
mod tests;
