//! What a database should be, and the transaction that makes it so.
//!
//! Start reading at [`creation`].

use super::admin_error::{AdminError, InvalidDeclaration};
use super::declaration::put;
use super::tables::{check_definition, first_version};
use crate::catalog::{Catalog, Database, NodeFacts, WrittenAt};
use crate::cluster_log::{
    COUNTERS, CounterDocument, DATABASES, DatabaseDocument, TABLES, TableDocument,
    database_counter_key, key, table_key, write,
};
use crate::conditions::{if_absent, if_still};
use crate::randomness::random_u128;
use cortado_cluster::{Load, PlacementNode, plan_on};
use cortado_document::{Operation, TableDefinition};
use cortado_model::limits::{OPERATIONS_MAX, PARTITIONS_MAX};
use cortado_model::{Etag, NodeId, PartitionUuid, TableId};
use std::collections::BTreeMap;

/// Partitions of a database that asks for no number.
const PARTITIONS_DEFAULT: u32 = 16;
/// Replicas of a partition where that many nodes are and no number is asked for.
const REPLICATION_DEFAULT: u32 = 3;

/// Partitions of all databases together. Each costs every node that has a replica a task and its
/// memory, and the log a note in each of its segments, whether it is used or not.
const PARTITIONS_OF_ALL_MAX: u32 = 8_192;
/// Tables with which a database is created: all are declared by one transaction, together with the
/// database and the counter of databases.
const TABLES_MAX: usize = OPERATIONS_MAX - 2;

/// What a database should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DatabaseSpec {
    /// 1 to 1,024; 16 by default.
    pub partitions: Option<u32>,
    /// 1 to the number of nodes; 3 by default, or as many as there are nodes.
    pub replication: Option<u32>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Tables to begin with, by name; 998 at most.
    pub tables: BTreeMap<String, TableDefinition>,
}

/// A spec without gaps.
pub(super) struct Complete {
    partitions: u32,
    replication: u32,
    owner: Option<String>,
    tables: BTreeMap<String, TableDefinition>,
}

/// The transaction that creates a database.
///
/// * `counter`: the counter's document, as it was before `catalog` was looked at.
pub(super) fn creation(
    name: &str,
    spec: &Complete,
    catalog: &Catalog,
    counter: Option<Etag>,
) -> Vec<Operation> {
    let id = catalog.next_database;
    let leaving = catalog.leaving();
    let members = catalog.members().filter(|node| !leaving.contains(node));
    let members = members.filter_map(|node| catalog.node(node));
    let nodes: Vec<PlacementNode> = members.map(NodeFacts::placed).collect();
    let placements = plan_on(&nodes, spec.partitions, spec.replication, &load_of(catalog));
    let database = Database {
        id,
        name: name.to_owned(),
        uuid: PartitionUuid(random_u128()),
        partitions: spec.partitions,
        replication: spec.replication,
        log: None,
        owner: spec.owner.clone(),
        next_table: TableId(1),
        tables: BTreeMap::new(),
        tables_by_id: BTreeMap::new(),
        placements: placements.iter().map(|placement| placement.nodes().to_vec()).collect(),
        after: catalog.generation_before(name),
        written: WrittenAt::NOWHERE,
    };
    // At most 998: far below the last table id.
    let next_table = 1 + spec.tables.len() as u32;
    let document = DatabaseDocument::of(&database, next_table);
    let next = CounterDocument::new(id.0 + 1);
    let counted = counter.map_or_else(if_absent, if_still);
    let mut operations = vec![
        put(COUNTERS, database_counter_key(), write(&next), counted),
        put(DATABASES, key(&[name]), write(&document), if_absent()),
    ];
    for ((table, definition), number) in spec.tables.iter().zip(1..) {
        let version = first_version(definition);
        let document = TableDocument::new(TableId(number), table, definition, version);
        let place = table_key(id, TableId(number));
        operations.push(put(TABLES, place, write(&document), if_absent()));
    }
    operations
}

/// Fills in defaults and checks what can be checked without a look at other databases.
pub(super) fn complete(spec: DatabaseSpec, catalog: &Catalog) -> Result<Complete, AdminError> {
    let leaving = catalog.leaving();
    // A cluster has far fewer nodes than numbers for them.
    let nodes = catalog.members().filter(|node| !leaving.contains(node)).count() as u32;
    let partitions = spec.partitions.unwrap_or(PARTITIONS_DEFAULT);
    let replication = spec.replication.unwrap_or(REPLICATION_DEFAULT.min(nodes));
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        return Err(InvalidDeclaration::Partitions { partitions_max: PARTITIONS_MAX }.into());
    }
    if !(1..=nodes).contains(&replication) {
        return Err(InvalidDeclaration::Replication { nodes }.into());
    }
    if spec.tables.len() > TABLES_MAX {
        return Err(InvalidDeclaration::Tables { tables_max: TABLES_MAX }.into());
    }
    for (name, definition) in &spec.tables {
        check_definition(name, definition)?;
    }
    Ok(Complete { partitions, replication, owner: spec.owner, tables: spec.tables })
}

/// Refuses a database where there are too many partitions already.
pub(super) fn check_room(spec: &Complete, catalog: &Catalog) -> Result<(), AdminError> {
    Ok(check_partitions(catalog.placements().count(), spec.partitions)?)
}

fn check_partitions(existing: usize, partitions: u32) -> Result<(), InvalidDeclaration> {
    let existing = u32::try_from(existing).unwrap_or(u32::MAX);
    if existing.saturating_add(partitions) <= PARTITIONS_OF_ALL_MAX {
        return Ok(());
    }
    Err(InvalidDeclaration::PartitionsOfAll { existing, partitions_max: PARTITIONS_OF_ALL_MAX })
}

/// How an existing database differs from what is asked for. Further tables are no difference.
pub(super) fn differences(database: &Database, spec: &Complete) -> Vec<String> {
    let mut reasons = Vec::new();
    if database.partitions != spec.partitions {
        reasons.push(format!("it has {} partitions", database.partitions));
    }
    if database.replication != spec.replication {
        reasons.push(format!("its replication is {}", database.replication));
    }
    if database.owner != spec.owner {
        reasons.push("it has another owner".to_owned());
    }
    for (name, definition) in &spec.tables {
        match database.table(name) {
            Some(table) if table.definition == *definition => {}
            Some(_) => reasons.push(format!("its table {name} is declared otherwise")),
            None => reasons.push(format!("it has no table {name}")),
        }
    }
    reasons
}

/// What every node carries for the databases there are. What the system keeps for itself weighs
/// nothing beside them.
fn load_of(catalog: &Catalog) -> BTreeMap<NodeId, Load> {
    let mut load: BTreeMap<NodeId, Load> = BTreeMap::new();
    let databases = catalog.databases().filter(|database| !database.is_system());
    for nodes in databases.flat_map(|database| &database.placements) {
        for (rank, node) in nodes.iter().enumerate() {
            let load = load.entry(*node).or_default();
            load.replicas += 1;
            load.leaders += u32::from(rank == 0);
        }
    }
    load
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_bounded_in_all() {
        assert!(check_partitions(0, 1_024).is_ok());
        assert!(check_partitions(8_191, 1).is_ok());
        for (existing, partitions) in [(8_192, 1), (8_000, 193), (usize::MAX, 1)] {
            let refused = check_partitions(existing, partitions).expect_err("too many");
            assert!(refused.to_string().contains("drop a database"), "{refused}");
        }
    }
}
