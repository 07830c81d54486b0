//! What gossip says of other nodes, as evidence.
//!
//! Concludes nothing. Start reading at [`follow_gossip`]. Source: docs/protocols/failover.md,
//! "Evidence".

use crate::replica_host::ReplicaHost;
use cortado_cluster::{Evidence, PeerOpinion};
use cortado_model::NodeId;
use cortado_peer::{Gossip, GossipMember, GossipView, Liveness, MemberRole};
use std::sync::Arc;

/// Tells the node's watch what gossip says, until the node ends.
pub(crate) async fn follow_gossip(host: Arc<ReplicaHost>, gossip: Arc<dyn Gossip>) {
    let mut changes = gossip.changes();
    loop {
        let view = Arc::clone(&changes.borrow_and_update());
        evidence_of(&view, host.node()).for_each(|evidence| host.health.heard(evidence));
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// What a view is evidence of.
fn evidence_of(view: &GossipView, me: NodeId) -> impl Iterator<Item = Evidence> {
    let others = view
        .members
        .iter()
        .filter(move |(node, member)| **node != me && member.facts.role == MemberRole::Node);
    let members = others.clone().count() as u32;
    let alive = others.clone().filter(|(_, member)| member.liveness == Liveness::Alive).count();
    let answering = if view.awareness.hears_nobody() { 0 } else { alive as u32 };
    let opinions = others.map(|(node, GossipMember { facts, liveness, .. })| {
        let opinion = match liveness {
            Liveness::Alive => PeerOpinion::Alive,
            Liveness::Suspect => PeerOpinion::Suspect,
            Liveness::Down => PeerOpinion::Down,
        };
        Evidence::Gossip { node: *node, incarnation: facts.incarnation, opinion }
    });
    // First: who hears nobody has no opinion of anybody.
    std::iter::once(Evidence::GossipReach { answering, members }).chain(opinions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{DirectoryUuid, NodeIncarnation};
    use cortado_peer::{MemberFacts, SelfAwareness};
    use tokio::time::Instant;

    const ROUTER: u32 = 1 << 31;

    fn member(node: u32, liveness: Liveness) -> (NodeId, GossipMember) {
        let facts = MemberFacts {
            node: NodeId(node),
            incarnation: NodeIncarnation(7),
            directory: DirectoryUuid(1),
            role: if node == ROUTER { MemberRole::Router } else { MemberRole::Node },
            peer_addresses: Vec::new(),
            client_address: String::new(),
            zone: String::new(),
            version: String::new(),
            feature_level: 1,
        };
        (NodeId(node), GossipMember { facts, liveness, since: Instant::now() })
    }

    #[track_caller]
    fn check(unanswered_running: u32, members: &[(u32, Liveness)], want: &[Evidence]) {
        let members = members.iter().map(|(node, liveness)| member(*node, *liveness)).collect();
        let awareness = SelfAwareness { unanswered_running, ..SelfAwareness::default() };
        let view = GossipView { members, awareness };
        assert_eq!(evidence_of(&view, NodeId(1)).collect::<Vec<_>>(), want);
    }

    #[test]
    fn gossip_is_evidence_of_other_nodes_and_of_how_it_goes() {
        use Liveness::{Alive, Down, Suspect};
        let of = |node, opinion| {
            let (node, incarnation) = (NodeId(node), NodeIncarnation(7));
            Evidence::Gossip { node, incarnation, opinion }
        };
        let reach = |answering, members| Evidence::GossipReach { answering, members };
        check(0, &[(1, Alive)], &[reach(0, 0)]);
        let (two, three) = (of(2, PeerOpinion::Alive), of(3, PeerOpinion::Suspect));
        let members = [(1, Alive), (2, Alive), (3, Suspect), (ROUTER, Alive)];
        check(2, &members, &[reach(1, 2), two, three]);
        check(3, &members, &[reach(0, 2), two, three]);
        check(0, &[(2, Down)], &[reach(0, 1), of(2, PeerOpinion::Down)]);
    }
}
