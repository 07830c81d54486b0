//! The documents of `_cluster`: the cluster's facts as they are stored.
//!
//! Every member is described in docs/formats/cluster.md. Decides nothing. Start reading at
//! [`NodeDocument`].

use crate::catalog::{Database, NodeDescription, NodeFacts};
use cortado_cluster::{Capacity, Zone};
use cortado_document::{Document, SchemaText, TableDefinition};
use cortado_model::{DatabaseId, DirectoryUuid, DocumentKey, NodeId, NodeIncarnation, TableId};
use cortado_store::StoreError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Nodes, by their id.
pub(crate) const NODES: TableId = TableId(1);
/// Databases, by name.
pub(crate) const DATABASES: TableId = TableId(2);
/// Tables, by their database's id and their own.
pub(crate) const TABLES: TableId = TableId(3);
/// Dropped databases whose logs may still exist, by id.
pub(crate) const DROPPED: TableId = TableId(5);
/// Ids given out so far, and generations.
pub(crate) const COUNTERS: TableId = TableId(6);

/// Of every document here, but for those that need a higher one.
pub(crate) const VERSION: u32 = 2;
/// The highest that this build reads, incremented when a member is added: older software refuses a
/// newer version rather than misread it.
pub(crate) const VERSION_MAX: u32 = 4;
/// Of databases with a former life.
pub(crate) const VERSION_WITH_FORMER: u32 = 3;
/// Of nodes that describe themselves, and of names.
pub(crate) const VERSION_WITH_NAMES: u32 = 4;

/// Why a document of `_cluster` says nothing.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A newer build has written it. This one can only misread it.
    #[error(
        "_cluster has documents of version {version}, this build reads {VERSION_MAX}: \
         upgrade this node"
    )]
    Newer {
        /// The version that the document has.
        version: u32,
    },
    /// Not what any build has written.
    #[error("a document of _cluster is damaged: {why}")]
    Damaged {
        /// The reason, for messages.
        why: String,
    },
    /// It was not read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One life of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Since version 4, as all that follows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) peer_address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<u32>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) build: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) feature_level: u32,
}

/// A database without its tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// The generation before its first; 0 if its name is new. Since version 3.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) after: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableDocument {
    pub(crate) version: u32,
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) key: Vec<String>,
    pub(crate) schema: Option<Box<RawValue>>,
    pub(crate) schema_version: u32,
    pub(crate) dropped: bool,
    /// All of its documents are removed.
    pub(crate) emptied: bool,
}

/// A dropped database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DroppedDocument {
    pub(crate) version: u32,
    pub(crate) name: String,
    /// 32 hexadecimal digits.
    pub(crate) uuid: String,
    pub(crate) partitions: u32,
}

/// The id that the next database gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CounterDocument {
    pub(crate) version: u32,
    pub(crate) next: u32,
}

impl NodeDocument {
    pub(crate) fn of(facts: &NodeFacts) -> NodeDocument {
        let description = facts.description.clone();
        let is_described = description != NodeDescription::default();
        let NodeDescription { name, peer_address, zone, capacity, build, feature_level } =
            description;
        NodeDocument {
            version: if is_described { VERSION_WITH_NAMES } else { VERSION },
            incarnation: facts.incarnation.0,
            directory: facts.directory.to_string(),
            nonce: format!("{:032x}", facts.nonce),
            replaced: facts.replaced,
            removed: facts.removed,
            address: facts.address.clone(),
            name,
            peer_address,
            zone: zone.as_ref().map(ToString::to_string),
            capacity: Some(capacity)
                .filter(|capacity| *capacity != Capacity::DEFAULT)
                .map(Capacity::get),
            build,
            feature_level,
        }
    }

    /// What it says of `node`.
    ///
    /// # Errors
    /// An identity, a zone or a capacity is malformed.
    pub(crate) fn facts(self, node: NodeId) -> Result<NodeFacts, CatalogError> {
        let NodeDocument { incarnation, directory, nonce, replaced, removed, address, .. } = self;
        let NodeDocument { name, peer_address, zone, capacity, build, feature_level, .. } = self;
        let damaged = |what: &str| CatalogError::Damaged { why: format!("{node}: not a {what}") };
        let zone = zone.map(|zone| Zone::new(&zone).ok_or_else(|| damaged("zone"))).transpose()?;
        let capacity = capacity.unwrap_or(Capacity::DEFAULT.get());
        let capacity = Capacity::new(capacity).ok_or_else(|| damaged("capacity"))?;
        Ok(NodeFacts {
            node,
            incarnation: NodeIncarnation(incarnation),
            directory: DirectoryUuid(read_hex(&directory)?),
            nonce: read_hex(&nonce)?,
            replaced,
            removed,
            address,
            description: NodeDescription {
                name,
                peer_address,
                zone,
                capacity,
                build,
                feature_level,
            },
        })
    }
}

impl DatabaseDocument {
    pub(crate) fn of(database: &Database, next_table: u32) -> DatabaseDocument {
        let placements = database.placements.iter();
        let after = database.after.0;
        DatabaseDocument {
            version: if after == 0 { VERSION } else { VERSION_WITH_FORMER },
            id: database.id.0,
            uuid: database.uuid.to_string(),
            partitions: database.partitions,
            log: database.log.map(|log| log.to_string()),
            replication: database.replication,
            owner: database.owner.clone(),
            next_table,
            placements: placements.map(|nodes| nodes.iter().map(|n| n.0).collect()).collect(),
            after,
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
            schema: definition.schema().map(raw),
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

fn raw(schema: &SchemaText) -> Box<RawValue> {
    RawValue::from_string(schema.as_str().to_owned()).expect("it has been checked to be JSON")
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
/// Of a newer version; or not what [`write`] wrote: members that are not known are no members of
/// this version, and would be lost when the document is written again.
pub(crate) fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, CatalogError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let damaged = |error: serde_json::Error| CatalogError::Damaged { why: error.to_string() };
    match serde_json::from_slice(value).map_err(damaged)? {
        Versioned { version: VERSION..=VERSION_MAX } => {
            serde_json::from_slice(value).map_err(damaged)
        }
        Versioned { version } if version > VERSION_MAX => Err(CatalogError::Newer { version }),
        Versioned { version } => Err(CatalogError::Damaged { why: format!("version {version}") }),
    }
}

/// An identity as documents of `_cluster` spell it.
pub(crate) fn read_hex(digits: &str) -> Result<u128, CatalogError> {
    let damaged = |_| CatalogError::Damaged { why: format!("not an identity: {digits}") };
    u128::from_str_radix(digits, 16).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_forms_never_change() {
        // Older and newer releases read one another's documents: these texts are the format.
        let facts = NodeFacts {
            node: NodeId(1),
            incarnation: NodeIncarnation(9),
            directory: DirectoryUuid(0xaa),
            nonce: 0xbb,
            replaced: false,
            removed: false,
            address: "here:1".to_owned(),
            description: NodeDescription::default(),
        };
        let want = [
            r#"{"version":2,"incarnation":9,"directory":"000000000000000000000000000000aa","#,
            r#""nonce":"000000000000000000000000000000bb","replaced":false,"removed":false,"#,
            r#""address":"here:1"}"#,
        ];
        let node = write(&NodeDocument::of(&facts));
        assert_eq!(std::str::from_utf8(node.as_bytes()).unwrap(), want.concat());
        let description = NodeDescription {
            name: "tokyo-1".to_owned(),
            peer_address: "here:2".to_owned(),
            zone: Zone::new("a"),
            capacity: Capacity::new(2).unwrap(),
            build: "0.1.0".to_owned(),
            feature_level: 1,
        };
        let described = NodeFacts { description, ..facts };
        let node = write(&NodeDocument::of(&described));
        let want = [
            r#"{"version":4,"incarnation":9,"directory":"000000000000000000000000000000aa","#,
            r#""nonce":"000000000000000000000000000000bb","replaced":false,"removed":false,"#,
            r#""address":"here:1","name":"tokyo-1","peer_address":"here:2","zone":"a","#,
            r#""capacity":2,"build":"0.1.0","feature_level":1}"#,
        ];
        assert_eq!(std::str::from_utf8(node.as_bytes()).unwrap(), want.concat());
        let found = read::<NodeDocument>(node.as_bytes()).unwrap().facts(NodeId(1)).unwrap();
        assert_eq!(found, described);
        // Every digit is kept.
        let schema = SchemaText::parse(br#"{"maximum": 35.686975000000003}"#).unwrap();
        let key = vec!["artist".to_owned(), "album".to_owned()];
        let definition = TableDefinition::new(key, Some(schema)).unwrap();
        let table = write(&TableDocument::new(TableId(2), "t", &definition, 1));
        let want = [
            r#"{"version":2,"id":2,"name":"t","key":["artist","album"],"#,
            r#""schema":{"maximum":35.686975000000003},"schema_version":1,"#,
            r#""dropped":false,"emptied":false}"#,
        ];
        assert_eq!(std::str::from_utf8(table.as_bytes()).unwrap(), want.concat());
    }
}
