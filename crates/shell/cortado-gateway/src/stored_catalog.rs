//! The catalog that a replica of `_cluster` holds.
//!
//! Decides nothing. Start reading at [`Catalog::newer_in`].

use crate::catalog::{Catalog, Database, Dropped, Table, WrittenAt};
use crate::cluster_log::{
    COUNTERS, CatalogError, CounterDocument, DATABASES, DROPPED, DatabaseDocument, DroppedDocument,
    NODES, NodeDocument, TABLES, TableDocument, database_counter_key, key, read, read_hex,
};
use crate::feature_level::{FEATURE_LEVELS, FeatureLevelDocument, feature_level_key};
use crate::former::{FORMER, FormerDocument, generation_counter_key};
use crate::moves::{
    CHANGES, ChangeDocument, MOVES, MoveDocument, TARGETS, TargetsDocument, change_counter_key,
};
use crate::pins::{DRAINS, DrainDocument, PINS, PinsDocument};
use cortado_cluster::ChangeId;
use cortado_document::{Schema, SchemaText, TableDefinition};
use cortado_model::{
    DatabaseId, DocumentHead, DocumentKey, EntryRange, Generation, LogId, NodeId, PartitionId,
    PartitionUuid, Scn, StoredDocument, TableId,
};
use cortado_replica::FoldState;
use cortado_store::View;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

impl Catalog {
    /// The catalog that a view of `_cluster` shows; `None` if it is no newer than this one.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub fn newer_in(&self, view: &dyn View) -> Result<Option<Catalog>, CatalogError> {
        match read_scn(view)? {
            Some(scn) if scn > self.scn => read_catalog(view, scn, self).map(Some),
            Some(_) | None => Ok(None),
        }
    }
}

/// The catalog that `view` shows at `scn`. Tables that have not changed are taken from `previous`.
fn read_catalog(view: &dyn View, scn: Scn, previous: &Catalog) -> Result<Catalog, CatalogError> {
    let mut catalog = Catalog { scn, ..Catalog::empty(previous.cluster) };
    for (key, document) in scan::<NodeDocument>(view, NODES, &[])? {
        let Some(node) = key.parts().next().and_then(NodeId::parse) else { continue };
        catalog.nodes.insert(node, document.facts(node)?);
    }
    for (key, document) in scan::<DroppedDocument>(view, DROPPED, &[])? {
        let Some(id) = key.parts().next().and_then(|id| id.parse().ok()) else { continue };
        let DroppedDocument { name, uuid, partitions, .. } = document;
        let uuid = PartitionUuid(read_hex(&uuid)?);
        catalog.dropped.insert(DatabaseId(id), Dropped { name, uuid, partitions });
    }
    for found in view.documents(&EntryRange::documents(DATABASES, &[])) {
        let (key, stored) = found?;
        let Some(name) = key.parts().next() else { continue };
        let database = read_database(view, name, &stored, previous)?;
        let database = Arc::new(database);
        catalog.databases_by_id.insert(database.id, Arc::clone(&database));
        catalog.databases.insert(name.to_owned(), database);
    }
    for (key, document) in scan::<PinsDocument>(view, PINS, &[])? {
        let Some(id) = key.parts().next().and_then(|id| id.parse().ok()) else { continue };
        catalog.pins.insert(DatabaseId(id), document.pins());
    }
    let drains = scan::<DrainDocument>(view, DRAINS, &[])?.into_iter();
    catalog.drained = drains.filter_map(|(key, _)| NodeId::parse(key.parts().next()?)).collect();
    read_moves(view, &mut catalog)?;
    for (key, document) in scan::<FormerDocument>(view, FORMER, &[])? {
        let Some(name) = key.parts().next() else { continue };
        catalog.former.insert(name.to_owned(), Generation(document.generation));
    }
    if let Some(stored) = view.get(FEATURE_LEVELS, &feature_level_key())? {
        let FeatureLevelDocument { level, .. } = read(&stored.json())?;
        if !(1..=u32::from(u16::MAX)).contains(&level) {
            return Err(CatalogError::Damaged { why: format!("feature level {level}") });
        }
        catalog.feature_level = level;
    }
    let next = |counter: DocumentKey| -> Result<Option<u32>, CatalogError> {
        let counter = view.get(COUNTERS, &counter)?;
        counter.map(|counter| Ok(read::<CounterDocument>(&counter.json())?.next)).transpose()
    };
    if let Some(next) = next(database_counter_key())? {
        catalog.next_database = DatabaseId(next);
    }
    if let Some(next) = next(change_counter_key())? {
        catalog.next_change = ChangeId(u64::from(next));
    }
    if let Some(next) = next(generation_counter_key())? {
        catalog.former_floor = Generation(next.saturating_sub(1));
    }
    Ok(catalog)
}

/// What is planned to be elsewhere, and what is on its way there.
fn read_moves(view: &dyn View, catalog: &mut Catalog) -> Result<(), CatalogError> {
    fn number<T: FromStr>(key: &DocumentKey, part: usize) -> Option<T> {
        key.parts().nth(part)?.parse().ok()
    }
    for found in view.documents(&EntryRange::documents(CHANGES, &[])) {
        let (key, stored) = found?;
        let Some(id) = number(&key, 0).map(ChangeId) else { continue };
        let document: ChangeDocument = read(&stored.json())?;
        catalog.changes.insert(id, (document.change(id), stored.head.etag));
    }
    for (key, document) in scan::<TargetsDocument>(view, TARGETS, &[])? {
        let (change, database) = (number(&key, 0).map(ChangeId), number(&key, 1).map(DatabaseId));
        let (Some(change), Some(database)) = (change, database) else { continue };
        // What was being planned when its node died is no change's.
        if !catalog.changes.contains_key(&change) {
            continue;
        }
        for (number, nodes) in document.targets {
            let nodes = nodes.into_iter().map(NodeId).collect();
            catalog.targets.insert(PartitionId { database, number }, (change, nodes));
        }
    }
    for found in view.documents(&EntryRange::documents(MOVES, &[])) {
        let (key, stored) = found?;
        let (database, number) = (number(&key, 0).map(DatabaseId), number(&key, 1));
        let (Some(database), Some(number)) = (database, number) else { continue };
        let document: MoveDocument = read(&stored.json())?;
        let moving = (document.moving()?, written(&stored.head));
        catalog.moves.insert(PartitionId { database, number }, moving);
    }
    Ok(())
}

fn written(head: &DocumentHead) -> WrittenAt {
    WrittenAt { scn: head.scn, etag: head.etag }
}

/// How far `_cluster` has been applied; `None` if nothing of it was.
fn read_scn(view: &dyn View) -> Result<Option<Scn>, CatalogError> {
    let Some(checkpoint) = view.checkpoint()? else { return Ok(None) };
    let fold = FoldState::decode(&checkpoint);
    Ok(Some(fold.map_err(|error| CatalogError::Damaged { why: error.to_string() })?.last))
}

fn read_database(
    view: &dyn View,
    name: &str,
    stored: &StoredDocument,
    previous: &Catalog,
) -> Result<Database, CatalogError> {
    let document: DatabaseDocument = read(&stored.json())?;
    let id = DatabaseId(document.id);
    let uuid = read_hex(&document.uuid)?;
    let log = document.log.as_deref().map(read_hex).transpose()?.map(LogId);
    let known = previous.databases.get(name).filter(|database| database.id == id);
    let placements = document.placements.into_iter();
    let mut database = Database {
        id,
        name: name.to_owned(),
        uuid: PartitionUuid(uuid),
        partitions: document.partitions,
        log,
        replication: document.replication,
        owner: document.owner,
        next_table: TableId(document.next_table),
        tables: BTreeMap::new(),
        tables_by_id: BTreeMap::new(),
        placements: placements.map(|nodes| nodes.into_iter().map(NodeId).collect()).collect(),
        after: Generation(document.after),
        written: written(&stored.head),
    };
    let tables = key(&[id.0.to_string()]);
    for (_, document) in scan::<TableDocument>(view, TABLES, tables.as_bytes())? {
        let known = known.and_then(|database| database.table_by_id(TableId(document.id)));
        let table = read_table(document, known)?;
        if !table.dropped {
            database.tables.insert(table.name.clone(), Arc::clone(&table));
        }
        database.tables_by_id.insert(table.id, table);
    }
    Ok(database)
}

fn read_table(
    document: TableDocument,
    known: Option<&Arc<Table>>,
) -> Result<Arc<Table>, CatalogError> {
    let damaged = |why: String| CatalogError::Damaged { why };
    let TableDocument { id, name, key, schema, schema_version, dropped, emptied, .. } = document;
    let schema = schema.map(|schema| SchemaText::parse(schema.get().as_bytes())).transpose();
    let schema = schema.map_err(|error| damaged(format!("table {name}: {error}")))?;
    let definition = TableDefinition::new(key, schema)
        .map_err(|error| damaged(format!("table {name}: {error}")))?;
    let same = |table: &&Arc<Table>| {
        table.schema_version == schema_version
            && table.definition == definition
            && (table.dropped, table.emptied) == (dropped, emptied)
    };
    if let Some(table) = known.filter(same) {
        return Ok(Arc::clone(table));
    }
    // It was accepted when it was declared; what this build refuses stops no other table.
    let schema = definition.schema();
    let schema = schema.map(|text| Schema::compile(text).unwrap_or_else(Schema::closed));
    let id = TableId(id);
    Ok(Arc::new(Table { id, name, definition, schema, schema_version, dropped, emptied }))
}

/// All documents of a table below a key prefix.
fn scan<T: DeserializeOwned>(
    view: &dyn View,
    table: TableId,
    prefix: &[u8],
) -> Result<Vec<(DocumentKey, T)>, CatalogError> {
    let documents = view.documents(&EntryRange::documents(table, prefix)).map(|found| {
        let (key, document) = found?;
        Ok((key, read(&document.json())?))
    });
    documents.collect()
}

#[cfg(test)]
mod tests;
