//! How the partition's other replicas stand: those of this process, as their handles show it.

use crate::asker::Input;
use crate::node_context::NodeContext;
use crate::replica_handle::ReplicaHandle;
use cortado_driver::{Event, PeerAnswers};
use cortado_model::NodeId;
use cortado_replica::ClaimReason;

/// What each of them would say of itself. All answer at once: what is not here is not awaited.
pub(super) fn ask_peers(context: &NodeContext, me: &ReplicaHandle) -> PeerAnswers {
    let wall = context.clock.now().wall;
    let replicas = context.routes.route(me.partition).replicas().into_iter();
    let others = replicas.filter(|replica| replica.node != me.node);
    let heard = others.filter_map(|replica| replica.standing(wall)).collect();
    PeerAnswers { heard, unheard: 0, placed: context.replica_count(me.partition) }
}

/// Lets a replica claim; one that does not take it is asked again.
pub(super) fn ask_to_claim(context: &NodeContext, me: &ReplicaHandle, node: NodeId) {
    let claim: Input = Event::Claim { reason: ClaimReason::ClaimantDiverged, evidence: 0 };
    if let Some(replica) = context.routes.route(me.partition).replica(node) {
        let _ = replica.offer(claim);
    }
}
