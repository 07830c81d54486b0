//! What is read when somebody asks: nodes, replicas, inboxes, and what log and stores take up.
//!
//! Changes nothing. Start reading at [`Observation`]. Source: docs/metrics.md lists every family.

use crate::asker::INBOX_MAX;
use crate::gateway::Gateway;
use crate::process::Process;
use crate::status::{ReplicaStatus, Status};
use cortado_log::LogUsage;
use cortado_metrics::{Family, Number, Samples, Source};
use cortado_model::{Budget, NodeId};
use cortado_store::StoreUsage;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The nodes of a process, their replicas, its log and its stores, as long as the process is there.
pub(crate) struct Observation {
    /// Weak, so that a registry that lives on holds no store open.
    process: Weak<Process>,
}

impl Observation {
    pub(crate) fn of(process: &Arc<Process>) -> Observation {
        Observation { process: Arc::downgrade(process) }
    }
}

impl Source for Observation {
    fn collect(&self, samples: &mut Samples<'_>) {
        let Some(process) = self.process.upgrade() else { return };
        nodes(&process, samples);
        inboxes(&process, samples);
        log(process.log.usage(), samples);
        let running = process.all_running().into_iter();
        let usages = running.map(|context| (context.node().to_string(), context.store.usage()));
        stores(&usages.collect::<Vec<_>>(), samples);
        replicas(&Gateway { process }.status(), samples);
    }
}

fn nodes(process: &Process, samples: &mut Samples<'_>) {
    samples.gauges("cortado_node_up", "1 if the node runs, 0 if it does not", |family| {
        for node in process.settings.nodes() {
            family.sample(&[("node", &node.to_string())], process.running(node).is_some());
        }
    });
}

fn inboxes(process: &Process, samples: &mut Samples<'_>) {
    let replicas: Vec<_> = process.routes.all().iter().flat_map(|route| route.replicas()).collect();
    let fullest = |node: NodeId| {
        let of_node = replicas.iter().filter(|replica| replica.node == node);
        of_node.map(|replica| replica.waiting_inputs()).max().unwrap_or(0)
    };
    let help = "Requests that wait in the fullest inbox of the node's replicas";
    samples.gauges("cortado_inbox_fullest_requests", help, |family| {
        for node in process.settings.nodes() {
            family.sample(&[("node", &node.to_string())], fullest(node));
        }
    });
    let help = "Requests that one inbox holds; beyond that, requests are refused with 503";
    samples.gauge("cortado_inbox_limit_requests", help, INBOX_MAX);
}

fn log(usage: LogUsage, samples: &mut Samples<'_>) {
    if let Some(disk) = usage.disk {
        samples.gauge("cortado_log_disk_bytes", "Size of the log's files", disk.bytes);
        samples.gauge("cortado_log_segments", "Segment files of the log", disk.segments);
    }
    let Budget { used_bytes, limit_bytes } = usage.cache;
    samples.gauge("cortado_log_cache_bytes", "Recent records kept in memory", used_bytes);
    samples.gauge("cortado_log_cache_limit_bytes", "Limit of the log's cache", limit_bytes);
    let Budget { used_bytes, limit_bytes } = usage.queue;
    let help = "Records in flight: handed to the log and not durable yet";
    samples.gauge("cortado_log_queue_bytes", help, used_bytes);
    let help = "Limit of the records in flight; beyond it, appends are refused";
    samples.gauge("cortado_log_queue_limit_bytes", help, limit_bytes);
}

fn stores(usages: &[(String, StoreUsage)], samples: &mut Samples<'_>) {
    let mut family = |name, help, pick: fn(&StoreUsage) -> Option<u64>| {
        let known = || usages.iter().filter_map(|(node, usage)| Some((node, pick(usage)?)));
        if known().next().is_some() {
            samples.gauges(name, help, |family| {
                known().for_each(|(node, bytes)| family.sample(&[("node", node)], bytes));
            });
        }
    };
    let help = "Disk space of the store's files";
    family("cortado_store_disk_bytes", help, |usage| usage.disk_bytes);
    let help = "Table blocks kept in memory";
    family("cortado_store_cache_bytes", help, |usage| Some(usage.cache.used_bytes));
    let help = "Limit of the store's cache";
    family("cortado_store_cache_limit_bytes", help, |usage| Some(usage.cache.limit_bytes));
    let help = "Applied batches in memory that are in no table yet";
    family("cortado_store_memtable_bytes", help, |usage| Some(usage.memtables.used_bytes));
    let help = "Budget of the memtables; above it, flushing is outrun by writes";
    family("cortado_store_memtable_limit_bytes", help, |usage| Some(usage.memtables.limit_bytes));
}

fn replicas(status: &Status, samples: &mut Samples<'_>) {
    let mut family = |name, help, pick: fn(&ReplicaStatus) -> Number| {
        samples.gauges(name, help, |family| {
            each_replica(status, |labels, replica| family.sample(labels, pick(replica)));
        });
    };
    let help = "Generation of the SCN that the replica has applied";
    family("cortado_replica_applied_generation", help, |replica| {
        u64::from(replica.applied.generation.0).into()
    });
    let help = "Sequence of the SCN that the replica has applied";
    family("cortado_replica_applied_sequence", help, |replica| replica.applied.sequence.0.into());
    let help = "Records of the log that the replica has not processed";
    family("cortado_replica_lag_records", help, |replica| replica.lag_records.into());
    let help = "Time since the replica noticed that it is behind its log, 0 if it is not";
    family("cortado_replica_lag_seconds", help, |replica| {
        Duration::from_millis(replica.lag_ms).into()
    });
    let help = "Always 1; the label `role` is what the replica does";
    samples.gauges("cortado_replica_role", help, |family| roles(status, family));
}

fn roles(status: &Status, family: &mut Family<'_>) {
    each_replica(status, |[database, partition, node], replica| {
        let role = ("role", replica.role.name());
        family.sample(&[*database, *partition, *node, role], 1_u64);
    });
}

/// The labels that tell a replica from all others.
type ReplicaLabels<'a> = [(&'static str, &'a str); 3];

fn each_replica(status: &Status, mut see: impl FnMut(&ReplicaLabels<'_>, &ReplicaStatus)) {
    for database in &status.databases {
        for partition in &database.partitions {
            let number = partition.number.to_string();
            for replica in &partition.replicas {
                let node = replica.node.to_string();
                let database = ("database", database.name.as_str());
                see(&[database, ("partition", number.as_str()), ("node", node.as_str())], replica);
            }
        }
    }
}
