//! `cortado db …` and `cortado table …`: declarations.
//!
//! Start reading at [`DatabaseCommand`].

use crate::failure::{Exit, Failure};
use crate::names;
use crate::output::{Columns, counted, tell};
use crate::place::TablePlace;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::stdout;
use clap::{Args, Subcommand, ValueHint};
use cortado_client::Client;
use cortado_wire::{DatabaseAnswer, DatabaseBody, RawJson, TableAnswer, TableBody};
use serde::Serialize;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// What can be done with databases.
#[derive(Debug, Subcommand)]
pub(crate) enum DatabaseCommand {
    /// Create a database; idempotent
    #[command(after_help = CREATE_HELP)]
    Create {
        /// Name: a lowercase letter, then up to 62 lowercase letters, digits and underscores
        name: String,
        /// Number of partitions, which never changes; default 16
        #[arg(long, value_name = "N")]
        partitions: Option<u32>,
        /// Number of replicas of each partition; default 3, or the number of nodes if lower
        #[arg(long, value_name = "N")]
        replication: Option<u32>,
        /// The team that is responsible for it
        #[arg(long, value_name = "TEAM")]
        owner: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// List all databases
    #[command(after_help = LIST_HELP)]
    List(Print),
    /// Show one database and its tables
    #[command(after_help = SHOW_HELP)]
    Show {
        /// Name of the database
        #[arg(add = names::databases())]
        name: String,
        #[command(flatten)]
        print: Print,
    },
    /// Drop a database and all its documents, immediately and irreversibly
    #[command(after_help = DROP_HELP)]
    Drop {
        /// Name of the database
        #[arg(add = names::databases())]
        name: String,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        print: Print,
    },
}

/// What can be done with tables.
#[derive(Debug, Subcommand)]
pub(crate) enum TableCommand {
    /// Create a table, or change its schema compatibly
    #[command(after_help = TABLE_HELP)]
    Create {
        /// DB/TABLE
        #[arg(add = names::tables())]
        table: TablePlace,
        /// Names of the key's parts, separated by commas, the resource first
        #[arg(long, value_name = "PART,…", value_delimiter = ',', required = true)]
        key: Vec<String>,
        /// File with a JSON Schema that every document must satisfy; without it, the schema of a
        /// table that exists stays
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        schema: Option<PathBuf>,
        /// Remove the schema of a table that exists: documents are no longer validated
        #[arg(long, conflicts_with = "schema")]
        no_schema: bool,
        #[command(flatten)]
        print: Print,
    },
    /// List the tables of a database
    #[command(after_help = TABLE_LIST_HELP)]
    List {
        /// Name of the database
        #[arg(value_name = "DB", add = names::databases())]
        database: String,
        #[command(flatten)]
        print: Print,
    },
    /// Show one table: its key and its schema
    #[command(after_help = TABLE_SHOW_HELP)]
    Show {
        /// DB/TABLE
        #[arg(add = names::tables())]
        table: TablePlace,
        #[command(flatten)]
        print: Print,
    },
    /// Drop a table and all its documents, immediately and irreversibly
    #[command(after_help = TABLE_DROP_HELP)]
    Drop {
        /// DB/TABLE
        #[arg(add = names::tables())]
        table: TablePlace,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        print: Print,
    },
}

/// Whether what cannot be undone is really meant.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Consent {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Consent {
    /// Asks on the terminal unless consent is given already.
    ///
    /// # Errors
    /// The answer is no, or there is no terminal to ask on.
    pub(crate) fn ask(self, act: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(format!("confirmation required to {act}"))
                .next("add --yes: standard input is not a terminal"));
        }
        tell(&format!("{act}? This cannot be undone. Type yes to go on:"));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        match answer.trim() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new("not confirmed, so nothing was done")),
        }
    }
}

/// Which server, and how to print.
#[derive(Debug, Args)]
pub(crate) struct Print {
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

impl Print {
    /// Says what was done: as a sentence, or as JSON.
    fn report(&self, sentence: &str, declaration: &impl Serialize) -> Result<Exit, Failure> {
        match self.output.form_of_report() {
            Form::Table => writeln!(stdout(), "{sentence}")?,
            Form::Json => print_json(declaration)?,
        }
        Ok(Exit::Done)
    }
}

/// Runs `cortado db …`.
pub(crate) fn run_database(command: DatabaseCommand) -> Result<Exit, Failure> {
    match command {
        DatabaseCommand::Create { name, partitions, replication, owner, print } => {
            let body = DatabaseBody { partitions, replication, owner, ..DatabaseBody::default() };
            let client = print.server.client();
            let (is_new, answer) = block_on(async {
                client.create_database(&name, &body).await.map_err(Failure::of_declaration)
            })?;
            let verb = if is_new { "created" } else { "already exists:" };
            let size = counted(u64::from(answer.partitions), "partition");
            let replicas = counted(u64::from(answer.replication), "replica");
            print.report(&format!("{verb} database {name}, {size} × {replicas}"), &answer)
        }
        DatabaseCommand::List(print) => {
            let client = print.server.client();
            let answer = block_on(async { Ok(client.databases().await?) })?;
            print_databases(&answer.databases, print.output.form())
        }
        DatabaseCommand::Show { name, print } => {
            let client = print.server.client();
            let answer = block_on(async { Ok(client.database_declaration(&name).await?) })?;
            print_database(&answer, print.output.form())
        }
        DatabaseCommand::Drop { name, consent, print } => {
            let client = print.server.client();
            // One that does not exist is told at once, not after a question about it.
            let declared = block_on(async { Ok(client.database_declaration(&name).await?) })?;
            let tables = counted(declared.tables.len() as u64, "table");
            consent.ask(&format!("drop database {name} with {tables} and all their documents"))?;
            block_on(async { client.drop_database(&name).await.map_err(Failure::of_declaration) })?;
            print.report(&format!("dropped database {name}"), &serde_json::json!({"dropped": name}))
        }
    }
}

/// Runs `cortado table …`.
pub(crate) fn run_table(command: TableCommand) -> Result<Exit, Failure> {
    match command {
        TableCommand::Create { table, key, schema, no_schema, print } => {
            let schema = match schema {
                Some(path) => WantedSchema::Of(path),
                None if no_schema => WantedSchema::Removed,
                None => WantedSchema::AsItIs,
            };
            create_table(&table, key, schema, &print)
        }
        TableCommand::List { database, print } => {
            let client = print.server.client();
            let answer = block_on(async { Ok(client.tables(&database).await?) })?;
            print_tables(&answer.tables, print.output.form())
        }
        TableCommand::Show { table, print } => {
            let client = print.server.client();
            let TablePlace { database, table } = &table;
            let answer = block_on(async { Ok(client.table_declaration(database, table).await?) })?;
            match print.output.form() {
                Form::Json => print_json(&answer)?,
                Form::Table => print_table(&answer)?,
            }
            Ok(Exit::Done)
        }
        TableCommand::Drop { table: place, consent, print } => {
            let client = print.server.client();
            let TablePlace { database, table } = &place;
            block_on(async { Ok(client.table_declaration(database, table).await?) })?;
            consent.ask(&format!("drop table {place} with all its documents"))?;
            let dropping = client.drop_table(database, table);
            block_on(async { dropping.await.map_err(Failure::of_declaration) })?;
            let dropped = serde_json::json!({"dropped": place.to_string()});
            print.report(&format!("dropped table {place}"), &dropped)
        }
    }
}

/// Which schema a table should have.
enum WantedSchema {
    /// The one in this file.
    Of(PathBuf),
    /// None.
    Removed,
    /// The one that it has, if it exists.
    AsItIs,
}

fn create_table(
    table: &TablePlace,
    key: Vec<String>,
    wanted: WantedSchema,
    print: &Print,
) -> Result<Exit, Failure> {
    let keeps_schema = matches!(wanted, WantedSchema::AsItIs);
    let client = print.server.client();
    let (is_new, answer) = block_on(async {
        let schema = match wanted {
            WantedSchema::Of(path) => Some(read_schema(path)?),
            WantedSchema::Removed => None,
            // A declaration without a schema would remove it.
            WantedSchema::AsItIs => schema_of(&client, table).await?,
        };
        let body = TableBody { key, schema, indexes: Vec::new() };
        let created = client.create_table(&table.database, &table.table, &body).await;
        created.map_err(Failure::of_declaration)
    })?;
    let verb = if is_new { "created" } else { "declared" };
    let key = answer.key.join(", ");
    let kept = if keeps_schema && !is_new && answer.schema.is_some() {
        "; its schema stays: --schema FILE changes it, --no-schema removes it"
    } else {
        ""
    };
    print.report(&format!("{verb} table {table}, key ({key}){kept}"), &answer)
}

/// The schema that a table has, if it exists.
async fn schema_of(client: &Client, table: &TablePlace) -> Result<Option<RawJson>, Failure> {
    match client.table_declaration(&table.database, &table.table).await {
        Ok(declared) => Ok(declared.schema),
        // If it is the database that is missing, to create the table says so.
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_schema(path: PathBuf) -> Result<RawJson, Failure> {
    let unreadable = |error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    let text = fs::read_to_string(&path).map_err(unreadable)?;
    RawJson::parse(text)
        .map_err(|error| Failure::usage(format!("{} is not valid JSON: {error}", path.display())))
}

fn print_databases(databases: &[DatabaseAnswer], form: Form) -> Result<Exit, Failure> {
    match form {
        Form::Json => print_json(&databases)?,
        Form::Table => {
            let mut columns =
                Columns::new(&["database", "partitions", "replication", "tables", "owner"]);
            for database in databases {
                columns.add(vec![
                    database.name.clone(),
                    database.partitions.to_string(),
                    database.replication.to_string(),
                    database.tables.keys().cloned().collect::<Vec<_>>().join(", "),
                    database.owner.clone().unwrap_or_default(),
                ]);
            }
            columns.print()?;
        }
    }
    Ok(Exit::Done)
}

fn print_database(database: &DatabaseAnswer, form: Form) -> Result<Exit, Failure> {
    match form {
        Form::Json => print_json(database)?,
        Form::Table => {
            print_databases(std::slice::from_ref(database), Form::Table)?;
            writeln!(stdout())?;
            columns_of(database.tables.values()).print()?;
        }
    }
    Ok(Exit::Done)
}

fn print_tables(tables: &[TableAnswer], form: Form) -> Result<Exit, Failure> {
    match form {
        Form::Json => print_json(&tables)?,
        Form::Table => columns_of(tables.iter()).print()?,
    }
    Ok(Exit::Done)
}

/// One table, and its schema below.
fn print_table(table: &TableAnswer) -> Result<(), Failure> {
    columns_of([table].into_iter()).print()?;
    if let Some(schema) = &table.schema {
        writeln!(stdout())?;
        print_json(schema)?;
    }
    Ok(())
}

fn columns_of<'a>(tables: impl Iterator<Item = &'a TableAnswer>) -> Columns {
    let mut columns = Columns::new(&["table", "key", "schema"]);
    for table in tables {
        let schema = match table.schema_version {
            0 => String::new(),
            version => format!("version {version}"),
        };
        columns.add(vec![table.name.clone(), table.key.join(", "), schema]);
    }
    columns
}

/// Writes `value` to standard output, indented.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::new)?;
    Ok(writeln!(stdout(), "{text}")?)
}

const CREATE_HELP: &str = "\
Examples:
  cortado db create geo
  cortado db create orders --partitions 64 --owner payments

All documents with the same first key part (the resource) live in one partition and can
change in one transaction. The number of partitions never changes; 16 is right for a few
million documents.";

const LIST_HELP: &str = "\
Examples:
  cortado db list
  cortado db list --output json | jq -r '.[].name'";

const SHOW_HELP: &str = "\
Examples:
  cortado db show geo
  cortado db show geo --output json | jq '.tables.place.schema'";

const DROP_HELP: &str = "\
Examples:
  cortado db drop geo             asks first
  cortado db drop geo --yes       in a script

`cortado export geo geo.ndjson` keeps what is in it; `cortado import geo geo.ndjson` brings
it back.";

const TABLE_LIST_HELP: &str = "\
Examples:
  cortado table list geo
  cortado table list geo --output json | jq -r '.[].name'";

const TABLE_SHOW_HELP: &str = "\
Examples:
  cortado table show geo/place
  cortado table show shop/order --output json | jq .schema > order.schema.json";

const TABLE_DROP_HELP: &str = "\
Examples:
  cortado table drop geo/place           asks first
  cortado table drop geo/place --yes     in a script

`cortado export geo/place place.ndjson` keeps what is in it.";

const TABLE_HELP: &str = "\
Examples:
  cortado table create geo/place --key country,admin1,name
  cortado table create shop/order --key customer,order --schema order.schema.json

A path with all parts of the key names a document; one with fewer lists a collection. A
new schema must accept everything that the old one accepted.";
