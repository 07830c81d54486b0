//! How the other replicas of a partition are, as a driver wants to know it.
//!
//! Start reading at [`look_around`].

use crate::replica_host::ReplicaHost;
use cortado_driver::{PeerState, ReplicaRole, Surroundings};
use cortado_model::{NodeId, PartitionId};
use cortado_peer::{CallError, NodeReport, ReplicaProgress};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// What all peers together may take.
const ANSWERS: Duration = Duration::from_secs(1);

/// What the peers have told.
pub(super) fn look_around(host: &ReplicaHost, partition: PartitionId) -> Surroundings {
    let told = host.progress.of(partition, host.clock.steady()).into_iter();
    // Who has just gone away is not silent for long enough yet.
    let reached = told.filter(|(node, _)| host.peers.peer(*node).is_some());
    let peers = reached.map(|(node, told)| peer_of(node, &told, told.has_room));
    let placed = host.cluster.placed(partition).into_iter();
    let holders = placed.filter(|node| !host.health.is_away(*node)).collect();
    Surroundings {
        peers: peers.collect(),
        holders,
        log_bytes: host.effort.log_bytes(),
        state_bytes: host.effort.state_bytes(),
    }
}

/// What the peers say now. A leader without room gives way by this: two of them that go by what was
/// told a moment ago would name one another, and neither would lead.
pub(super) async fn ask_around(host: &ReplicaHost, partition: PartitionId) -> Surroundings {
    let deadline = Instant::now() + ANSWERS;
    let mut around = look_around(host, partition);
    let mut asked = JoinSet::new();
    for peer in &mut around.peers {
        // Until it says that it has.
        peer.has_room = false;
        let node = peer.node;
        let Some(target) = host.peers.peer(node) else { continue };
        asked.spawn(async move {
            let report = target.report(Some(partition.database), deadline);
            (node, timeout_at(deadline, report).await.unwrap_or(Err(CallError::Late)))
        });
    }
    for (node, report) in asked.join_all().await {
        let Ok(NodeReport { fit, replicas, .. }) = report else { continue };
        let mut told = replicas.iter().map(|replica| replica.progress);
        let told = told.find(|told| told.partition == partition);
        let peer = around.peers.iter_mut().find(|peer| peer.node == node);
        if let (Some(peer), Some(told)) = (peer, told) {
            *peer = peer_of(node, &told, told.has_room && fit);
        }
    }
    around
}

fn peer_of(node: NodeId, told: &ReplicaProgress, has_room: bool) -> PeerState {
    PeerState {
        node,
        readable: told.role.is_readable(),
        has_room,
        serves: told.role == ReplicaRole::Leader,
        folded: told.folded,
    }
}
