//! Failures weigh like requests that hang.

use super::LoadMetric;
use super::decaying::{Decay, Decaying};
use crate::outcome::Outcome;
use crate::time::Nanos;
use std::time::Duration;

/// Counts each failure as outstanding requests that end only with time, on top of another metric.
///
/// An endpoint that answers every request at once with an error (429, "overloaded") has nothing
/// under way and is fast, so any metric sends it more than its share. With this one it gets the
/// less the more it fails, and comes back as its failures are forgotten.
#[derive(Clone, Copy, Debug)]
pub struct FailureAware<M> {
    metric: M,
    penalty: f64,
    decay: Decay,
}

impl<M: LoadMetric> FailureAware<M> {
    /// Each failure counts as ten requests and is forgotten over some 10 seconds.
    pub fn new(metric: M) -> FailureAware<M> {
        FailureAware::with(metric, 10.0, Duration::from_secs(10))
    }

    /// Each failure counts as `penalty` requests at first, and as 1/e of that after each `tau`.
    pub fn with(metric: M, penalty: f64, tau: Duration) -> FailureAware<M> {
        FailureAware { metric, penalty: penalty.max(0.0), decay: Decay::new(tau) }
    }
}

/// What is remembered of one endpoint.
#[derive(Debug)]
pub struct Failures<S> {
    inner: S,
    score: Decaying,
}

impl<M: LoadMetric> LoadMetric for FailureAware<M> {
    type State = Failures<M::State>;
    const NEEDS_DURATIONS: bool = M::NEEDS_DURATIONS;

    fn start(&self) -> Self::State {
        Failures { inner: self.metric.start(), score: Decaying::zero() }
    }

    #[inline]
    fn load(&self, state: &Self::State, now: Nanos, outstanding: f64) -> f64 {
        let score = state.score.read(self.decay, now);
        self.metric.load(&state.inner, now, outstanding + score)
    }

    fn finish(&self, state: &Self::State, took: Duration, now: Nanos, outcome: Outcome) {
        self.metric.finish(&state.inner, took, now, outcome);
        match outcome {
            Outcome::Failure => {
                state.score.update(self.decay, now, now, |score| score + self.penalty);
            }
            Outcome::Success | Outcome::Ignored => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{LeastLoaded, PeakEwma};

    fn at_ms(ms: u64) -> Nanos {
        Nanos(ms * 1_000_000)
    }

    #[test]
    fn fast_errors_repel() {
        let metric = FailureAware::new(LeastLoaded);
        let state = metric.start();
        assert_eq!(metric.load(&state, at_ms(0), 3.0), 3.0);
        metric.finish(&state, Duration::ZERO, at_ms(10), Outcome::Failure);
        metric.finish(&state, Duration::ZERO, at_ms(10), Outcome::Success);
        metric.finish(&state, Duration::ZERO, at_ms(10), Outcome::Ignored);
        let check = |ms, want: f64| {
            let got = metric.load(&state, at_ms(ms), 0.0);
            assert!((got - want).abs() < 1e-9, "{got} instead of {want}");
        };
        check(10, 10.0);
        metric.finish(&state, Duration::ZERO, at_ms(10), Outcome::Failure);
        check(10, 20.0);
        check(10_010, 20.0 / std::f64::consts::E);
        check(1_000_010, 0.0);
    }

    /// Of two endpoints that are equally fast, the one that fails costs more.
    #[test]
    fn failures_multiply_a_latency() {
        let metric = FailureAware::new(PeakEwma::default());
        let [good, bad] = [metric.start(), metric.start()];
        let fast = Duration::from_micros(100);
        let slow = Duration::from_millis(1);
        metric.finish(&good, slow, at_ms(10), Outcome::Success);
        metric.finish(&bad, fast, at_ms(10), Outcome::Failure);
        let load = |state| metric.load(state, at_ms(10), 0.0);
        assert!(load(&bad) > load(&good));
    }
}
