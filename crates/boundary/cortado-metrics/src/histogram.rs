//! Durations by size.
//!
//! The library's own histogram takes a lock for every value; this one is atomics, and the library
//! only writes it down. Start reading at [`Histogram::observe`].

use crate::series::{Label, Metric};
use prometheus_client::encoding::{MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the durations that are counted together. The same for every histogram, so that
/// an objective can be stated on any of them.
pub const LATENCY_BOUNDS: [Duration; 17] = {
    let micros = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000,
    ];
    let mut bounds = [Duration::ZERO; 17];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = Duration::from_micros(micros[at]);
        at += 1;
    }
    bounds
};

/// Durations by size. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By bound; the last for what is above all of them.
    by_bound: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    /// 2^64 microseconds are half a million years.
    sum_micros: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let place = LATENCY_BOUNDS.partition_point(|bound| *bound < duration);
        self.0.by_bound[place].fetch_add(1, Ordering::Relaxed);
        self.0.sum_micros.fetch_add(duration.as_micros() as u64, Ordering::Relaxed);
    }
}

impl Metric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;

    fn encode(&self, labels: &[Label], encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = LATENCY_BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let counts = self.0.by_bound.iter().map(|count| count.load(Ordering::Relaxed));
        let counts: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // Added up from what is written, so that the total always fits the parts.
        let total = counts.iter().map(|(_, count)| count).sum();
        let sum_micros = self.0.sum_micros.load(Ordering::Relaxed);
        let mut encoder = encoder.encode_family(&labels)?;
        encoder.encode_histogram::<NoLabelSet>(sum_micros as f64 / 1e6, total, &counts, None)
    }
}

#[cfg(test)]
mod tests {
    use crate::Registry;
    use std::time::Duration;

    #[test]
    fn a_duration_counts_below_every_bound_that_it_keeps() {
        let registry = Registry::default();
        let name = "cortado_write_seconds";
        let histogram = registry.histogram(name, "From a write's arrival to its answer");
        for micros in [1, 50, 51, 1_000_000, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let text = registry.encode();
        let at = |bound, count| format!("{name}_bucket{{le=\"{bound}\"}} {count}");
        for line in [
            at("5e-05", 2),
            at("0.0001", 3),
            at("0.5", 3),
            at("1", 4),
            at("10", 4),
            at("+Inf", 5),
            format!("{name}_sum 61.000102"),
            format!("{name}_count 5"),
        ] {
            assert!(text.lines().any(|got| got == line), "{line} in\n{text}");
        }
    }
}
