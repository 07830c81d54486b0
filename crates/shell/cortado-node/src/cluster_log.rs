//! The documents of `_cluster`: the cluster's facts as they are stored.
//!
//! Every member is described in docs/formats/cluster.md. Decides nothing. Start reading at
//! [`read_catalog`].

use crate::catalog::{Catalog, Database, Dropped, NodeFacts, Table};
use cortado_cluster::NodeLife;
use cortado_document::{Document, Schema, TableDefinition};
use cortado_model::{
    DatabaseId, DirectoryUuid, DocumentKey, EntryRange, LogId, NodeId, NodeIncarnation,
    PartitionUuid, Scn, TableId,
};
use cortado_replica::FoldState;
use cortado_store::{StoreError, View};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes, by their id.
pub(crate) const NODES: TableId = TableId(1);
/// Databases, by name.
pub(crate) const DATABASES: TableId = TableId(2);
/// Tables, by their database's id and their own.
pub(crate) const TABLES: TableId = TableId(3);
/// Dropped databases whose logs may still exist, by id.
pub(crate) const DROPPED: TableId = TableId(5);
/// Ids given out so far.
pub(crate) const COUNTERS: TableId = TableId(6);

/// Of every document here. A newer one is refused by older software rather than misread.
const VERSION: u32 = 2;

/// One life of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeDocument {
    pub(crate) version: u32,
    pub(crate) incarnation: u64,
    /// 32 hexadecimal digits.
    pub(crate) directory: String,
    /// 32 hexadecimal digits.
    pub(crate) nonce: String,
    /// Another directory may take the name over.
    pub(crate) replaced: bool,
    pub(crate) removed: bool,
    pub(crate) address: String,
}

/// A database without its tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatabaseDocument {
    pub(crate) version: u32,
    pub(crate) id: u32,
    /// 32 hexadecimal digits.
    pub(crate) uuid: String,
    pub(crate) partitions: u32,
    /// 32 hexadecimal digits; null while the log is being made.
    pub(crate) log: Option<String>,
    pub(crate) replication: u32,
    pub(crate) owner: Option<String>,
    pub(crate) next_table: u32,
    /// For each partition its nodes in order of rank.
    pub(crate) placements: Vec<Vec<u32>>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableDocument {
    pub(crate) version: u32,
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) key: Vec<String>,
    pub(crate) schema: Option<Value>,
    pub(crate) schema_version: u32,
    pub(crate) dropped: bool,
    /// All of its documents are removed.
    pub(crate) emptied: bool,
}

/// A dropped database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DroppedDocument {
    pub(crate) version: u32,
    pub(crate) name: String,
    /// 32 hexadecimal digits.
    pub(crate) uuid: String,
    pub(crate) partitions: u32,
}

/// The id that the next database gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CounterDocument {
    pub(crate) version: u32,
    pub(crate) next: u32,
}

impl NodeDocument {
    pub(crate) fn new(me: &NodeLife, address: &str) -> NodeDocument {
        NodeDocument {
            version: VERSION,
            incarnation: me.incarnation.0,
            directory: me.directory.to_string(),
            nonce: format!("{:032x}", me.nonce),
            replaced: false,
            removed: false,
            address: address.to_owned(),
        }
    }

    /// What it says of `node`.
    ///
    /// # Errors
    /// An identity that is none.
    pub(crate) fn facts(self, node: NodeId) -> Result<NodeFacts, StoreError> {
        let NodeDocument { incarnation, directory, nonce, replaced, removed, address, .. } = self;
        Ok(NodeFacts {
            node,
            incarnation: NodeIncarnation(incarnation),
            directory: DirectoryUuid(read_hex(&directory)?),
            nonce: read_hex(&nonce)?,
            replaced,
            removed,
            address,
        })
    }
}

impl DatabaseDocument {
    pub(crate) fn of(database: &Database, next_table: u32) -> DatabaseDocument {
        let placements = database.placements.iter();
        DatabaseDocument {
            version: VERSION,
            id: database.id.0,
            uuid: database.uuid.to_string(),
            partitions: database.partitions,
            log: database.log.map(|log| log.to_string()),
            replication: database.replication,
            owner: database.owner.clone(),
            next_table,
            placements: placements.map(|nodes| nodes.iter().map(|n| n.0).collect()).collect(),
        }
    }
}

impl TableDocument {
    pub(crate) fn new(
        id: TableId,
        name: &str,
        definition: &TableDefinition,
        schema_version: u32,
    ) -> TableDocument {
        TableDocument {
            version: VERSION,
            id: id.0,
            name: name.to_owned(),
            key: definition.key().to_vec(),
            schema: definition.schema().cloned(),
            schema_version,
            dropped: false,
            emptied: false,
        }
    }
}

impl DroppedDocument {
    pub(crate) fn of(database: &Database) -> DroppedDocument {
        DroppedDocument {
            version: VERSION,
            name: database.name.clone(),
            uuid: database.uuid.to_string(),
            partitions: database.partitions,
        }
    }
}

impl CounterDocument {
    pub(crate) fn new(next: u32) -> CounterDocument {
        CounterDocument { version: VERSION, next }
    }
}

/// The key of a document here. Its parts are names and numbers of this crate's making.
pub(crate) fn key<T: AsRef<str>>(parts: &[T]) -> DocumentKey {
    DocumentKey::from_parts(parts).expect("names and numbers are short and without control bytes")
}

pub(crate) fn node_key(node: NodeId) -> DocumentKey {
    key(&[node.to_string()])
}

pub(crate) fn table_key(database: DatabaseId, table: TableId) -> DocumentKey {
    key(&[database.0.to_string(), table.0.to_string()])
}

pub(crate) fn dropped_key(database: DatabaseId) -> DocumentKey {
    key(&[database.0.to_string()])
}

/// The key of the one counter there is.
pub(crate) fn database_counter_key() -> DocumentKey {
    key(&["database"])
}

/// The stored form.
pub(crate) fn write<T: Serialize>(document: &T) -> Document {
    let bytes = serde_json::to_vec(document).expect("these types have string keys only");
    Document::from_stored(bytes.into())
}

/// Reads the stored form.
///
/// # Errors
/// Not what [`write`] wrote, or of a newer version.
pub(crate) fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let damaged = |why: String| StoreError::Damaged { why };
    let versioned: Versioned = serde_json::from_slice(value)
        .map_err(|error| damaged(format!("a document of _cluster: {error}")))?;
    if versioned.version != VERSION {
        let version = versioned.version;
        return Err(damaged(format!("a document of _cluster has version {version}")));
    }
    serde_json::from_slice(value)
        .map_err(|error| damaged(format!("a document of _cluster: {error}")))
}

/// The catalog that `view` shows. Tables that have not changed are taken from `previous`.
///
/// # Errors
/// The view's own, and [`StoreError::Damaged`] for documents that cannot be understood.
pub(crate) fn read_catalog(view: &dyn View, previous: &Catalog) -> Result<Catalog, StoreError> {
    let mut catalog = Catalog::empty(previous.cluster);
    let Some(scn) = read_scn(view)? else { return Ok(catalog) };
    catalog.scn = scn;
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
    for (key, document) in scan::<DatabaseDocument>(view, DATABASES, &[])? {
        let Some(name) = key.parts().next() else { continue };
        let database = read_database(view, name, document, previous)?;
        let database = Arc::new(database);
        catalog.databases_by_id.insert(database.id, Arc::clone(&database));
        catalog.databases.insert(name.to_owned(), database);
    }
    let counter = view.get(COUNTERS, &database_counter_key())?;
    if let Some(counter) = counter {
        catalog.next_database = DatabaseId(read::<CounterDocument>(&counter.json())?.next);
    }
    Ok(catalog)
}

/// How far `_cluster` has been applied; `None` if nothing of it was.
pub(crate) fn read_scn(view: &dyn View) -> Result<Option<Scn>, StoreError> {
    let Some(checkpoint) = view.checkpoint()? else { return Ok(None) };
    let fold = FoldState::decode(&checkpoint);
    Ok(Some(fold.map_err(|error| StoreError::Damaged { why: error.to_string() })?.last))
}

fn read_database(
    view: &dyn View,
    name: &str,
    document: DatabaseDocument,
    previous: &Catalog,
) -> Result<Database, StoreError> {
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

/// An identity as documents of `_cluster` spell it.
fn read_hex(digits: &str) -> Result<u128, StoreError> {
    let damaged = |_| StoreError::Damaged { why: format!("not an identity: {digits}") };
    u128::from_str_radix(digits, 16).map_err(damaged)
}

fn read_table(
    document: TableDocument,
    known: Option<&Arc<Table>>,
) -> Result<Arc<Table>, StoreError> {
    let damaged = |why: String| StoreError::Damaged { why };
    let TableDocument { id, name, key, schema, schema_version, dropped, emptied, .. } = document;
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
    let schema = definition.schema().map(Schema::compile).transpose();
    let schema = schema.map_err(|error| damaged(format!("table {name}: {error}")))?;
    let id = TableId(id);
    Ok(Arc::new(Table { id, name, definition, schema, schema_version, dropped, emptied }))
}

/// All documents of a table below a key prefix.
fn scan<T: DeserializeOwned>(
    view: &dyn View,
    table: TableId,
    prefix: &[u8],
) -> Result<Vec<(DocumentKey, T)>, StoreError> {
    let documents = view.documents(&EntryRange::documents(table, prefix)).map(|found| {
        let (key, document) = found?;
        Ok((key, read(&document.json())?))
    });
    documents.collect()
}

#[cfg(test)]
mod tests;
