//! How a life of this node stands to what its catalog says; the rule is `cortado-cluster`'s.

use cortado_cluster::{LifeRefusal, LifeStanding, NodeLife, Registration};
use cortado_gateway::NodeFacts;

/// How the life `me` stands to what is registered under its node's name. If that is another node,
/// another directory holds the name, whatever was replaced: the successor takes the id, too.
pub(crate) fn standing(registered: Option<&NodeFacts>, me: &NodeLife) -> LifeStanding {
    if let Some(holder) = registered.filter(|holder| holder.node != me.node) {
        return LifeStanding::Refused(LifeRefusal::OtherDirectory(holder.directory));
    }
    let registered = registered.map(|facts| {
        let NodeFacts { node, incarnation, directory, nonce, replaced, removed, .. } = *facts;
        let life = NodeLife { node, incarnation, directory, nonce };
        Registration { life, replaced, removed }
    });
    LifeStanding::of(me, registered.as_ref())
}
