//! Who leads a partition, as far as some node knows, and which node to ask first.
//!
//! Decides nothing about leadership: a newer one is believed, no matter which node tells of it.
//! Start reading at [`KnownRoute`]. Source: docs/protocols/failover.md, "Requests meanwhile".

use cortado_model::{Generation, NodeId};

/// Who leads a partition, as far as a node has folded its log. What is newer counts more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownLeader {
    /// The leadership.
    pub generation: Generation,
    /// It has been given up: `node` is the successor that the former leader named.
    pub stepped_down: bool,
    /// The leader, or its successor; `None` if no node has claimed, or none was named.
    pub node: Option<NodeId>,
}

impl KnownLeader {
    /// Whether it tells of a later leadership than `other`, or of its end.
    pub fn is_newer_than(&self, other: &KnownLeader) -> bool {
        (self.generation, self.stepped_down) > (other.generation, other.stepped_down)
    }
}

/// The way to the leader of one partition, as far as it is known at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownRoute {
    leader: KnownLeader,
    /// The node that has served since this leader was told of. A hint, told to no other node.
    served: Option<NodeId>,
}

impl KnownRoute {
    /// Who leads.
    pub fn leader(&self) -> KnownLeader {
        self.leader
    }

    /// The node to ask first: the one that has served last, else the known leader.
    pub fn first(&self) -> Option<NodeId> {
        self.served.or(self.leader.node)
    }

    /// A node has said who leads: believed if that is newer than what was known; answers whether.
    pub fn learn(&mut self, leader: KnownLeader) -> bool {
        let newer = leader.is_newer_than(&self.leader);
        if newer {
            *self = KnownRoute { leader, served: None };
        }
        newer
    }

    /// `node` has served a request: it is asked first from now on, until a newer leadership is told
    /// of.
    ///
    /// * `known`: the leader that was known when it was asked. What was told since is newer.
    pub fn note_served(&mut self, node: NodeId, known: &KnownLeader) {
        if !self.leader.is_newer_than(known) {
            self.served = Some(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N1: NodeId = NodeId(1);
    const N2: NodeId = NodeId(2);

    fn leader(generation: u32, node: NodeId) -> KnownLeader {
        KnownLeader { generation: Generation(generation), stepped_down: false, node: Some(node) }
    }

    #[test]
    fn the_node_that_served_last_is_asked_first_until_a_newer_leader_is_known() {
        let mut route = KnownRoute::default();
        assert_eq!(route.first(), None);
        route.note_served(N1, &KnownLeader::default());
        assert_eq!((route.first(), route.leader()), (Some(N1), KnownLeader::default()));
        assert!(route.learn(leader(2, N2)));
        assert_eq!(route.first(), Some(N2));
        assert!(!route.learn(leader(2, N1)) && !route.learn(leader(1, N1)));
        // It was asked before the newer one was told of.
        route.note_served(N1, &leader(1, N1));
        assert_eq!(route.first(), Some(N2));
        // It was asked although another one was known to lead.
        route.note_served(N1, &leader(2, N2));
        assert_eq!((route.first(), route.leader()), (Some(N1), leader(2, N2)));
    }

    #[test]
    fn the_end_of_a_leadership_is_newer_than_its_beginning() {
        let ended = KnownLeader { stepped_down: true, node: Some(N1), ..leader(2, N2) };
        assert!(ended.is_newer_than(&leader(2, N2)) && !leader(2, N2).is_newer_than(&ended));
        assert!(leader(3, N2).is_newer_than(&ended) && !ended.is_newer_than(&ended));
    }
}
