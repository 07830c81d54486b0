//! What a node counts as it happens.
//!
//! Counting never waits. What is read when it is asked for is in [`crate::observation`]. Start
//! reading at [`NodeMetrics`]. Source: docs/metrics.md lists every family.

use cortado_driver::{Refused, Reply};
use cortado_metrics::{Counter, Histogram, Registry, Series};
use cortado_model::NodeId;
use cortado_replica::VoidReason;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a node has counted since its process started; survives the node's death in the process.
#[derive(Debug)]
pub(crate) struct NodeMetrics {
    /// From handing records to the log until it says that they are durable.
    pub(crate) append: Histogram,
    /// One commit to the store, with the batches of one partition or of many.
    pub(crate) apply: Histogram,
    /// Transactions applied.
    pub(crate) transactions: Counter,
    /// Claims sent.
    pub(crate) claims: Counter,
    /// Claims that another node's claim preceded.
    pub(crate) claims_lost: Counter,
    /// Leaderships that ended.
    pub(crate) resignations: Counter,
    /// Appends without an acknowledgement.
    pub(crate) appends_failed: Counter,
    /// Replicas rebuilt from a snapshot or from the log.
    pub(crate) resyncs: Counter,
    /// Replicas found with another state than their peers.
    pub(crate) digest_mismatches: Counter,
    /// Rounds in which all replicas had the same state.
    pub(crate) digests_equal: Counter,
    /// Writes refused for the memory of a partition's idempotency keys.
    pub(crate) idempotency_refused: Counter,
    /// Entries that did not come into the journal.
    pub(crate) events_lost: Counter,
    /// Beats sent.
    pub(crate) beats: Counter,
    /// Bytes of snapshots that have come from peers.
    pub(crate) copied_bytes: Counter,
    voids: [Counter; VOID_NAMES.len()],
}

impl NodeMetrics {
    /// Registers the families of all nodes of a process, each with a series for each node.
    pub(crate) fn register(
        registry: &Registry,
        nodes: impl Iterator<Item = NodeId>,
    ) -> BTreeMap<NodeId, Arc<NodeMetrics>> {
        NodeMetrics::register_named(registry, nodes.map(|node| (node, node.to_string())))
    }

    /// The same, of nodes with names.
    pub(crate) fn register_named(
        registry: &Registry,
        nodes: impl Iterator<Item = (NodeId, String)>,
    ) -> BTreeMap<NodeId, Arc<NodeMetrics>> {
        let families = NodeFamilies::register(registry);
        nodes.map(|(node, name)| (node, Arc::new(families.of(&name)))).collect()
    }

    /// Counts what a driver has answered, if that is of a kind that is counted.
    pub(crate) fn count_reply(&self, reply: &Reply) {
        let without_room = match reply {
            Reply::Refused(Refused::Budget { .. }) => 1,
            Reply::Each(ended) => {
                let without_room = |each: &&_| matches!(each, Err(Refused::Budget { .. }));
                ended.iter().filter(without_room).count()
            }
            Reply::Refused(_)
            | Reply::Written(_)
            | Reply::Ready
            | Reply::NotDone(_)
            | Reply::Unknown(_) => 0,
        };
        self.idempotency_refused.add(without_room as u64);
    }

    pub(crate) fn count_void(&self, why: VoidReason) {
        self.voids[void_index(why)].add(1);
    }
}

/// The families whose series are told apart by the node.
struct NodeFamilies {
    append: Series<Histogram>,
    apply: Series<Histogram>,
    transactions: Series<Counter>,
    claims: Series<Counter>,
    claims_lost: Series<Counter>,
    resignations: Series<Counter>,
    appends_failed: Series<Counter>,
    resyncs: Series<Counter>,
    digest_mismatches: Series<Counter>,
    digests_equal: Series<Counter>,
    idempotency_refused: Series<Counter>,
    events_lost: Series<Counter>,
    beats: Series<Counter>,
    copied_bytes: Series<Counter>,
    voids: Series<Counter>,
}

impl NodeFamilies {
    fn register(registry: &Registry) -> NodeFamilies {
        let counters = |name, help| registry.counters(name, help);
        let histograms = |name, help| registry.histograms(name, help);
        NodeFamilies {
            append: histograms(
                "cortado_append_seconds",
                "From handing records to the log until they are durable",
            ),
            apply: histograms("cortado_apply_seconds", "Time of one commit to the store"),
            transactions: counters("cortado_transactions_total", "Transactions applied"),
            claims: counters("cortado_claims_total", "Claims of a leadership that were sent"),
            claims_lost: counters(
                "cortado_claims_lost_total",
                "Claims that lost: another node's claim came first",
            ),
            resignations: counters(
                "cortado_resignations_total",
                "Leaderships that ended, by handoff or by another node's claim",
            ),
            appends_failed: counters(
                "cortado_appends_failed_total",
                "Appends that the log did not acknowledge",
            ),
            resyncs: counters(
                "cortado_resyncs_total",
                "Replicas rebuilt from a snapshot or from the log",
            ),
            digest_mismatches: counters(
                "cortado_digest_mismatches_total",
                "Replicas whose digest differed from the others'",
            ),
            digests_equal: counters(
                "cortado_digests_equal_total",
                "Comparisons in which all replicas of a partition had the same digest",
            ),
            idempotency_refused: counters(
                "cortado_idempotency_refused_total",
                "Writes refused because the partition remembers as many answers as it may",
            ),
            events_lost: counters(
                "cortado_events_lost_total",
                "Entries that were dropped instead of written to the journal",
            ),
            beats: counters("cortado_beats_total", "Beats sent"),
            copied_bytes: counters(
                "cortado_copied_bytes_total",
                "Bytes of snapshots that were copied from other nodes",
            ),
            voids: counters(
                "cortado_void_records_total",
                "Records of the log that were skipped, by reason",
            ),
        }
    }

    fn of(&self, node: &str) -> NodeMetrics {
        let counter = |family: &Series<Counter>| family.with(&[("node", node)]);
        let histogram = |family: &Series<Histogram>| family.with(&[("node", node)]);
        let void = |reason| self.voids.with(&[("node", node), ("reason", reason)]);
        NodeMetrics {
            append: histogram(&self.append),
            apply: histogram(&self.apply),
            transactions: counter(&self.transactions),
            claims: counter(&self.claims),
            claims_lost: counter(&self.claims_lost),
            resignations: counter(&self.resignations),
            appends_failed: counter(&self.appends_failed),
            resyncs: counter(&self.resyncs),
            digest_mismatches: counter(&self.digest_mismatches),
            digests_equal: counter(&self.digests_equal),
            idempotency_refused: counter(&self.idempotency_refused),
            events_lost: counter(&self.events_lost),
            beats: counter(&self.beats),
            copied_bytes: counter(&self.copied_bytes),
            voids: VOID_NAMES.map(void),
        }
    }
}

const VOID_NAMES: [&str; 12] = [
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
    "disputed",
    "leader_has_served",
];

/// The reason as metrics and the log name it.
pub(crate) fn void_name(why: VoidReason) -> &'static str {
    VOID_NAMES[void_index(why)]
}

fn void_index(why: VoidReason) -> usize {
    match why {
        VoidReason::NotNextGeneration => 0,
        VoidReason::Zombie => 1,
        VoidReason::Stranger => 2,
        VoidReason::Duplicate => 3,
        VoidReason::Gap => 4,
        VoidReason::AfterStepDown => 5,
        VoidReason::BeforeGenesis => 6,
        VoidReason::Foreign => 7,
        VoidReason::NotAReplica => 8,
        VoidReason::MissingClaim => 9,
        VoidReason::Disputed(_) => 10,
        VoidReason::LeaderHasServed => 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_refused_writes_those_without_room_for_a_key_are_counted() {
        let registry = Registry::default();
        let nodes = NodeMetrics::register(&registry, [NodeId(1)].into_iter());
        nodes[&NodeId(1)].count_reply(&Reply::Refused(Refused::KeyReused));
        nodes[&NodeId(1)].count_reply(&Reply::Refused(Refused::Budget { retry_after_ms: 1 }));
        let refused = || Err(Refused::Budget { retry_after_ms: 1 });
        let each = vec![refused(), Err(Refused::KeyReused), refused()];
        nodes[&NodeId(1)].count_reply(&Reply::Each(each));
        let want = "\ncortado_idempotency_refused_total{node=\"n1\"} 3\n";
        assert!(registry.encode().contains(want));
    }

    #[test]
    fn every_reason_has_its_own_series() {
        let registry = Registry::default();
        let nodes = NodeMetrics::register(&registry, [NodeId(1), NodeId(2)].into_iter());
        nodes[&NodeId(2)].count_void(VoidReason::Gap);
        nodes[&NodeId(2)].count_void(VoidReason::Gap);
        nodes[&NodeId(1)].count_void(VoidReason::BeforeGenesis);
        let text = registry.encode();
        let voids = text.lines().filter(|line| line.starts_with("cortado_void_records_total{"));
        let (counted, zeros): (Vec<&str>, Vec<&str>) =
            voids.partition(|line| !line.ends_with(" 0"));
        let want = [
            r#"cortado_void_records_total{node="n1",reason="before_genesis"} 1"#,
            r#"cortado_void_records_total{node="n2",reason="gap"} 2"#,
        ];
        assert_eq!(counted, want);
        assert_eq!(zeros.len(), 2 * VOID_NAMES.len() - 2);
    }
}
