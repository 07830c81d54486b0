//! Telling the peers how far this node's replicas are.
//!
//! Start reading at [`tell_progress`]; what peers tell is kept by `PeerProgress`.
//! Source: docs/protocols/peers.md, "Progress".

use crate::clock::wall;
use crate::replica_handle::ReplicaHandle;
use crate::replica_host::{Duty, ReplicaHost};
use cortado_gateway::Catalog;
use cortado_model::{DatabaseId, Millis, NodeId, PartitionId, Scn};
use cortado_peer::{Message, Progress};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, sleep_until};

/// How often a node tells how far it is.
const PACE_MS: u64 = 250;
/// What must be known soon, such as who leads, waits for more of the same.
const GATHERING: Duration = Duration::from_millis(5);

/// Tells the peers how far this node's replicas are, until it ends.
pub(crate) async fn tell_progress(host: Arc<ReplicaHost>) {
    let mut told: BTreeMap<NodeId, u64> = BTreeMap::new();
    let mut pruned_at = Scn::ZERO;
    let mut joining = BTreeMap::new();
    let mut due = host.clock.steady();
    loop {
        tokio::select! {
            () = sleep_until(host.clock.instant(due)) => {}
            () = host.changed.told_urgently() => sleep(GATHERING).await,
        }
        let (now, catalog) = (host.clock.steady(), host.cluster.catalog.newest());
        due = now.next_multiple_of(PACE_MS);
        if catalog.scn() != pruned_at {
            pruned_at = catalog.scn();
            host.progress.retain(|PartitionId { database, .. }| {
                database == DatabaseId::CLUSTER || catalog.database_by_id(database).is_some()
            });
        }
        let moved = host.changed.take_moved().into_iter();
        // Who is about to hold a replica has heard of none of the others so far.
        let before = std::mem::replace(&mut joining, joining_in(&catalog));
        let is_new =
            |(partition, add): &(&PartitionId, &NodeId)| before.get(*partition) != Some(*add);
        let joined = joining.iter().filter(is_new).map(|(partition, _)| *partition);
        let moved: BTreeSet<PartitionId> = moved.chain(joined).collect();
        let moved = moved.into_iter();
        let moved: Vec<_> = moved.filter_map(|moved| host.routes.route(moved).replica()).collect();
        moved.iter().for_each(|replica| replica.begin_telling());
        let speakers = host.progress.speakers(now).into_iter();
        let listeners: BTreeSet<NodeId> =
            host.cluster.placed(PartitionId::CLUSTER).into_iter().chain(speakers).collect();
        // The process's router: on its connections no other name counts.
        if host.duty == Duty::Router {
            tell_reach(&host, &listeners);
        }
        let unreached = unreached(&host, now);
        for listener in listeners.into_iter().filter(|node| *node != host.node()) {
            let number = told.entry(listener).or_default();
            *number += 1;
            let message = progress_for(&host, listener, *number, (&moved, &unreached));
            if let Some(peer) = host.peers.peer(listener) {
                peer.tell(Message::Progress(message));
            }
        }
    }
}

/// Tells all nodes what has become of the process's requests.
fn tell_reach(host: &ReplicaHost, listeners: &BTreeSet<NodeId>) {
    let Some(reach) = host.reach.take() else { return };
    for listener in listeners {
        if let Some(peer) = host.peers.peer(*listener) {
            peer.tell(Message::Reach(reach.clone()));
        }
    }
}

/// What `listener` is told now.
fn progress_for(
    host: &ReplicaHost,
    listener: NodeId,
    number: u64,
    (moved, unreached): (&[Arc<ReplicaHandle>], &[PartitionId]),
) -> Progress {
    let me = host.me();
    let (heard, heard_here) = host.progress.heard(listener);
    // What it has not heard of, or not of this life, it has missed.
    let complete = heard_here.is_none_or(|(life, _)| life != me.incarnation);
    let catalog = host.cluster.catalog.newest();
    let concerns = |partition: PartitionId| {
        partition == PartitionId::CLUSTER || catalog.holds(partition, listener)
    };
    let replicas = match (host.duty, complete) {
        // None of a router's counts.
        (Duty::Router, _) => Vec::new(),
        (Duty::Member, true) => host.routes.replicas(),
        (Duty::Member, false) => moved.to_vec(),
    };
    let replicas = replicas.iter().filter(|replica| concerns(replica.partition));
    Progress {
        node: me.node,
        incarnation: me.incarnation,
        wall: wall(),
        fit: host.health.is_fit(),
        reaches_log: host.health.reaches_log(),
        unreached: unreached.iter().copied().filter(|each| concerns(*each)).collect(),
        number,
        heard,
        complete,
        replicas: replicas.map(|replica| replica.progress()).collect(),
    }
}

/// The partitions that this node leads and to whose logs it does not get.
fn unreached(host: &ReplicaHost, now: Millis) -> Vec<PartitionId> {
    if !host.health.beats_silent() || host.duty == Duty::Router {
        return Vec::new();
    }
    let beat_ms = host.settings.detection.beat_ms;
    let mut replicas = host.routes.replicas();
    replicas.retain(|replica| replica.is_cut_off(now, true, beat_ms));
    replicas.iter().map(|replica| replica.partition).collect()
}

/// The nodes to which replicas are moving, by partition.
fn joining_in(catalog: &Catalog) -> BTreeMap<PartitionId, NodeId> {
    let moves = catalog.moves_of_partitions();
    moves.filter_map(|(partition, moving)| Some((partition, moving.add?))).collect()
}
