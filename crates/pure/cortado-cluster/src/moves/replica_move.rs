//! One replica on its way from a node to another.
//!
//! Start reading at [`ReplicaMove::next`].

use super::change::ChangeId;
use crate::placement::Placement;
use alloc::vec::Vec;
use cortado_model::NodeId;

/// One replica on its way, as `_cluster` keeps it while that lasts. At least one of both nodes is
/// named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaMove {
    /// For which change.
    pub change: ChangeId,
    /// Where a replica is added.
    pub add: Option<NodeId>,
    /// Where one is removed, afterwards.
    pub remove: Option<NodeId>,
    /// How far it has come.
    pub stage: MoveStage,
}

/// How far a move has come. What more there is to know stands in the partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveStage {
    /// The new replica copies what there is, and joins the replica set when it has caught up.
    Copying,
    /// The old one hands over what it leads, and leaves the replica set.
    Leaving,
}

impl ReplicaMove {
    /// The next one that brings `placement` closer to `target`; `None` if both are on the same
    /// nodes.
    pub fn next(change: ChangeId, placement: &Placement, target: &Placement) -> Option<Self> {
        let lacks = |of: &Placement, from: &Placement| {
            of.nodes().iter().copied().find(|node| !from.contains(*node))
        };
        let (add, remove) = (lacks(target, placement), lacks(placement, target));
        let stage = match (add, remove) {
            (None, None) => return None,
            (None, Some(_)) => MoveStage::Leaving,
            (Some(_), _) => MoveStage::Copying,
        };
        Some(ReplicaMove { change, add, remove, stage })
    }

    /// The nodes that hold a replica while it lasts, in order of succession as their watches should
    /// have it: who joins comes last, and behind it only who leaves.
    pub fn succession(&self, placement: &Placement) -> Placement {
        let mut nodes = placement.nodes().to_vec();
        let more = self.add.filter(|node| !nodes.contains(node));
        nodes.extend(more);
        let held = Placement::new(nodes).unwrap_or_else(|| placement.clone());
        match (self.stage, self.remove) {
            (MoveStage::Leaving, Some(node)) => held.without_leader_on(node),
            (MoveStage::Leaving | MoveStage::Copying, _) => held,
        }
    }

    /// Where the replicas are when it is over: as `target` has them if those are all of its, else
    /// with the new node in the place of the old one.
    pub fn after(&self, placement: &Placement, target: &Placement) -> Placement {
        let mut nodes: Vec<NodeId> = Vec::new();
        for node in placement.nodes() {
            match Some(*node) == self.remove {
                true => nodes.extend(self.add.filter(|add| !placement.contains(*add))),
                false => nodes.push(*node),
            }
        }
        let more = self.add.filter(|add| !nodes.contains(add));
        nodes.extend(more);
        let arrived =
            nodes.len() == target.nodes().len() && nodes.iter().all(|node| target.contains(*node));
        let moved = Placement::new(nodes).unwrap_or_else(|| placement.clone());
        if arrived { target.clone() } else { moved }
    }

    /// The same, a stage further.
    pub(super) fn leaving(self) -> ReplicaMove {
        ReplicaMove { stage: MoveStage::Leaving, ..self }
    }
}
