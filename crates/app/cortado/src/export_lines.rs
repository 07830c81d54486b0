//! The lines of an export that declare things. Source: docs/formats/export.md.
//!
//! Start reading at [`DatabaseLine`].

use cortado_wire::{DatabaseAnswer, DatabaseBody, TableAnswer, TableBody};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of the format.
pub(crate) const VERSION: u32 = 1;

/// The first line: `{"export":1,"database":"geo","declaration":{…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DatabaseLine {
    /// The version of the format.
    pub(crate) export: u32,
    /// The name.
    pub(crate) database: String,
    /// As `PUT /admin/v1/databases/{database}` takes it, without tables.
    pub(crate) declaration: DatabaseBody,
}

/// A value as it is written, but for line ends: these stand between tokens, since JSON has none
/// inside strings.
pub(crate) fn on_one_line(value: &RawValue) -> String {
    value.get().replace(['\n', '\r'], " ")
}

/// One for each table: `{"table":"place","declaration":{"key":[…],…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableLine {
    /// The name.
    pub(crate) table: String,
    /// As `PUT /admin/v1/databases/{database}/tables/{table}` takes it.
    pub(crate) declaration: TableBody,
}

impl DatabaseLine {
    /// Of a database as it is.
    pub(crate) fn of(database: &DatabaseAnswer) -> DatabaseLine {
        let declaration = DatabaseBody {
            partitions: Some(database.partitions),
            replication: Some(database.replication),
            owner: database.owner.clone(),
            ..DatabaseBody::default()
        };
        DatabaseLine { export: VERSION, database: database.name.clone(), declaration }
    }
}

impl TableLine {
    /// Of a table as it is.
    pub(crate) fn of(table: &TableAnswer) -> TableLine {
        let declaration =
            TableBody { key: table.key.clone(), schema: table.schema.clone(), indexes: Vec::new() };
        TableLine { table: table.name.clone(), declaration }
    }
}
