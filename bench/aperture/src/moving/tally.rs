//! What is counted while requests move.

use crate::line::rounded;
use crate::scenario::Scenario;
use crate::still::Spread;
use std::ops::AddAssign;

/// The counts of one round, or the sums of several.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    rounds: u32,
    /// Of requests that succeeded, in microseconds.
    pub(super) latencies: Vec<u32>,
    pub(super) failed: u64,
    /// Failures ten seconds after the first thing happened, and all requests then.
    pub(super) failed_late: u64,
    pub(super) late: u64,
    /// Picks that found nothing to send to.
    pub(super) refused: u64,
    /// Connections of each client at the end.
    pub(super) connections: Vec<u32>,
    /// Connections opened in the measured time by clients that were there all the time, and those
    /// they had before.
    pub(super) opened: u64,
    pub(super) had: u64,
    /// Clients without a single success from ten seconds after the first thing happened, though
    /// they tried.
    pub(super) stranded: u64,
    /// Requests that the odd endpoints got, from five seconds after they became so, against what
    /// they would get if they were like the others.
    pub(super) odd: f64,
    pub(super) odd_fair: f64,
    pub(super) spreads: Vec<Spread>,
}

impl Tally {
    /// How many requests have ended.
    pub fn requests(&self) -> usize {
        self.latencies.len() + (self.failed + self.refused) as usize
    }

    /// Clients without a single success from ten seconds after things began to happen.
    pub fn stranded(&self) -> u64 {
        self.stranded
    }

    /// The part of requests that failed.
    pub fn errors(&self) -> f64 {
        (self.failed + self.refused) as f64 / self.requests().max(1) as f64
    }

    /// The part of requests that failed, from ten seconds after things began to happen.
    pub fn errors_late(&self) -> f64 {
        self.failed_late as f64 / self.late.max(1) as f64
    }

    /// The numbers that the report shows.
    pub(super) fn figures(mut self, scenario: Scenario) -> Vec<(String, f64)> {
        self.latencies.sort_unstable();
        let quantile = |quantile: f64| {
            let at = (self.latencies.len() as f64 * quantile) as usize;
            let micros = self.latencies.get(at.min(self.latencies.len().saturating_sub(1)));
            f64::from(*micros.unwrap_or(&0)) / 1_000.0
        };
        let count = self.spreads.len().max(1) as f64;
        let mean = |of: fn(&Spread) -> f64| self.spreads.iter().map(of).sum::<f64>() / count;
        let connections: u64 = self.connections.iter().map(|each| u64::from(*each)).sum();
        let mut figures = vec![
            ("connections", connections as f64 / self.connections.len().max(1) as f64),
            ("rsd", mean(|spread| spread.rsd)),
            ("max_to_mean", mean(|spread| spread.max_to_mean)),
            ("churn", self.opened as f64 / self.had.max(1) as f64),
            ("p50", quantile(0.5)),
            ("p99", quantile(0.99)),
            ("p999", quantile(0.999)),
            ("errors", self.errors()),
        ];
        if scenario == Scenario::Outage {
            figures.push(("errors_late", self.errors_late()));
            figures.push(("stranded", self.stranded as f64 / f64::from(self.rounds.max(1))));
        }
        if self.odd_fair > 0.0 {
            figures.push(("odd_share", self.odd / self.odd_fair));
        }
        figures.into_iter().map(|(name, value)| (name.to_owned(), rounded(value))).collect()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.rounds += 1;
        self.latencies.extend(other.latencies);
        self.failed += other.failed;
        self.failed_late += other.failed_late;
        self.late += other.late;
        self.refused += other.refused;
        self.connections.extend(other.connections);
        self.opened += other.opened;
        self.had += other.had;
        self.stranded += other.stranded;
        self.odd += other.odd;
        self.odd_fair += other.odd_fair;
        self.spreads.extend(other.spreads);
    }
}
