//! How the other replicas of a partition are, as a driver wants to know it.
//!
//! Start reading at [`look_around`].

use crate::replica_host::ReplicaHost;
use cortado_driver::{Peer, ReplicaRole, Surroundings};
use cortado_model::{NodeId, PartitionId};
use cortado_peer::{CallError, ReplicaProgress};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What all peers together may take.
const ANSWERS: Duration = Duration::from_secs(1);

/// What the peers have told.
pub(super) fn look_around(host: &ReplicaHost, partition: PartitionId) -> Surroundings {
    let peer = |(node, told): (NodeId, ReplicaProgress)| Peer {
        node,
        readable: told.role.is_readable(),
        has_room: told.has_room,
        serves: told.role == ReplicaRole::Leader,
        folded: told.folded,
    };
    let told = host.progress.of(partition, host.clock.steady()).into_iter();
    // Who has just gone away is not silent for long enough yet.
    let reached = told.filter(|(node, _)| host.peers.peer(*node).is_some());
    let placed = host.cluster.placed(partition).into_iter();
    let holders = placed.filter(|node| !host.health.is_away(*node)).collect();
    Surroundings {
        peers: reached.map(peer).collect(),
        holders,
        log_bytes: host.effort.log_bytes(),
        state_bytes: host.effort.state_bytes(),
    }
}

/// What the peers say now. A leader without room gives way by this: two of them that go by what was
/// told a moment ago would name one another, and nobody would lead.
pub(super) async fn ask_around(host: &ReplicaHost, partition: PartitionId) -> Surroundings {
    let deadline = Instant::now() + ANSWERS;
    let mut around = look_around(host, partition);
    for peer in &mut around.peers {
        let Some(asked) = host.peers.peer(peer.node) else {
            peer.has_room = false;
            continue;
        };
        let report = asked.report(Some(partition.database), deadline);
        let report = timeout_at(deadline, report).await.unwrap_or(Err(CallError::Late));
        let replicas = report.map(|report| report.replicas).unwrap_or_default();
        let own = replicas.iter().find(|replica| replica.progress.partition == partition);
        peer.has_room = own.is_some_and(|own| own.progress.has_room);
    }
    around
}
