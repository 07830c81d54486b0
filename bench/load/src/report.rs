//! Figures as lines: medians of rounds, and ratios of medians.

use hdrhistogram::Histogram;
use std::time::Duration;

/// One round of one peer. Latencies in microseconds.
pub(crate) struct Round {
    latencies: Histogram<u64>,
    time: Duration,
}

impl Round {
    pub(crate) fn new(latencies: Histogram<u64>, time: Duration) -> Round {
        Round { latencies, time }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.time.as_secs_f64()
    }

    /// How many requests it had.
    pub(crate) fn count(&self) -> f64 {
        self.latencies.len() as f64
    }

    pub(crate) fn p50(&self) -> f64 {
        self.at(0.50)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.at(0.99)
    }

    fn at(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64
    }
}

/// The middle one of what `figure` says of each round.
pub(crate) fn median(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

pub(crate) fn rate(name: &str, rounds: &[Round]) {
    let low = rounds.iter().map(Round::per_second).fold(f64::INFINITY, f64::min);
    let high = rounds.iter().map(Round::per_second).fold(0.0, f64::max);
    let middle = median(rounds, Round::per_second);
    println!("  {name:<52} {middle:>9.0}/s   (rounds {low:.0} to {high:.0})");
    latency("", rounds);
}

pub(crate) fn latency(name: &str, rounds: &[Round]) {
    let at = |quantile| median(rounds, |round| round.at(quantile));
    println!(
        "  {name:<52} p50 {:>6.0} µs   p99 {:>6.0} µs   p99.9 {:>6.0} µs   max {:>7.0} µs",
        at(0.50),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

pub(crate) fn value(name: &str, value: f64) {
    println!("  {name:<60} {value:>9.1}");
}

pub(crate) fn ratio(name: &str, ours: f64, theirs: f64) {
    println!("  {name:<52} {:>9.2}", ours / theirs);
}
