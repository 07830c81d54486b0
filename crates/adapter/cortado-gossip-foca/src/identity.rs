//! A node as foca knows it: one telling of one life.
//!
//! Start reading at [`Identity`].

use cortado_model::{NodeId, NodeIncarnation};
use cortado_peer::MemberFacts;
use std::net::SocketAddr;
use std::sync::Arc;

/// One telling of one life of a node. What it tells does not make another one of it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) node: NodeId,
    pub(crate) incarnation: NodeIncarnation,
    /// Counts what the life has told: facts that have changed, and contradictions to being down.
    pub(crate) telling: u32,
    /// `None` where a message names a node without repeating what is known of it.
    pub(crate) told: Option<Arc<Told>>,
}

/// What a node tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) facts: MemberFacts,
    /// Where it hears gossip.
    pub(crate) address: SocketAddr,
}

/// In whose name a node is sought of which nothing is known but an address.
pub(crate) const UNKNOWN: NodeId = NodeId(0);

impl Identity {
    /// The first telling of a life.
    pub(crate) fn new(facts: MemberFacts, address: SocketAddr) -> Identity {
        let (node, incarnation) = (facts.node, facts.incarnation);
        Identity { node, incarnation, telling: 0, told: Some(Arc::new(Told { facts, address })) }
    }

    /// A node that is sought at an address, whichever life it is in.
    pub(crate) fn sought(node: Option<NodeId>) -> Identity {
        let (node, incarnation) = (node.unwrap_or(UNKNOWN), NodeIncarnation(0));
        Identity { node, incarnation, telling: 0, told: None }
    }

    /// Whether it was only sought, so that no life is meant.
    pub(crate) fn is_sought(&self) -> bool {
        self.incarnation == NodeIncarnation(0)
    }

    fn key(&self) -> (NodeId, NodeIncarnation, u32) {
        (self.node, self.incarnation, self.telling)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Identity {}

impl foca::Identity for Identity {
    type Addr = NodeId;

    /// Who is thought to be down and lives says so by telling once more.
    fn renew(&self) -> Option<Identity> {
        let telling = self.telling.checked_add(1)?;
        Some(Identity { telling, ..self.clone() })
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    /// A newer life wins, then what it told last. Of two directories under one name, in lives of
    /// the same number, always the same one does.
    fn win_addr_conflict(&self, adversary: &Identity) -> bool {
        let directory =
            |identity: &Identity| identity.told.as_ref().map(|told| told.facts.directory);
        (self.key(), directory(self)) > (adversary.key(), directory(adversary))
    }
}
