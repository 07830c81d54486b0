//! The steps of one look that are written down, as one transaction of `_cluster`.
//!
//! Each rests on the documents that it was decided by: if one of them has changed, nothing is
//! written. Start reading at [`MoveWrites::add`].

use crate::catalog::{Catalog, Database};
use crate::cluster_log::{DATABASES, DatabaseDocument, key, write};
use crate::conditions::{if_absent, if_still};
use crate::gateway::{operation, put};
use crate::moves::{CHANGES, MOVES, MoveDocument, change_key, move_key};
use cortado_cluster::{MoveStep, Placement, PlannedChange, ReplicaMove};
use cortado_document::{DocumentAction, Operation};
use cortado_model::{DatabaseId, PartitionId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of the 1,000 operations of a transaction, so many are about moves; a step needs two at most, and
/// one more for its database.
const OPERATIONS_MAX: usize = 900;

/// What is written after one look.
pub(super) struct MoveWrites<'a> {
    catalog: &'a Catalog,
    change: Option<&'a PlannedChange>,
    /// In the order in which they are carried out.
    pub(super) operations: Vec<Operation>,
    /// Where the document of each database stands among them.
    databases: BTreeMap<DatabaseId, (usize, DatabaseDocument)>,
    /// Whether they rest on the change going on.
    begins: bool,
    /// What the journal is told once they are written.
    pub(super) told: Vec<(PartitionId, String, Vec<String>)>,
}

impl<'a> MoveWrites<'a> {
    pub(super) fn new(catalog: &'a Catalog, change: Option<&'a PlannedChange>) -> MoveWrites<'a> {
        let (operations, databases, told) = (Vec::new(), BTreeMap::new(), Vec::new());
        MoveWrites { catalog, change, operations, databases, begins: false, told }
    }

    /// Adds a step, unless there is no room: then the next look decides it again.
    pub(super) fn add(&mut self, partition: PartitionId, step: MoveStep, evidence: Vec<String>) {
        let database = self.catalog.database_by_id(partition.database).map(Arc::clone);
        let Some(database) = database.filter(|_| self.operations.len() < OPERATIONS_MAX) else {
            return;
        };
        match step {
            MoveStep::Begin(moving) => {
                self.rest_on_change();
                self.rest_on(&database);
                self.set_move(partition, &moving);
                self.told.push((partition, told_of(&moving), evidence));
            }
            MoveStep::Leave(moving) => {
                self.rest_on(&database);
                self.set_move(partition, &moving);
            }
            MoveStep::Finish(placement) => {
                self.place(&database, partition, Some(&placement));
                self.end_move(partition);
            }
            MoveStep::Abandon => {
                // Its document says then that something newer is declared than the move.
                self.place(&database, partition, None);
                self.end_move(partition);
                let what = "a replica that was on its way is given up".to_owned();
                self.told.push((partition, what, evidence));
            }
            // Nothing to write.
            MoveStep::Done | MoveStep::Wait(_) | MoveStep::ChangeReplicas { .. } => {}
        }
    }

    /// What is begun rests on a change that goes on.
    fn rest_on_change(&mut self) {
        let Some(change) = self.change.filter(|_| !self.begins) else { return };
        let Some((_, etag)) = self.catalog.changes.get(&change.id) else { return };
        self.begins = true;
        let (place, unchanged) = (change_key(change.id), if_still(*etag));
        self.operations.push(operation(CHANGES, place, DocumentAction::Check, unchanged));
    }

    /// Where the replicas of a database are must be as it was.
    fn rest_on(&mut self, database: &Arc<Database>) -> usize {
        let document = || DatabaseDocument::of(database, database.next_table.0);
        let at = self.operations.len();
        let (at, _) = self.databases.entry(database.id).or_insert_with(|| (at, document()));
        let at = *at;
        if at == self.operations.len() {
            let (place, unchanged) = (key(&[&database.name]), if_still(database.written.etag));
            self.operations.push(operation(DATABASES, place, DocumentAction::Check, unchanged));
        }
        at
    }

    /// Writes where the replicas are; without `placement` where they have been.
    fn place(
        &mut self,
        database: &Arc<Database>,
        partition: PartitionId,
        placement: Option<&Placement>,
    ) {
        let at = self.rest_on(database);
        let Some((_, document)) = self.databases.get_mut(&database.id) else { return };
        let placed = document.placements.get_mut(partition.number as usize);
        if let (Some(placed), Some(placement)) = (placed, placement) {
            *placed = placement.nodes().iter().map(|node| node.0).collect();
        }
        self.operations[at].action = DocumentAction::Put { value: write(document) };
    }

    fn set_move(&mut self, partition: PartitionId, moving: &ReplicaMove) {
        let known = self.catalog.moves.get(&partition);
        let condition = known.map_or_else(if_absent, |(_, written)| if_still(written.etag));
        let document = write(&MoveDocument::of(moving));
        self.operations.push(put(MOVES, move_key(partition), document, condition));
    }

    fn end_move(&mut self, partition: PartitionId) {
        if let Some((_, written)) = self.catalog.moves.get(&partition) {
            let (place, unchanged) = (move_key(partition), if_still(written.etag));
            self.operations.push(operation(MOVES, place, DocumentAction::Delete, unchanged));
        }
    }
}

fn told_of(moving: &ReplicaMove) -> String {
    match (moving.add, moving.remove) {
        (Some(add), Some(remove)) => format!("a replica moves from {remove} to {add}"),
        (Some(add), None) => format!("a replica is added on {add}"),
        (None, Some(remove)) => format!("the replica on {remove} is taken away"),
        (None, None) => "nothing moves".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::WrittenAt;
    use cortado_cluster::{ChangeId, ChangeState, MoveLimits, MoveStage, PlannedKind};
    use cortado_model::{
        ClusterUuid, Etag, Generation, NodeId, PartitionUuid, Scn, Sequence, TableId,
    };

    const ID: DatabaseId = DatabaseId(7);
    const CHANGE: PlannedChange = PlannedChange {
        id: ChangeId(5),
        kind: PlannedKind::Expand,
        state: ChangeState::Running,
        limits: MoveLimits { copies_per_node: 1, copies_per_cluster: 1, bytes_per_second: 0 },
        replicas: 1,
        bytes: 1,
    };
    const MOVING: ReplicaMove = ReplicaMove {
        change: ChangeId(5),
        add: Some(NodeId(3)),
        remove: Some(NodeId(1)),
        stage: MoveStage::Copying,
    };

    fn at(sequence: u64) -> WrittenAt {
        WrittenAt { scn: Scn::new(Generation(1), Sequence(sequence)), etag: Etag(sequence) }
    }

    /// A database of two partitions, the second of which moves.
    fn catalog() -> Catalog {
        let database = Arc::new(Database {
            id: ID,
            name: "music".to_owned(),
            uuid: PartitionUuid(1),
            partitions: 2,
            replication: 2,
            log: None,
            owner: None,
            next_table: TableId(1),
            tables: BTreeMap::new(),
            tables_by_id: BTreeMap::new(),
            placements: vec![[1, 2].map(NodeId).to_vec(); 2],
            after: Generation(0),
            written: at(10),
        });
        let mut catalog = Catalog::empty(ClusterUuid(1));
        catalog.databases_by_id.insert(ID, Arc::clone(&database));
        catalog.databases.insert(database.name.clone(), database);
        catalog.changes.insert(CHANGE.id, (CHANGE, Etag(20)));
        catalog.moves.insert(PartitionId { database: ID, number: 1 }, (MOVING, at(30)));
        catalog
    }

    /// Tables, whether something is written, and what each rests on.
    fn told(operations: &[Operation]) -> Vec<(TableId, &'static str, bool)> {
        let word = |operation: &Operation| match operation.action {
            DocumentAction::Put { .. } => "put",
            DocumentAction::Delete => "delete",
            DocumentAction::Check => "check",
            _ => "other",
        };
        let is_bound = |operation: &Operation| operation.condition != Default::default();
        operations.iter().map(|one| (one.table, word(one), is_bound(one))).collect()
    }

    #[test]
    fn what_is_written_rests_on_all_that_it_was_decided_by() {
        let catalog = catalog();
        let mut writes = MoveWrites::new(&catalog, Some(&CHANGE));
        let [first, second] = [0, 1].map(|number| PartitionId { database: ID, number });
        writes.add(first, MoveStep::Begin(MOVING), Vec::new());
        let begun = [(CHANGES, "check", true), (DATABASES, "check", true), (MOVES, "put", true)];
        assert_eq!(told(&writes.operations), begun);
        assert_eq!(writes.operations[2].condition, if_absent());
        // The document of a database is written once, whatever becomes of how many partitions.
        let moved = Placement::new([3, 2].map(NodeId).to_vec()).unwrap();
        writes.add(second, MoveStep::Finish(moved), Vec::new());
        let want = [begun[0], (DATABASES, "put", true), begun[2], (MOVES, "delete", true)];
        assert_eq!(told(&writes.operations), want);
        assert_eq!(writes.operations[3].condition, if_still(Etag(30)));
        let DocumentAction::Put { value } = &writes.operations[1].action else { panic!() };
        let text = String::from_utf8(value.as_bytes().to_vec()).unwrap();
        assert!(text.contains(r#""placements":[[1,2],[3,2]]"#), "{text}");
    }

    #[test]
    fn what_is_given_up_is_declared_later_than_what_it_was() {
        let catalog = catalog();
        let mut writes = MoveWrites::new(&catalog, Some(&CHANGE));
        let partition = PartitionId { database: ID, number: 1 };
        assert_eq!(catalog.declared_at(partition), Some(at(30).scn));
        writes.add(partition, MoveStep::Abandon, Vec::new());
        let want = [(DATABASES, "put", true), (MOVES, "delete", true)];
        assert_eq!(told(&writes.operations), want);
    }
}
