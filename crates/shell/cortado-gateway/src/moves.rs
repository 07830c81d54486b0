//! Planned changes of where replicas live, and the moves under way, as `_cluster` keeps them.
//!
//! Every member is described in docs/formats/cluster.md. Decides nothing: `cortado-cluster` does.
//! Start reading at [`ChangeDocument`].

use crate::cluster_log::{CatalogError, VERSION, key};
use cortado_cluster::{
    ChangeId, ChangeState, MoveLimits, MoveStage, MoveTarget, Placement, PlannedChange,
    PlannedKind, ReplicaMove,
};
use cortado_model::{DatabaseId, DocumentKey, NodeId, PartitionId, TableId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Planned changes that are not over, by their id.
pub(crate) const CHANGES: TableId = TableId(10);
/// Where replicas should be after a change, by its id and their database's.
pub(crate) const TARGETS: TableId = TableId(11);
/// Replicas on their way, by their database's id and their partition's number.
pub(crate) const MOVES: TableId = TableId(12);

/// A planned change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeDocument {
    pub(crate) version: u32,
    pub(crate) kind: StoredKind,
    pub(crate) state: StoredState,
    pub(crate) copies_per_node: u32,
    pub(crate) copies_per_cluster: u32,
    pub(crate) bytes_per_second: u64,
    /// Replicas to copy when it was planned.
    pub(crate) replicas: u32,
    /// What they held then.
    pub(crate) bytes: u64,
}

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum StoredKind {
    AddNode { node: u32 },
    RemoveNode { node: u32 },
    ReplaceNode { from: u32, to: u32 },
    Expand,
    Manual { database: u32, partition: u32, from: u32, to: u32 },
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredState {
    Running,
    Paused,
    Cancelled,
}

/// Where the replicas of one database should be after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetsDocument {
    pub(crate) version: u32,
    /// For each partition that changes its nodes in order of rank.
    pub(crate) targets: BTreeMap<u32, Vec<u32>>,
}

/// A replica on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveDocument {
    pub(crate) version: u32,
    /// For which change.
    pub(crate) change: u64,
    pub(crate) add: Option<u32>,
    pub(crate) remove: Option<u32>,
    pub(crate) stage: StoredStage,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredStage {
    Copying,
    Leaving,
}

impl ChangeDocument {
    pub(crate) fn of(change: &PlannedChange) -> ChangeDocument {
        let PlannedChange { kind, state, limits, replicas, bytes, .. } = *change;
        let MoveLimits { copies_per_node, copies_per_cluster, bytes_per_second } = limits;
        ChangeDocument {
            version: VERSION,
            kind: match kind {
                PlannedKind::AddNode(node) => StoredKind::AddNode { node: node.0 },
                PlannedKind::RemoveNode(node) => StoredKind::RemoveNode { node: node.0 },
                PlannedKind::ReplaceNode { from, to } => {
                    StoredKind::ReplaceNode { from: from.0, to: to.0 }
                }
                PlannedKind::Expand => StoredKind::Expand,
                PlannedKind::Manual { partition, from, to } => StoredKind::Manual {
                    database: partition.database.0,
                    partition: partition.number,
                    from: from.0,
                    to: to.0,
                },
            },
            state: match state {
                ChangeState::Running => StoredState::Running,
                ChangeState::Paused => StoredState::Paused,
                ChangeState::Cancelled => StoredState::Cancelled,
            },
            copies_per_node,
            copies_per_cluster,
            bytes_per_second,
            replicas,
            bytes,
        }
    }

    /// What it says of the change `id`.
    pub(crate) fn change(&self, id: ChangeId) -> PlannedChange {
        let ChangeDocument { copies_per_node, copies_per_cluster, bytes_per_second, .. } = *self;
        PlannedChange {
            id,
            kind: match self.kind {
                StoredKind::AddNode { node } => PlannedKind::AddNode(NodeId(node)),
                StoredKind::RemoveNode { node } => PlannedKind::RemoveNode(NodeId(node)),
                StoredKind::ReplaceNode { from, to } => {
                    PlannedKind::ReplaceNode { from: NodeId(from), to: NodeId(to) }
                }
                StoredKind::Expand => PlannedKind::Expand,
                StoredKind::Manual { database, partition, from, to } => {
                    let partition =
                        PartitionId { database: DatabaseId(database), number: partition };
                    PlannedKind::Manual { partition, from: NodeId(from), to: NodeId(to) }
                }
            },
            state: match self.state {
                StoredState::Running => ChangeState::Running,
                StoredState::Paused => ChangeState::Paused,
                StoredState::Cancelled => ChangeState::Cancelled,
            },
            limits: MoveLimits { copies_per_node, copies_per_cluster, bytes_per_second },
            replicas: self.replicas,
            bytes: self.bytes,
        }
    }
}

impl MoveDocument {
    pub(crate) fn of(moving: &ReplicaMove) -> MoveDocument {
        MoveDocument {
            version: VERSION,
            change: moving.change.0,
            add: moving.add.map(|node| node.0),
            remove: moving.remove.map(|node| node.0),
            stage: match moving.stage {
                MoveStage::Copying => StoredStage::Copying,
                MoveStage::Leaving => StoredStage::Leaving,
            },
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// It names no node at all.
    pub(crate) fn moving(&self) -> Result<ReplicaMove, CatalogError> {
        let (add, remove) = (self.add.map(NodeId), self.remove.map(NodeId));
        if add.is_none() && remove.is_none() {
            let why = "a move names neither where it adds nor where it removes".to_owned();
            return Err(CatalogError::Damaged { why });
        }
        let stage = match self.stage {
            StoredStage::Copying => MoveStage::Copying,
            StoredStage::Leaving => MoveStage::Leaving,
        };
        Ok(ReplicaMove { change: ChangeId(self.change), add, remove, stage })
    }
}

impl TargetsDocument {
    pub(crate) fn of(targets: &[MoveTarget]) -> TargetsDocument {
        let nodes = |placement: &Placement| placement.nodes().iter().map(|node| node.0).collect();
        let targets = targets.iter();
        let targets = targets.map(|target| (target.partition.number, nodes(&target.placement)));
        TargetsDocument { version: VERSION, targets: targets.collect() }
    }
}

/// The key of a planned change.
pub(crate) fn change_key(change: ChangeId) -> DocumentKey {
    key(&[change.0.to_string()])
}

/// The key of the counter of changes.
pub(crate) fn change_counter_key() -> DocumentKey {
    key(&["change"])
}

/// The key of what is on its way of a partition.
pub(crate) fn move_key(partition: PartitionId) -> DocumentKey {
    key(&[partition.database.0.to_string(), partition.number.to_string()])
}

/// The key of a change's targets in one database.
pub(crate) fn targets_key(change: ChangeId, database: DatabaseId) -> DocumentKey {
    key(&[change.0.to_string(), database.0.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_log::{read, write};

    fn change(kind: PlannedKind, state: ChangeState) -> PlannedChange {
        let limits =
            MoveLimits { copies_per_node: 3, copies_per_cluster: 10, bytes_per_second: 1_000 };
        PlannedChange { id: ChangeId(5), kind, state, limits, replicas: 12, bytes: 99 }
    }

    #[test]
    fn stored_forms_never_change() {
        let replace = PlannedKind::ReplaceNode { from: NodeId(4), to: NodeId(7) };
        let stored = write(&ChangeDocument::of(&change(replace, ChangeState::Paused)));
        let want = [
            r#"{"version":2,"kind":{"replace_node":{"from":4,"to":7}},"state":"paused","#,
            r#""copies_per_node":3,"copies_per_cluster":10,"bytes_per_second":1000,"#,
            r#""replicas":12,"bytes":99}"#,
        ];
        assert_eq!(std::str::from_utf8(stored.as_bytes()).unwrap(), want.concat());
        let targets = BTreeMap::from([(3, vec![1, 2, 7])]);
        let stored = write(&TargetsDocument { version: VERSION, targets });
        assert_eq!(stored.as_bytes(), &br#"{"version":2,"targets":{"3":[1,2,7]}}"#[..]);
        let (add, remove) = (Some(NodeId(7)), None);
        let moving = ReplicaMove { change: ChangeId(5), add, remove, stage: MoveStage::Copying };
        let stored = write(&MoveDocument::of(&moving));
        let want = br#"{"version":2,"change":5,"add":7,"remove":null,"stage":"copying"}"#;
        assert_eq!(stored.as_bytes(), &want[..]);
    }

    #[test]
    fn every_change_and_move_reads_back() {
        let (from, to) = (NodeId(1), NodeId(2));
        let partition = PartitionId { database: DatabaseId(7), number: 3 };
        let kinds = [
            PlannedKind::AddNode(from),
            PlannedKind::RemoveNode(from),
            PlannedKind::ReplaceNode { from, to },
            PlannedKind::Expand,
            PlannedKind::Manual { partition, from, to },
        ];
        let states = [ChangeState::Running, ChangeState::Paused, ChangeState::Cancelled];
        for (kind, state) in kinds.into_iter().flat_map(|kind| states.map(|state| (kind, state))) {
            let change = change(kind, state);
            let stored = write(&ChangeDocument::of(&change));
            let document: ChangeDocument = read(stored.as_bytes()).unwrap();
            assert_eq!(document.change(ChangeId(5)), change);
        }
        let sides = [(Some(to), Some(from)), (Some(to), None), (None, Some(from))];
        for (add, remove) in sides {
            for stage in [MoveStage::Copying, MoveStage::Leaving] {
                let moving = ReplicaMove { change: ChangeId(5), add, remove, stage };
                let stored = write(&MoveDocument::of(&moving));
                let document: MoveDocument = read(stored.as_bytes()).unwrap();
                assert_eq!(document.moving().unwrap(), moving);
            }
        }
        let nowhere = br#"{"version":2,"change":5,"add":null,"remove":null,"stage":"copying"}"#;
        let document: MoveDocument = read(nowhere).unwrap();
        assert!(document.moving().is_err());
    }
}
