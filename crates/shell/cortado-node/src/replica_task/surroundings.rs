//! How the other replicas of a partition are, for its driver.

use crate::node_context::NodeContext;
use crate::replica_handle::ReplicaHandle;
use cortado_driver::{Peer, Surroundings};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Looks at the other replicas of the process.
pub(super) fn look_around(context: &NodeContext, me: &ReplicaHandle) -> Surroundings {
    let route = context.routes.route(me.partition);
    let serving = route.serving_generation().map(|(_, node)| node);
    let peers = route.replicas().into_iter().filter(|replica| replica.node != me.node);
    let peer = |replica: Arc<ReplicaHandle>| Peer {
        node: replica.node,
        readable: replica.role().is_readable(),
        has_room: !replica.waits_for_room(),
        serves: serving == Some(replica.node),
        folded: replica.folded(),
    };
    Surroundings {
        peers: peers.map(peer).collect(),
        placed: context.replica_count(me.partition),
        log_bytes: context.log_bytes.load(Ordering::Relaxed),
        state_bytes: context.state_bytes(),
    }
}
