//! What it costs to send one more request to an endpoint.
//!
//! Pure but for one word per endpoint that threads share without locks. A pick reads the loads of
//! two endpoints and never changes them. Start reading at [`LoadMetric`].

mod decaying;
mod failure_aware;
mod least_loaded;
mod peak_ewma;

pub use failure_aware::{FailureAware, Failures};
pub use least_loaded::LeastLoaded;
pub use peak_ewma::{Cost, PeakEwma};

use crate::outcome::Outcome;
use crate::time::Nanos;
use std::time::Duration;

/// Measures how loaded an endpoint is.
pub trait LoadMetric: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// What is remembered of one endpoint.
    type State: std::fmt::Debug + Send + Sync + 'static;

    /// Whether it needs to know how long requests take. If not, the driver may give it a time
    /// that is some milliseconds old, which saves two readings of the clock per request.
    const NEEDS_DURATIONS: bool;

    /// What is remembered of an endpoint of which nothing is known.
    fn start(&self) -> Self::State;

    /// The load of an endpoint that has `outstanding` requests under way at `now`.
    ///
    /// Not negative. Only compared with loads of the same metric.
    fn load(&self, state: &Self::State, now: Nanos, outstanding: f64) -> f64;

    /// A request has ended at `now`, `took` after it was sent.
    fn finish(&self, state: &Self::State, took: Duration, now: Nanos, outcome: Outcome);
}
