//! What is read at a scrape: nodes, replicas, inboxes, and what log and stores take up.
//!
//! Changes nothing. Start reading at [`Observation`]. Source: docs/metrics.md lists every family.

use crate::nodes::{Nodes, Running};
use crate::replica_handle::ReplicaHandle;
use cortado_cluster::ChangeState;
use cortado_driver::INBOX_MAX;
use cortado_log::LogUsage;
use cortado_metrics::{Number, Samples, Source};
use cortado_model::{Budget, DatabaseId};
use cortado_peer::{GossipView, Liveness, PlaceUsage};
use cortado_store::StoreUsage;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The nodes of a process, their replicas, its log and its stores, as long as the process is there.
pub(crate) struct Observation {
    /// Weak, so that a registry that lives on holds no store open.
    nodes: Weak<Nodes>,
}

impl Observation {
    pub(crate) fn of(nodes: &Arc<Nodes>) -> Observation {
        Observation { nodes: Arc::downgrade(nodes) }
    }
}

impl Source for Observation {
    fn collect(&self, samples: &mut Samples<'_>) {
        let Some(nodes) = self.nodes.upgrade() else { return };
        up(&nodes, samples);
        let running = nodes.all_running();
        inboxes(&running, samples);
        journal(&running, samples);
        held_back_logs(&running, samples);
        places(&running, samples);
        gossip(&running, samples);
        moves(&nodes, samples);
        log(nodes.log().usage(), samples);
        let help = "1 if the log takes nothing more until the process starts again, 0 if it works";
        samples.gauge("cortado_log_failed", help, nodes.log().failure().is_some());
        drifts(&running, samples);
        let usages = running.iter().map(|running| {
            let host = running.node.host();
            (host.name(), host.store.usage())
        });
        stores(&usages.collect::<Vec<_>>(), samples);
        replicas(&running.iter().flat_map(seen).collect::<Vec<_>>(), samples);
    }
}

/// A replica as its families show it.
struct SeenReplica {
    /// Database, partition, node.
    labels: [String; 3],
    handle: Arc<ReplicaHandle>,
    lag_records: u64,
    behind_ms: u64,
}

/// The replicas of a node whose databases it knows.
fn seen(running: &Arc<Running>) -> Vec<SeenReplica> {
    let host = running.node.host();
    let (catalog, now) = (host.cluster.catalog.newest(), host.clock.steady());
    let name = |id| match id {
        DatabaseId::CLUSTER => Some("_cluster".to_owned()),
        id => catalog.database_by_id(id).map(|database| database.name.clone()),
    };
    let see = |handle: Arc<ReplicaHandle>| {
        let (partition, node) = (handle.partition, handle.node);
        let labels =
            [name(partition.database)?, partition.number.to_string(), host.settings.name_of(node)];
        let end = host.log.local_end(partition).unwrap_or_else(|| handle.known_end());
        let lag_records = end.0.saturating_sub(handle.folded().0);
        let behind_ms = handle.behind_ms(now);
        Some(SeenReplica { labels, handle, lag_records, behind_ms })
    };
    host.routes.replicas().into_iter().filter_map(see).collect()
}

fn up(nodes: &Nodes, samples: &mut Samples<'_>) {
    samples.gauges("cortado_node_up", "1 if the node runs, 0 if it does not", |family| {
        for node in nodes.all() {
            family.sample(&[("node", &nodes.name_of(node))], nodes.running(node).is_some());
        }
    });
}

fn inboxes(running: &[Arc<Running>], samples: &mut Samples<'_>) {
    let help = "Requests that wait in the fullest inbox of the node's replicas";
    samples.gauges("cortado_inbox_fullest_requests", help, |family| {
        for running in running {
            let host = running.node.host();
            let replicas = host.routes.replicas().into_iter();
            let fullest = replicas.map(|replica| replica.waiting_inputs()).max().unwrap_or(0);
            family.sample(&[("node", &host.name())], fullest);
        }
    });
    let help = "Requests that one inbox holds; beyond that, requests are refused with 503";
    samples.gauge("cortado_inbox_limit_requests", help, INBOX_MAX);
}

fn journal(running: &[Arc<Running>], samples: &mut Samples<'_>) {
    let mut family = |name, help, pick: fn((usize, usize)) -> usize| {
        samples.gauges(name, help, |family| {
            for running in running {
                let host = running.node.host();
                let entries = pick(host.decisions.waiting());
                family.sample(&[("node", &host.name())], entries);
            }
        });
    };
    let help = "Entries of the node that wait to be written to the journal";
    family("cortado_journal_queue_entries", help, |(waiting, _)| waiting);
    let help = "Limit of the entries that wait; beyond it they are dropped";
    family("cortado_journal_queue_limit_entries", help, |(_, limit)| limit);
}

/// As the process has folded `_cluster`.
fn moves(nodes: &Nodes, samples: &mut Samples<'_>) {
    let Some(catalog) = nodes.catalog() else { return };
    let help = "Replicas of the cluster that are on their way to another node, or away";
    samples.gauge("cortado_moves", help, catalog.moves().count());
    samples.gauges("cortado_changes", "Planned changes that are not over, by state", |family| {
        for (state, name) in [
            (ChangeState::Running, "running"),
            (ChangeState::Paused, "paused"),
            (ChangeState::Cancelled, "cancelled"),
        ] {
            let changes = catalog.changes().filter(|change| change.state == state).count();
            family.sample(&[("state", name)], changes);
        }
    });
}

fn held_back_logs(running: &[Arc<Running>], samples: &mut Samples<'_>) {
    let help = "Partitions that the node leads whose log is not trimmed: digests are missing";
    samples.gauges("cortado_partitions_not_trimmed", help, |family| {
        for running in running {
            let host = running.node.host();
            let replicas = host.routes.replicas().into_iter();
            let held_back = replicas.filter(|replica| replica.is_held_back()).count();
            family.sample(&[("node", &host.name())], held_back);
        }
    });
}

fn places(running: &[Arc<Running>], samples: &mut Samples<'_>) {
    let places: Vec<(String, PlaceUsage)> =
        running.iter().map(|one| (one.node.host().name(), one.place.usage())).collect();
    let mut family = |name, help, pick: fn(&PlaceUsage) -> Number| {
        samples.gauges(name, help, |family| {
            places.iter().for_each(|(node, usage)| family.sample(&[("node", node)], pick(usage)));
        });
    };
    let help = "Other nodes whose addresses are known";
    family("cortado_peers_known", help, |usage| usage.known.into());
    let help = "Other nodes that the node is connected to";
    family("cortado_peers_connected", help, |usage| usage.connected.into());
    let help = "Connections of other nodes and routers to the node";
    family("cortado_peer_connections", help, |usage| usage.connections.into());
    let help = "Limit of these connections; beyond it they are refused";
    family("cortado_peer_connections_limit", help, |usage| usage.connections_max.into());
    let help = "Memory of what other nodes ask and the node works on";
    family("cortado_peer_frame_bytes", help, |usage| usage.frame_bytes.into());
    let help = "Limit of that memory; beyond it other nodes wait";
    family("cortado_peer_frame_limit_bytes", help, |usage| usage.frame_bytes_max.into());
    let help = "When the node's certificate expires, in seconds since 1970; 0 without one";
    family("cortado_peer_certificate_expiry_timestamp_seconds", help, |usage| {
        usage.certificate_expiry_s.into()
    });
}

fn gossip(running: &[Arc<Running>], samples: &mut Samples<'_>) {
    let views: Vec<(String, GossipView)> = running
        .iter()
        .map(|running| {
            let host = running.node.host();
            let view = host.gossip.get().map(|gossip| gossip.view()).unwrap_or_default();
            let mut others = GossipView::clone(&view);
            others.members.remove(&host.node());
            (host.name(), others)
        })
        .collect();
    let help = "Other nodes and routers, as gossip thinks of them";
    samples.gauges("cortado_gossip_members", help, |family| {
        for (node, view) in &views {
            for (state, of) in STATES {
                let others = view.members.values();
                let count = others.filter(|member| member.liveness == of).count();
                family.sample(&[("node", node), ("state", state)], count);
            }
        }
    });
    let help = "How little the node can trust its own suspicions: 0 to 8";
    samples.gauges("cortado_gossip_awareness_score", help, |family| {
        for (node, view) in &views {
            family.sample(&[("node", node)], u64::from(view.awareness.score));
        }
    });
    let help = "Probes of the node that nobody answered, one after another, up to now";
    samples.gauges("cortado_gossip_unanswered_probes", help, |family| {
        for (node, view) in &views {
            family.sample(&[("node", node)], u64::from(view.awareness.unanswered_running));
        }
    });
}

/// What gossip thinks of nodes, as labels.
const STATES: [(&str, Liveness); 3] =
    [("alive", Liveness::Alive), ("suspect", Liveness::Suspect), ("down", Liveness::Down)];

fn drifts(running: &[Arc<Running>], samples: &mut Samples<'_>) {
    let help = "Settings of a database's log that endanger writes: it is read-only with any";
    samples.gauges("cortado_log_drift", help, |family| {
        for running in running {
            let host = running.node.host();
            let (node, found) = (host.name(), host.health.drifts.settings());
            let mut sample = |name: &str, id: DatabaseId| {
                let differ = found.iter().filter(|(database, _)| *database == id).count();
                family.sample(&[("node", &node), ("database", name)], differ);
            };
            sample("_cluster", DatabaseId::CLUSTER);
            let catalog = host.cluster.catalog.newest();
            catalog.databases().for_each(|database| sample(&database.name, database.id));
        }
    });
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

fn replicas(seen: &[SeenReplica], samples: &mut Samples<'_>) {
    let mut family = |name, help, pick: fn(&SeenReplica) -> Number| {
        samples.gauges(name, help, |family| {
            seen.iter().for_each(|replica| family.sample(&labels(replica), pick(replica)));
        });
    };
    let help = "Generation of the SCN that the replica has applied";
    family("cortado_replica_applied_generation", help, |replica| {
        u64::from(replica.handle.applied().generation.0).into()
    });
    let help = "Sequence of the SCN that the replica has applied";
    family("cortado_replica_applied_sequence", help, |replica| {
        replica.handle.applied().sequence.0.into()
    });
    let help = "Records of the log that the replica has not processed";
    family("cortado_replica_lag_records", help, |replica| replica.lag_records.into());
    let help = "Time since the replica noticed that it is behind its log, 0 if it is not";
    family("cortado_replica_lag_seconds", help, |replica| {
        Duration::from_millis(replica.behind_ms).into()
    });
    let help = "Always 1; the label `role` is what the replica does";
    samples.gauges("cortado_replica_role", help, |family| {
        for replica in seen {
            let [database, partition, node] = labels(replica);
            let role = ("role", replica.handle.role().name());
            family.sample(&[database, partition, node, role], 1_u64);
        }
    });
}

/// The labels that tell a replica from all others.
fn labels(replica: &SeenReplica) -> [(&'static str, &str); 3] {
    let [database, partition, node] = &replica.labels;
    [("database", database), ("partition", partition), ("node", node)]
}
