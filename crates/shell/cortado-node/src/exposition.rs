//! Metrics as text, in the exposition format of Prometheus.
//!
//! Start reading at [`Exposition`]. Source: docs/metrics.md lists every family.

use crate::metrics::{Counter, GatewayMetrics, Histogram, NodeMetrics};
use crate::status::Status;
use cortado_model::NodeId;
use std::fmt::Write;
use std::sync::Arc;

/// Writes families one after another.
pub(crate) struct Exposition<'a> {
    out: &'a mut String,
}

type Nodes = [(NodeId, bool, Arc<NodeMetrics>)];

impl<'a> Exposition<'a> {
    pub(crate) fn new(out: &'a mut String) -> Exposition<'a> {
        Exposition { out }
    }

    pub(crate) fn gateway(&mut self, metrics: &GatewayMetrics) {
        let name = "cortado_writes_total";
        self.family(name, "counter", "Writes by outcome.");
        let outcomes = [
            ("done", &metrics.writes_done),
            ("repeated", &metrics.writes_repeated),
            ("refused", &metrics.writes_refused),
            ("not_done", &metrics.writes_not_done),
            ("unknown", &metrics.writes_unknown),
        ];
        for (outcome, counter) in outcomes {
            self.sample(name, &format!("outcome=\"{outcome}\""), counter.get());
        }
        self.counter("cortado_reads_total", "Reads answered.", &metrics.reads);
        let help = "Reads that waited for their replica.";
        self.counter("cortado_reads_waited_total", help, &metrics.reads_waited);
        let help = "Reads that nobody could serve in time.";
        self.counter("cortado_reads_unserved_total", help, &metrics.reads_unserved);
        let name = "cortado_write_seconds";
        self.family(name, "histogram", "From a write's arrival to its commit's answer.");
        self.histogram(name, "", &metrics.write);
        let name = "cortado_write_gap_seconds";
        self.family(name, "histogram", "How long a partition had no serving leader.");
        self.histogram(name, "", &metrics.write_gap);
    }

    pub(crate) fn nodes(&mut self, nodes: &Nodes) {
        let name = "cortado_node_up";
        self.family(name, "gauge", "Whether the node runs.");
        for (node, alive, _) in nodes {
            self.sample(name, &format!("node=\"{node}\""), u64::from(*alive));
        }
        self.node_counters(nodes);
        let name = "cortado_void_records_total";
        self.family(name, "counter", "Records that the fold passed over, by reason.");
        for (node, _, metrics) in nodes {
            for (reason, count) in metrics.voids() {
                self.sample(name, &format!("node=\"{node}\",reason=\"{reason}\""), count);
            }
        }
        let name = "cortado_append_seconds";
        self.family(name, "histogram", "From handing records to the log until they are durable.");
        for (node, _, metrics) in nodes {
            self.histogram(name, &format!("node=\"{node}\""), &metrics.append);
        }
        let name = "cortado_apply_seconds";
        self.family(name, "histogram", "One batch into the store.");
        for (node, _, metrics) in nodes {
            self.histogram(name, &format!("node=\"{node}\""), &metrics.apply);
        }
    }

    fn node_counters(&mut self, nodes: &Nodes) {
        type Pick = fn(&NodeMetrics) -> &Counter;
        let families: [(&str, &str, Pick); 10] = [
            ("cortado_transactions_total", "Transactions applied.", |m| &m.transactions),
            ("cortado_claims_total", "Claims sent.", |m| &m.claims),
            ("cortado_claims_lost_total", "Claims that lost.", |m| &m.claims_lost),
            ("cortado_resignations_total", "Leaderships that ended.", |m| &m.resignations),
            ("cortado_appends_failed_total", "Appends not acknowledged.", |m| &m.appends_failed),
            ("cortado_resyncs_total", "Replicas built anew.", |m| &m.resyncs),
            ("cortado_digests_equal_total", "Rounds of equal digests.", |m| &m.digests_equal),
            ("cortado_digest_mismatches_total", "Odd replicas.", |m| &m.digest_mismatches),
            ("cortado_events_lost_total", "Decisions not logged.", |m| &m.events_lost),
            ("cortado_heartbeats_total", "Heartbeats sent.", |m| &m.heartbeats),
        ];
        for (name, help, pick) in families {
            self.family(name, "counter", help);
            for (node, _, metrics) in nodes {
                self.sample(name, &format!("node=\"{node}\""), pick(metrics).get());
            }
        }
    }

    pub(crate) fn replicas(&mut self, status: &Status) {
        type Pick = fn(&crate::status::ReplicaStatus) -> u64;
        let families: [(&str, &str, Pick); 4] = [
            ("cortado_replica_applied_generation", "Generation applied.", |r| {
                u64::from(r.applied.generation.0)
            }),
            ("cortado_replica_applied_sequence", "Sequence applied.", |r| r.applied.sequence.0),
            ("cortado_replica_lag_records", "Records of the log not folded.", |r| r.lag_records),
            ("cortado_replica_lag_milliseconds", "For how long it has known so.", |r| r.lag_ms),
        ];
        for (name, help, pick) in families {
            self.family(name, "gauge", help);
            self.each_replica(status, |exposition, labels, replica| {
                exposition.sample(name, labels, pick(replica));
            });
        }
        let name = "cortado_replica_role";
        self.family(name, "gauge", "1 for the role that the replica has.");
        self.each_replica(status, |exposition, labels, replica| {
            let labels = format!("{labels},role=\"{}\"", replica.role.name());
            exposition.sample(name, &labels, 1);
        });
    }

    fn each_replica(
        &mut self,
        status: &Status,
        mut write: impl FnMut(&mut Self, &str, &crate::status::ReplicaStatus),
    ) {
        for database in &status.databases {
            for partition in &database.partitions {
                for replica in &partition.replicas {
                    let labels = format!(
                        "database=\"{}\",partition=\"{}\",node=\"{}\"",
                        database.name, partition.number, replica.node
                    );
                    write(self, &labels, replica);
                }
            }
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.family(name, "counter", help);
        let _ = writeln!(self.out, "{name} {}", counter.get());
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        let _ = writeln!(self.out, "{name}{{{labels}}} {value}");
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let (below, total) = histogram.cumulative();
        let comma = if labels.is_empty() { "" } else { "," };
        for (bound_micros, count) in below {
            let bound = bound_micros as f64 / 1e6;
            let _ = writeln!(self.out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(self.out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {total}");
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let sum = histogram.sum_micros() as f64 / 1e6;
        let _ = writeln!(self.out, "{name}_sum{braces} {sum}\n{name}_count{braces} {total}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let metrics = GatewayMetrics::default();
        metrics.writes_done.add(2);
        metrics.write.observe(Duration::from_micros(700));
        let mut out = String::new();
        Exposition::new(&mut out).gateway(&metrics);
        for line in [
            "# TYPE cortado_writes_total counter",
            "cortado_writes_total{outcome=\"done\"} 2",
            "cortado_write_seconds_sum 0.0007",
            "cortado_write_seconds_count 1",
        ] {
            assert!(out.lines().any(|l| l == line), "{line} in\n{out}");
        }
        let name = "cortado_write_seconds";
        for (bound, count) in [("0.0005", 0), ("0.001", 1), ("+Inf", 1)] {
            let line = format!("{name}_bucket{{le=\"{bound}\"}} {count}");
            assert!(out.lines().any(|l| l == line), "{line} in\n{out}");
        }
    }
}
