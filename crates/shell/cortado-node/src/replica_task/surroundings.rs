//! How the other replicas of a partition are, as a driver wants to know it.

use crate::replica_host::ReplicaHost;
use cortado_driver::{Peer, ReplicaRole, Surroundings};
use cortado_model::{NodeId, PartitionId};
use cortado_peer::ReplicaProgress;

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
    Surroundings {
        peers: reached.map(peer).collect(),
        placed: host.replica_count(partition),
        log_bytes: host.effort.log_bytes(),
        state_bytes: host.effort.state_bytes(),
    }
}
