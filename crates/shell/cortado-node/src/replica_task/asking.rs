//! How the partition's other replicas stand, asked of their nodes.
//!
//! Start reading at [`ask_peers`].

use crate::replica_handle::ReplicaHandle;
use crate::replica_host::ReplicaHost;
use cortado_driver::{PeerAnswers, PeerStanding};
use cortado_model::{NodeId, PartitionId};
use cortado_peer::{CallError, Message};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// What a peer may take: a claimant serves no client meanwhile.
const ANSWERS: Duration = Duration::from_millis(100);

/// What each of them says of itself to `own`. Who cannot be reached is not awaited.
pub(super) async fn ask_peers(host: &ReplicaHost, own: &ReplicaHandle) -> PeerAnswers {
    let partition = own.partition;
    let deadline = Instant::now() + ANSWERS;
    let mut asked = JoinSet::new();
    for node in host.cluster.placed(partition).into_iter().filter(|node| *node != host.node()) {
        let Some(peer) = host.peers.peer(node) else { continue };
        asked.spawn(async move {
            let standing = timeout_at(deadline, peer.standing(partition, deadline)).await;
            standing.unwrap_or(Err(CallError::Late))
        });
    }
    let answers: Vec<Result<Option<PeerStanding>, CallError>> = asked.join_all().await;
    let unheard = answers.iter().filter(|answer| matches!(answer, Err(CallError::Late))).count();
    let heard = answers.into_iter().filter_map(|answer| answer.ok()?).collect();
    let may_claim = host.may_claim(partition, &own.leadership());
    PeerAnswers { heard, unheard, placed: host.replica_count(partition), may_claim }
}

/// Lets a replica claim; one that does not take it is asked again.
pub(super) fn ask_to_claim(host: &ReplicaHost, partition: PartitionId, node: NodeId) {
    if let Some(peer) = host.peers.peer(node) {
        peer.tell(Message::Claim { partition });
    }
}
