//! What `_cluster` says of where replicas are and should be, as one version of it.
//!
//! Stands for the partition `_cluster` itself: versions follow one another, and a write counts if
//! what it rests on has not changed. Start reading at [`Catalog::take`].

use crate::database::plan::Plan;
use cortado_cluster::{ChangeState, Placement, PlannedChange, ReplicaMove, plan};
use cortado_model::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// One version of `_cluster`.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The nodes that replicas may be placed on.
    pub members: BTreeSet<NodeId>,
    /// Where each partition's replicas are.
    pub placements: Vec<Placement>,
    /// The replica of each partition that is on its way.
    pub moves: Vec<Option<ReplicaMove>>,
    /// The version in which either was last written, by partition.
    pub declared: Vec<usize>,
    /// What is planned, and where replicas should be by then.
    pub change: Option<(PlannedChange, BTreeMap<usize, Placement>)>,
}

/// What a controller writes down about a partition.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// The version that it rests on.
    pub based_on: usize,
    /// Which partition; any for [`WrittenDown::Over`].
    pub partition: usize,
    /// What.
    pub written: WrittenDown,
}

/// What is written down.
#[derive(Clone, Debug)]
pub enum WrittenDown {
    /// A move begins, or has come to its next stage.
    Moving(ReplicaMove),
    /// The replicas are here, and no move is under way.
    Moved(Placement),
    /// No move is under way.
    GivenUp,
    /// The change is over.
    Over,
}

impl Catalog {
    /// Before anything was planned.
    pub fn first(world: &Plan) -> Catalog {
        // A world has a handful of nodes and partitions.
        let members = (1..=(world.nodes - world.spares) as u32).map(NodeId);
        let nodes: Vec<NodeId> = members.clone().collect();
        let replication = world.replication.unwrap_or(nodes.len()) as u32;
        let placements = plan(&nodes, world.partitions as u32, replication, &BTreeMap::new());
        let moves = vec![None; placements.len()];
        let declared = vec![0; placements.len()];
        Catalog { members: members.collect(), placements, moves, declared, change: None }
    }

    /// The nodes that hold a replica of `partition`, in order of succession.
    pub fn held(&self, partition: usize) -> Placement {
        let placement = &self.placements[partition];
        self.moves[partition]
            .map_or_else(|| placement.clone(), |moving| moving.succession(placement))
    }

    /// The version after `declaration`, which rests on `base`; `None` if that does not hold any
    /// more.
    ///
    /// * `version`: the number that it gets.
    pub fn take(
        &self,
        base: &Catalog,
        declaration: &Declaration,
        version: usize,
    ) -> Option<Catalog> {
        let partition = declaration.partition;
        let same = self.placements[partition] == base.placements[partition]
            && self.moves[partition] == base.moves[partition];
        let (mut next, (change, _)) = (self.clone(), self.change.as_ref()?);
        let of_change = base.change.as_ref().is_some_and(|(other, _)| other == change);
        match &declaration.written {
            WrittenDown::Moving(moving) if same => {
                // A change that was paused or cancelled meanwhile begins nothing.
                let begins = self.moves[partition].is_none();
                if begins && !(of_change && change.state == ChangeState::Running) {
                    return None;
                }
                next.moves[partition] = Some(*moving);
            }
            WrittenDown::Moved(placement) if same => {
                next.placements[partition] = placement.clone();
                next.moves[partition] = None;
            }
            WrittenDown::GivenUp if same => next.moves[partition] = None,
            WrittenDown::Over if of_change && self.moves.iter().all(Option::is_none) => {
                next.change = None;
            }
            WrittenDown::Moving(_)
            | WrittenDown::Moved(_)
            | WrittenDown::GivenUp
            | WrittenDown::Over => {
                return None;
            }
        }
        if !matches!(declaration.written, WrittenDown::Over) {
            next.declared[partition] = version;
        }
        Some(next)
    }
}
