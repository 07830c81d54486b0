//! Where replicas should be after a change.
//!
//! Start reading at [`plan_moves`].

use super::change::PlannedKind;
use crate::placement::{Load, Placed, Placement, PlacementNode, replaced, replan_on};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cortado_model::{NodeId, PartitionId};

/// A partition, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Which.
    pub partition: PartitionId,
    /// Where its replicas are, and how many there should be.
    pub placed: Placed,
}

/// Where a partition's replicas should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveTarget {
    /// Which.
    pub partition: PartitionId,
    /// In order of succession.
    pub placement: Placement,
}

/// Why a change cannot be planned. Nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No node would be left.
    #[error("{node} is the last node: add another one first")]
    LastNode {
        /// Which.
        node: NodeId,
    },
    /// A partition could not have as many replicas as it should.
    #[error(
        "{partition} has {replication} replicas, and {nodes} nodes would be left: add a node \
         first. The replication of a database cannot be lowered: one that may have fewer replicas \
         is exported, dropped, and made anew with them"
    )]
    TooFewNodes {
        /// Which.
        partition: PartitionId,
        /// How many replicas it should have.
        replication: u32,
        /// How many nodes there would be.
        nodes: u32,
    },
    /// The node is no member.
    #[error("{node} is no member of the cluster: start it first")]
    NoSuchNode {
        /// Which.
        node: NodeId,
    },
    /// The partition is not there, or has no replica on that node.
    #[error("{partition} has no replica on {node}")]
    NoSuchReplica {
        /// Which.
        partition: PartitionId,
        /// Where it was looked for.
        node: NodeId,
    },
    /// The partition has a replica there already.
    #[error("{partition} has a replica on {node} already")]
    ReplicaExists {
        /// Which.
        partition: PartitionId,
        /// Where.
        node: NodeId,
    },
}

/// Where every partition's replicas should be after `kind`; those only that change.
///
/// * `current`: all partitions but those of the system.
/// * `nodes`: the members, a node that is to leave among them.
///
/// # Errors
/// See [`PlanError`].
pub fn plan_moves(
    kind: PlannedKind,
    current: &[Located],
    nodes: &[PlacementNode],
) -> Result<Vec<MoveTarget>, PlanError> {
    let is_member = |node: NodeId| match nodes.iter().any(|known| known.node == node) {
        true => Ok(()),
        false => Err(PlanError::NoSuchNode { node }),
    };
    let placements = match kind {
        PlannedKind::Expand => anew(current, nodes)?,
        PlannedKind::AddNode(node) => {
            is_member(node)?;
            anew(current, nodes)?
        }
        PlannedKind::RemoveNode(node) => without(node, current, nodes)?,
        PlannedKind::ReplaceNode { from, to } => {
            is_member(to)?;
            let placements: Vec<_> =
                current.iter().map(|located| located.placed.placement.clone()).collect();
            match replaced(&placements, from, to) {
                Some(placements) => placements,
                None => without(from, current, nodes)?,
            }
        }
        PlannedKind::Manual { partition, from, to } => {
            is_member(to)?;
            return by_hand(current, partition, from, to).map(|target| Vec::from([target]));
        }
    };
    let pairs = current.iter().zip(placements);
    let changed = pairs.filter(|(located, placement)| located.placed.placement != *placement);
    let target = |(located, placement): (&Located, _)| MoveTarget {
        partition: located.partition,
        placement,
    };
    Ok(changed.map(target).collect())
}

fn without(
    node: NodeId,
    current: &[Located],
    nodes: &[PlacementNode],
) -> Result<Vec<Placement>, PlanError> {
    let others = nodes.iter().filter(|other| other.node != node);
    let others: Vec<PlacementNode> = others.cloned().collect();
    if others.is_empty() {
        return Err(PlanError::LastNode { node });
    }
    anew(current, &others)
}

/// All partitions together, so that what does not divide is even over all databases.
fn anew(current: &[Located], nodes: &[PlacementNode]) -> Result<Vec<Placement>, PlanError> {
    // A cluster has far fewer nodes than numbers for them.
    let count = nodes.len() as u32;
    let starved = current.iter().find(|located| located.placed.replication > count);
    if let Some(Located { partition, placed }) = starved {
        let (partition, replication) = (*partition, placed.replication);
        return Err(PlanError::TooFewNodes { partition, replication, nodes: count });
    }
    let placed: Vec<Placed> = current.iter().map(|located| located.placed.clone()).collect();
    let no_load: BTreeMap<NodeId, Load> = BTreeMap::new();
    Ok(replan_on(&placed, nodes, &no_load))
}

fn by_hand(
    current: &[Located],
    partition: PartitionId,
    from: NodeId,
    to: NodeId,
) -> Result<MoveTarget, PlanError> {
    let located = current.iter().find(|located| located.partition == partition);
    let placement = located.map(|located| &located.placed.placement);
    let placement = placement.filter(|placement| placement.contains(from));
    let placement = placement.ok_or(PlanError::NoSuchReplica { partition, node: from })?;
    if placement.contains(to) {
        return Err(PlanError::ReplicaExists { partition, node: to });
    }
    let moved = replaced(core::slice::from_ref(placement), from, to);
    let moved = moved.and_then(|placements| placements.into_iter().next());
    let placement = moved.ok_or(PlanError::ReplicaExists { partition, node: to })?;
    Ok(MoveTarget { partition, placement })
}
