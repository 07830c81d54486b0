//! What a gateway counts as it happens.
//!
//! Counting never waits. Start reading at [`GatewayMetrics`]. Source: docs/metrics.md lists every
//! family.

use cortado_metrics::{Counter, Histogram, Registry};

/// What the gateway of a process has counted.
#[derive(Debug)]
pub struct GatewayMetrics {
    /// Writes answered with a commit.
    pub(crate) writes_done: Counter,
    /// Writes answered from an idempotency key.
    pub(crate) writes_repeated: Counter,
    /// Writes refused by condition, schema, patch or key.
    pub(crate) writes_refused: Counter,
    /// Writes that were definitely not done for lack of a leader, of room or of time.
    pub(crate) writes_not_done: Counter,
    /// Writes whose outcome is unknown.
    pub(crate) writes_unknown: Counter,
    /// From the request to its answer, for writes that were done.
    pub(crate) write: Histogram,
    /// Reads answered.
    pub(crate) reads: Counter,
    /// Reads that had to wait for their replica.
    pub(crate) reads_waited: Counter,
    /// Reads that no replica could serve in time.
    pub(crate) reads_unserved: Counter,
    /// How long partitions were without a serving leader, one value for each failover or handoff.
    pub(crate) write_gap: Histogram,
}

impl GatewayMetrics {
    /// Registers the families of a gateway.
    pub fn register(registry: &Registry) -> GatewayMetrics {
        let writes = registry.counters("cortado_writes_total", "Writes answered, by outcome");
        let outcome = |outcome| writes.with(&[("outcome", outcome)]);
        GatewayMetrics {
            writes_done: outcome("done"),
            writes_repeated: outcome("repeated"),
            writes_refused: outcome("refused"),
            writes_not_done: outcome("not_done"),
            writes_unknown: outcome("unknown"),
            write: registry.histogram(
                "cortado_write_seconds",
                "From the arrival of a write to the answer that it is committed",
            ),
            reads: registry.counter("cortado_reads_total", "Reads answered"),
            reads_waited: registry.counter(
                "cortado_reads_waited_total",
                "Waits of reads for a replica that was behind",
            ),
            reads_unserved: registry.counter(
                "cortado_reads_unserved_total",
                "Reads that no replica could serve before their deadline",
            ),
            write_gap: registry.histogram(
                "cortado_write_gap_seconds",
                "From the first request that found no leader to the first one that was served",
            ),
        }
    }
}
