//! What an export says of its database and tables, declared where it does not exist yet.
//!
//! Changes no declaration that exists. Start reading at [`Declarations::take`].

use crate::export_lines::{DatabaseLine, TableLine, VERSION};
use crate::failure::Failure;
use crate::output::tell;
use cortado_client::{Client, Code};
use cortado_wire::{DatabaseBody, TableBody};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tokio::runtime::Handle;

/// The declarations of the database that an export is imported into.
#[derive(Debug)]
pub(crate) struct Declarations {
    client: Client,
    runtime: Handle,
    database: String,
    /// The keys of its tables; absent if there is no such database.
    keys: Option<BTreeMap<String, Vec<String>>>,
}

impl Declarations {
    /// Asks what exists.
    ///
    /// # Errors
    /// The server does not say.
    pub(crate) async fn find(client: &Client, database: &str) -> Result<Declarations, Failure> {
        let keys = match client.database_declaration(database).await {
            Ok(declared) => {
                let key_of = |(name, table): (String, cortado_wire::TableAnswer)| (name, table.key);
                Some(declared.tables.into_iter().map(key_of).collect())
            }
            Err(error) if error.code() == Some(Code::NoSuchDatabase) => None,
            Err(error) => return Err(error.into()),
        };
        let (client, database) = (client.clone(), database.to_owned());
        Ok(Declarations { client, runtime: Handle::current(), database, keys })
    }

    /// Declares what `text` does, if it is a declaration. Not on the runtime's threads.
    ///
    /// # Errors
    /// It is one, and it cannot be declared.
    pub(crate) fn take(&mut self, text: &[u8]) -> Result<bool, Failure> {
        match Declaration::parse(text)? {
            Some(Declaration::Database(line)) => self.create_database(line.declaration)?,
            Some(Declaration::Table(line)) => self.create_table(line.table, line.declaration)?,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Makes sure that there is a database.
    ///
    /// # Errors
    /// There is none, and no line has declared it.
    pub(crate) fn require_database(&self) -> Result<(), Failure> {
        if self.keys.is_some() {
            return Ok(());
        }
        let database = &self.database;
        Err(Failure::new(format!("there is no database {database}, and the file declares none"))
            .next(format!(
                "`cortado db create {database}` creates it, `cortado table create` its tables"
            )))
    }

    fn create_database(&mut self, mut declaration: DatabaseBody) -> Result<(), Failure> {
        if self.keys.is_some() {
            return Ok(());
        }
        let database = &self.database;
        let created = self.runtime.block_on(async {
            let nodes = self.client.nodes().await?.nodes.len() as u32;
            // A copy elsewhere must not fail for having fewer nodes.
            if declaration.replication.is_some_and(|replication| replication > nodes) {
                tell(&format!(
                    "{database} is created with {nodes} replicas: there are no more nodes"
                ));
                declaration.replication = Some(nodes);
            }
            self.client.create_database(database, &declaration).await
        });
        created.map_err(Failure::from)?;
        tell(&format!("created database {database}"));
        self.keys = Some(BTreeMap::new());
        Ok(())
    }

    fn create_table(&mut self, table: String, declaration: TableBody) -> Result<(), Failure> {
        self.require_database()?;
        let keys = self.keys.get_or_insert_default();
        let database = &self.database;
        if let Some(key) = keys.get(&table) {
            if *key == declaration.key {
                return Ok(());
            }
            let (has, wants) = (key.join(", "), declaration.key.join(", "));
            return Err(Failure::new(format!(
                "table {database}/{table} has the key ({has}), that of the file has ({wants})"
            ))
            .next("import into a database without this table"));
        }
        let creating = self.client.create_table(database, &table, &declaration);
        self.runtime.block_on(creating).map_err(Failure::from)?;
        tell(&format!("created table {database}/{table}"));
        keys.insert(table, declaration.key);
        Ok(())
    }
}

/// A line of an export that is no document.
pub(crate) enum Declaration {
    Database(DatabaseLine),
    Table(TableLine),
}

/// What tells a declaration, whatever else is in it.
#[derive(Deserialize)]
struct Told<'a> {
    export: Option<u64>,
    #[serde(borrow)]
    declaration: Option<&'a RawValue>,
}

impl Declaration {
    /// Reads a line; `None` if it declares nothing.
    ///
    /// # Errors
    /// It is a declaration that this build cannot read.
    pub(crate) fn parse(text: &[u8]) -> Result<Option<Declaration>, Failure> {
        let Ok(told) = serde_json::from_slice::<Told<'_>>(text) else { return Ok(None) };
        match told {
            Told { export: Some(version), .. } => {
                check_version(version)?;
                let line = serde_json::from_slice(text).map_err(unreadable)?;
                Ok(Some(Declaration::Database(line)))
            }
            Told { export: None, declaration: Some(_) } => {
                let line = serde_json::from_slice(text).map_err(unreadable)?;
                Ok(Some(Declaration::Table(line)))
            }
            Told { export: None, declaration: None } => Ok(None),
        }
    }
}

/// Whether `text` is the first line of an export: a document may have a member `export`, too.
///
/// # Errors
/// It is one that this build cannot read.
pub(crate) fn begins_export(text: &[u8]) -> Result<bool, Failure> {
    match serde_json::from_slice::<Told<'_>>(text) {
        Ok(Told { export: Some(_), declaration: Some(_) }) => {
            Declaration::parse(text).map(|line| line.is_some())
        }
        Ok(_) | Err(_) => Ok(false),
    }
}

fn check_version(version: u64) -> Result<(), Failure> {
    if version == u64::from(VERSION) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the export has version {version}, and this `cortado` reads version {VERSION}"
    ))
    .next(NEWER))
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::new(format!("the export declares what this `cortado` cannot read: {error}"))
        .next(NEWER)
}

const NEWER: &str = "use a newer `cortado`";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let failure = Declaration::parse(text.as_bytes()).err().expect("refused");
        let failure = format!("{failure:?}");
        assert!(failure.contains(part), "{failure}");
    }

    #[test]
    fn a_version_is_judged_before_all_else() {
        refused(r#"{"export":2,"database":7,"declaration":{"colour":4}}"#, "version 2");
        refused(r#"{"export":2,"tables":[]}"#, "version 2");
        refused(r#"{"export":1,"database":"geo","declaration":{"colour":4}}"#, "colour");
        refused(r#"{"table":"a","declaration":{"key":["id"],"colour":4}}"#, "colour");
        refused(r#"{"index":"a","declaration":{"key":["id"]}}"#, "table");
        let document = br#"{"table":"a","key":["x"],"value":{"export":2,"declaration":{}}}"#;
        assert!(Declaration::parse(document).is_ok_and(|line| line.is_none()));
    }

    #[test]
    fn a_document_with_a_member_export_begins_no_export() {
        let begins = |text: &str| begins_export(text.as_bytes());
        assert!(begins(r#"{"id":1,"export":7}"#).is_ok_and(|begins| !begins));
        assert!(begins(r#"{"id":1,"export":"DE","declaration":{}}"#).is_ok_and(|begins| !begins));
        assert!(
            begins(r#"{"export":1,"database":"a","declaration":{}}"#).is_ok_and(|begins| begins)
        );
        assert!(begins(r#"{"export":2,"database":"a","declaration":{"x":1}}"#).is_err());
    }
}
