//! A random subset as large as the load needs: for clients without coordinates.
//!
//! Source: the random aperture and load band of Twitter Finagle. Unlike there, the size survives
//! a change of the endpoints, which otherwise falls back to one endpoint just when it is loaded.

use super::rendezvous::ranked;
use super::{Candidate, Subset, Subsetter, Widening};
use crate::time::Nanos;
use std::num::NonZeroU32;
use std::time::Duration;

/// Between which loads per endpoint a subset keeps its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Outstanding requests per endpoint at or below which it shrinks.
    pub low: f64,
    /// Outstanding requests per endpoint at or above which it grows. Invariant: `0 < low < high`.
    ///
    /// Close together, or peers under the same load settle on very different sizes: with 0.5 and 2
    /// a load of 15 allows anything from 8 to 30 endpoints.
    pub high: f64,
    /// Over which time outstanding requests are averaged; not zero.
    pub smooth: Duration,
    /// The size never falls below it. At least 2 lets a pick choose.
    pub size_min: NonZeroU32,
}

impl Default for Band {
    fn default() -> Band {
        let size_min = NonZeroU32::new(2).expect("2 is not 0");
        Band { low: 0.875, high: 1.125, smooth: Duration::from_secs(15), size_min }
    }
}

/// Why a band cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandError {
    /// `low` must be more than 0 and less than `high`, both finite.
    BadLimits,
    /// Averages over no time are no averages.
    NoSmoothing,
}

impl std::fmt::Display for BandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BandError::BadLimits => "a band needs 0 < low < high, both finite",
            BandError::NoSmoothing => "a band needs a time to average over",
        })
    }
}

impl std::error::Error for BandError {}

/// A random subset that grows and shrinks with the client's own load.
///
/// Take it when clients have no coordinates and each makes so little traffic that a fixed size is
/// too much. It is the least even of all, since each client decides alone: connections per endpoint
/// vary as with dice, and loaded clients spread further than others.
#[derive(Clone, Copy, Debug)]
pub struct LoadBand {
    band: Band,
    seed: u64,
    size: u32,
    /// Averaged outstanding requests, and when they were last told; `None` before that.
    average: Option<(f64, Nanos)>,
}

impl LoadBand {
    /// A subset that starts with `band.size_min`; `seed` should be random and differ by client.
    ///
    /// # Errors
    /// A band whose limits do not fit together.
    pub fn new(band: Band, seed: u64) -> Result<LoadBand, BandError> {
        let is_ordered = band.low > 0.0 && band.low < band.high && band.high.is_finite();
        match (is_ordered, band.smooth.is_zero()) {
            (false, _) => Err(BandError::BadLimits),
            (true, true) => Err(BandError::NoSmoothing),
            (true, false) => {
                let size = band.size_min.get();
                Ok(LoadBand { band, seed, size, average: None })
            }
        }
    }

    /// How many endpoints the subset has, if there are so many.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// An average over time: what was told last counts since it was told before.
    fn smooth(&mut self, now: Nanos, outstanding: f64) -> f64 {
        let average = match self.average {
            None => outstanding,
            Some((before, at)) => {
                let weight = (-now.since(at).as_secs_f64() / self.band.smooth.as_secs_f64()).exp();
                before * weight + outstanding * (1.0 - weight)
            }
        };
        self.average = Some((average, now));
        average
    }
}

impl Subsetter for LoadBand {
    fn subset(&self, candidates: &[Candidate], widening: Widening) -> Subset {
        let mut ranked = ranked(candidates, self.seed);
        ranked.truncate(widening.of(self.size as usize));
        Subset::by_weight(candidates, ranked.into_iter())
    }

    fn on_load(&mut self, now: Nanos, outstanding: u64) -> bool {
        let average = self.smooth(now, outstanding as f64);
        let before = self.size;
        // The sizes at which the load per endpoint is at each edge of the band.
        let least = (average / self.band.high).floor() + 1.0;
        let most = (average / self.band.low).ceil() - 1.0;
        let most = most.max(least);
        self.size = f64::from(self.size).clamp(least, most) as u32;
        self.size = self.size.max(self.band.size_min.get());
        self.size != before
    }
}
