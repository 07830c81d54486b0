//! What an export says of its database and tables, declared where it does not exist yet.
//!
//! Changes no declaration that exists. Start reading at [`Declarations::take`].

use crate::export_lines::{DatabaseLine, TableLine, VERSION};
use crate::failure::Failure;
use crate::output::tell;
use cortado_client::{Client, ClientError, Code};
use cortado_wire::{DatabaseBody, TableBody};
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
        if let Ok(line) = serde_json::from_slice::<DatabaseLine>(text) {
            check_version(line.export)?;
            self.create_database(line.declaration)?;
            return Ok(true);
        }
        if let Ok(TableLine { table, declaration }) = serde_json::from_slice(text) {
            self.create_table(table, declaration)?;
            return Ok(true);
        }
        Ok(false)
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
        created.map_err(of_declaration)?;
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
        self.runtime.block_on(creating).map_err(of_declaration)?;
        tell(&format!("created table {database}/{table}"));
        keys.insert(table, declaration.key);
        Ok(())
    }
}

fn of_declaration(error: ClientError) -> Failure {
    Failure::of_declaration(error)
}

/// Whether `text` is the first line of an export.
///
/// # Errors
/// It is one of a version that cannot be read.
pub(crate) fn begins_export(text: &[u8]) -> Result<bool, Failure> {
    match serde_json::from_slice::<DatabaseLine>(text) {
        Ok(line) => check_version(line.export).map(|()| true),
        Err(_) => Ok(false),
    }
}

/// The table that `text` declares, if it does, and how many parts its key has.
pub(crate) fn declared_table(text: &[u8]) -> Option<(String, usize)> {
    let line: TableLine = serde_json::from_slice(text).ok()?;
    Some((line.table, line.declaration.key.len()))
}

fn check_version(version: u32) -> Result<(), Failure> {
    if version == VERSION {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the export has version {version}, and this `cortado` reads version {VERSION}"
    ))
    .next("use a newer `cortado`"))
}
