//! Counters and histograms of one node, as plain atomics.
//!
//! Counting never waits. Start reading at [`NodeMetrics`]; the text form is in
//! [`crate::exposition`].

use cortado_replica::Why;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a node has counted since its process started; survives the node's death in the process.
#[derive(Debug, Default)]
pub(crate) struct NodeMetrics {
    /// From handing records to the log until it says that they are durable.
    pub(crate) append: Histogram,
    /// One batch into the store.
    pub(crate) apply: Histogram,
    /// Transactions applied.
    pub(crate) transactions: Counter,
    /// Claims sent.
    pub(crate) claims: Counter,
    /// Claims that another node's claim preceded.
    pub(crate) claims_lost: Counter,
    /// Leaderships that ended otherwise than by this node's own step-down.
    pub(crate) resignations: Counter,
    /// Appends without an acknowledgement.
    pub(crate) appends_failed: Counter,
    /// Replicas rebuilt from a snapshot or from the log.
    pub(crate) resyncs: Counter,
    /// Replicas found with another state than their peers.
    pub(crate) digest_mismatches: Counter,
    /// Rounds in which all replicas had the same state.
    pub(crate) digests_equal: Counter,
    /// Decision log entries that could not be written.
    pub(crate) events_lost: Counter,
    /// Heartbeats sent.
    pub(crate) heartbeats: Counter,
    voids: [Counter; VOID_NAMES.len()],
}

impl NodeMetrics {
    pub(crate) fn count_void(&self, why: Why) {
        self.voids[void_index(why)].add(1);
    }

    /// Void records by reason.
    pub(crate) fn voids(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        VOID_NAMES.iter().zip(&self.voids).map(|(name, counter)| (*name, counter.get()))
    }
}

const VOID_NAMES: [&str; 11] = [
    "heartbeat",
    "not_next_generation",
    "zombie",
    "stranger",
    "duplicate",
    "gap",
    "after_step_down",
    "before_genesis",
    "foreign",
    "not_a_replica",
    "missing_claim",
];

fn void_index(why: Why) -> usize {
    match why {
        Why::Heartbeat => 0,
        Why::NotNextGeneration => 1,
        Why::Zombie => 2,
        Why::Stranger => 3,
        Why::Duplicate => 4,
        Why::Gap => 5,
        Why::AfterStepDown => 6,
        Why::BeforeGenesis => 7,
        Why::Foreign => 8,
        Why::NotAReplica => 9,
        Why::MissingClaim => 10,
    }
}

/// What the gateway of a process has counted.
#[derive(Debug, Default)]
pub(crate) struct GatewayMetrics {
    /// Writes answered with a commit.
    pub(crate) writes_done: Counter,
    /// Writes answered from an idempotency key.
    pub(crate) writes_repeated: Counter,
    /// Writes refused by condition, schema, patch or key.
    pub(crate) writes_refused: Counter,
    /// Writes that were definitely not done for lack of a leader, of room or of time.
    pub(crate) writes_not_done: Counter,
    /// Writes whose outcome nobody can tell.
    pub(crate) writes_unknown: Counter,
    /// From the request to its answer, for writes that were done.
    pub(crate) write: Histogram,
    /// Reads answered.
    pub(crate) reads: Counter,
    /// Reads that had to wait for their replica.
    pub(crate) reads_waited: Counter,
    /// Reads that nobody could serve in time.
    pub(crate) reads_unserved: Counter,
    /// How long partitions were without a serving leader, one value for each failover or handoff.
    pub(crate) write_gap: Histogram,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Durations by size.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: [Counter; BOUNDS_MICROS.len()],
    above: Counter,
    sum_micros: Counter,
}

/// Upper bounds of the durations that are counted together, in microseconds.
pub(crate) const BOUNDS_MICROS: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.counts.get(place).unwrap_or(&self.above).add(1);
        self.sum_micros.add(micros);
    }

    /// Bound in microseconds and the number of durations up to it, then the total.
    pub(crate) fn cumulative(&self) -> (Vec<(u64, u64)>, u64) {
        let mut total = 0;
        let below = BOUNDS_MICROS.iter().zip(&self.counts).map(|(bound, count)| {
            total += count.get();
            (*bound, total)
        });
        let below = below.collect();
        (below, total + self.above.get())
    }

    pub(crate) fn sum_micros(&self) -> u64 {
        self.sum_micros.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_below_every_bound_that_it_keeps() {
        let histogram = Histogram::default();
        for micros in [1, 50, 51, 1_000_000, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let (below, total) = histogram.cumulative();
        let at = |bound| below.iter().find(|(b, _)| *b == bound).unwrap().1;
        assert_eq!((at(50), at(100), at(500_000), at(1_000_000), total), (2, 3, 3, 4, 5));
        assert_eq!(histogram.sum_micros(), 61_000_102);
    }

    #[test]
    fn every_reason_has_its_own_counter() {
        let metrics = NodeMetrics::default();
        metrics.count_void(Why::Gap);
        metrics.count_void(Why::Gap);
        metrics.count_void(Why::BeforeGenesis);
        let voids: Vec<_> = metrics.voids().filter(|(_, count)| *count > 0).collect();
        assert_eq!(voids, [("gap", 2), ("before_genesis", 1)]);
    }
}
