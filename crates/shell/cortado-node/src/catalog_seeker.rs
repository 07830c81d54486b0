//! Finding a copy of `_cluster` whose log does not reach back far enough.
//!
//! Nodes tell their progress to those that stand in `_cluster`, or speak to them; who has not read
//! it is not told, and asks. Start reading at [`seek_catalog`].

use crate::clock::wall;
use crate::replica_handle::ReplicaHandle;
use crate::replica_host::{Duty, ReplicaHost};
use cortado_driver::{Event, ReplicaRole, Resolution};
use cortado_model::{DatabaseId, NodeId, PartitionId};
use cortado_peer::ReplicaProgress;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// How often it is looked whether that is so.
const LOOK: Duration = Duration::from_millis(500);
/// What all nodes together may take to answer.
const ANSWERS: Duration = Duration::from_secs(1);

/// Asks the nodes that can be reached how their replicas of `_cluster` are, whenever this node's
/// own cannot be read, until the node ends.
pub(crate) async fn seek_catalog(host: Arc<ReplicaHost>) {
    let own = host.routes.route(PartitionId::CLUSTER);
    loop {
        sleep(LOOK).await;
        let replica = own.replica();
        if replica.as_ref().is_some_and(|replica| replica.role().is_readable()) {
            continue;
        }
        let told = ask_all(&host).await;
        if let Some(replica) = replica.filter(|_| host.duty == Duty::Router) {
            follow_leader(&host, &replica, &told);
        }
    }
}

/// What a router has read counts for nothing: where it is in dispute, it takes over what the leader
/// has, which an operator may have chosen.
fn follow_leader(
    host: &ReplicaHost,
    replica: &Arc<ReplicaHandle>,
    told: &[(NodeId, ReplicaProgress)],
) {
    let is_disputed = replica.role() == ReplicaRole::Disputed;
    let own = replica.standing(wall()).and_then(|standing| standing.folded);
    let leader = told.iter().find(|(_, progress)| progress.role == ReplicaRole::Leader);
    if let (true, Some(own), Some((leader, progress))) = (is_disputed, own, leader) {
        let (keep, own, beyond) = (*leader, own.accepted, progress.folded);
        let resolution = Resolution { keep, own, beyond };
        replica.send_beside(&host.tasks, Event::Resolve(resolution));
    }
}

/// Answers what they say of `_cluster`.
async fn ask_all(host: &ReplicaHost) -> Vec<(NodeId, ReplicaProgress)> {
    let deadline = Instant::now() + ANSWERS;
    let mut asked = JoinSet::new();
    for node in host.peers.nodes().into_iter().filter(|node| *node != host.node()) {
        let Some(target) = host.peers.peer(node) else { continue };
        asked.spawn(async move {
            let report = target.report(Some(DatabaseId::CLUSTER), deadline);
            Some((node, timeout_at(deadline, report).await.ok()?.ok()?))
        });
    }
    let mut told = Vec::new();
    for (node, report) in asked.join_all().await.into_iter().flatten() {
        let replicas = report.replicas.iter().map(|replica| replica.progress);
        told.extend(replicas.clone().map(|progress| (node, progress)));
        host.progress.answered(node, report.incarnation, replicas, host.clock.steady());
    }
    told.retain(|(_, progress)| progress.partition == PartitionId::CLUSTER);
    told
}
