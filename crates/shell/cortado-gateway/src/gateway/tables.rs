//! Tables: declared, changed and dropped.
//!
//! Start reading at [`Gateway::put_table`].

use super::Gateway;
use super::admin_error::{AdminError, InvalidDeclaration};
use super::declaration::{Declared, put};
use crate::catalog::{Catalog, Database, Table};
use crate::cluster_log::{DATABASES, DatabaseDocument, TABLES, TableDocument, table_key, write};
use crate::conditions::if_still;
use cortado_document::{Condition, Incompatible, Schema, SchemaError, TableDefinition, compatible};
use cortado_model::limits::is_name;
use cortado_model::{DocumentKey, Etag, TableId};
use std::sync::Arc;
use tokio::time::Instant;
use tracing::info;

impl Gateway {
    /// Declares a table: creates it, or gives it a schema that accepts all that the old one did.
    ///
    /// # Errors
    /// See [`AdminError`]; another key or a narrower schema is a conflict.
    pub async fn put_table(
        &self,
        database: &str,
        table: &str,
        definition: TableDefinition,
        deadline: Instant,
    ) -> Result<Declared<Arc<Table>>, AdminError> {
        if !is_name(database) || !is_name(table) {
            return Err(AdminError::BadName);
        }
        check_definition(table, &definition)?;
        loop {
            let place = self.current(database, deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            let current = catalog.database(database).ok_or(AdminError::NoSuchDatabase)?;
            let known = current.table(table);
            let document = match known {
                Some(known) if known.definition == definition => {
                    return Ok(Declared::Existing(Arc::clone(known)));
                }
                Some(known) => {
                    check_evolution(known, &definition)?;
                    let version = known.schema_version + 1;
                    TableDocument::new(known.id, table, &definition, version)
                }
                None => {
                    let version = first_version(&definition);
                    TableDocument::new(current.next_table, table, &definition, version)
                }
            };
            let next_table = match known {
                Some(_) => current.next_table,
                None => TableId(current.next_table.0 + 1),
            };
            let changed = self.change_table(place, current, document, next_table, deadline).await?;
            if let Some(catalog) = changed {
                // Dropped again within this moment: there is nothing to show.
                let now = catalog.database(database).ok_or(AdminError::NoSuchDatabase)?;
                let now = Arc::clone(now.table(table).ok_or(AdminError::NoSuchTable)?);
                let version = now.schema_version;
                info!(database, table, schema_version = version, "table declared");
                self.explain(format!("declared table {database}/{table}, schema {version}"));
                return Ok(match known {
                    Some(_) => Declared::Changed(now),
                    None => Declared::Created(now),
                });
            }
        }
    }

    /// Drops a table. Its documents are removed in the background.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn drop_table(
        &self,
        database: &str,
        table: &str,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        if !is_name(database) || !is_name(table) {
            return Err(AdminError::BadName);
        }
        loop {
            let place = self.current(database, deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            let current = catalog.database(database).ok_or(AdminError::NoSuchDatabase)?;
            let known = current.table(table).ok_or(AdminError::NoSuchTable)?;
            let version = known.schema_version;
            let mut document = TableDocument::new(known.id, table, &known.definition, version);
            document.dropped = true;
            let next_table = current.next_table;
            let changed = self.change_table(place, current, document, next_table, deadline).await?;
            if changed.is_some() {
                info!(database, table, "table dropped");
                self.explain(format!("dropped table {database}/{table}"));
                return Ok(());
            }
        }
    }

    /// Writes one table, and its database so that two changes of one database never cross. Answers
    /// as [`declare`](Self::declare).
    ///
    /// * `place`: the database's document, as it was before `database` was looked at.
    async fn change_table(
        &self,
        (place, etag): (DocumentKey, Etag),
        database: &Database,
        table: TableDocument,
        next_table: TableId,
        deadline: Instant,
    ) -> Result<Option<Arc<Catalog>>, AdminError> {
        let document = DatabaseDocument::of(database, next_table.0);
        let id = TableId(table.id);
        let operations = vec![
            put(DATABASES, place, write(&document), if_still(etag)),
            put(TABLES, table_key(database.id, id), write(&table), Condition::default()),
        ];
        self.declare(operations, deadline).await
    }
}

/// Refuses an invalid schema.
pub(super) fn check_definition(name: &str, definition: &TableDefinition) -> Result<(), AdminError> {
    match definition.schema().map(Schema::compile) {
        Some(Err(source)) => {
            let table = name.to_owned();
            Err(InvalidDeclaration::Schema { table, source }.into())
        }
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Refuses what would not accept everything that the table accepts now.
fn check_evolution(known: &Table, definition: &TableDefinition) -> Result<(), AdminError> {
    if known.definition.key() != definition.key() {
        let reasons = vec![format!("its key is {}", known.definition.key().join(", "))];
        return Err(AdminError::Conflict { reasons });
    }
    let table = &known.name;
    compatible(known.definition.schema(), definition.schema()).map_err(|why| match why {
        Incompatible::Reasons(reasons) => {
            AdminError::Conflict { reasons: reasons.iter().map(ToString::to_string).collect() }
        }
        Incompatible::TooExpensive => {
            let (table, source) = (table.clone(), SchemaError::TooExpensive);
            InvalidDeclaration::Schema { table, source }.into()
        }
    })
}

/// The schema version of a table that is new.
pub(super) fn first_version(definition: &TableDefinition) -> u32 {
    u32::from(definition.schema().is_some())
}
