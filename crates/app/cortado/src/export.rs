//! `cortado export`: a table or a database as NDJSON lines, its declarations first.
//!
//! Start reading at [`run`]. Source: docs/formats/export.md.

mod destination;

use crate::export_lines::{DatabaseLine, TableLine, on_one_line};
use crate::failure::{Exit, Failure};
use crate::names;
use crate::output::{counted, tell};
use crate::place::Scope;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::stop_signals::StopSignals;
use clap::{Args, ValueHint};
use cortado_client::{Client, Table};
use cortado_wire::{DatabaseAnswer, TableAnswer};
use destination::Destination;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What `cortado export` is told.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// DB, or DB/TABLE
    #[arg(add = names::tables())]
    scope: Scope,
    /// The file, replaced at the end and only if all went well; - for standard output. What is no
    /// regular file, such as a device or a pipe, is written to as it is
    #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Writes the declarations, then every document as a line `{"table","key","value"}`.
pub(crate) fn run(arguments: &ExportArguments) -> Result<Exit, Failure> {
    let ExportArguments { scope, file, output, server } = arguments;
    let client = server.client();
    block_on(async {
        // Before the file is touched: what does not exist is no reason to.
        let declared = Declared::find(&client, scope).await?;
        let mut out = Destination::open(file)?;
        let documents = match out.replaced() {
            None => write_all(&client, &declared, &mut out).await?,
            Some(path) => {
                // Only a file has something to take back; a pipe may hold us up for ever, and then
                // a signal must end us as it ends any other command.
                let interrupted = format!("interrupted; {} is as it was", path.display());
                let mut signals = StopSignals::listen()?;
                tokio::select! {
                    written = write_all(&client, &declared, &mut out) => written?,
                    () = signals.next() => return Err(Failure::new(interrupted)),
                }
            }
        };
        out.finish()?;
        // Standard output may be where the documents went.
        match output.form_of_report() {
            Form::Table => tell(&format!("exported {}", counted(documents, "document"))),
            Form::Json => tell(&serde_json::json!({"exported": documents}).to_string()),
        }
        Ok(Exit::Done)
    })
}

/// What is exported.
struct Declared {
    database: DatabaseAnswer,
    /// In the order of their names.
    tables: Vec<TableAnswer>,
}

impl Declared {
    async fn find(client: &Client, scope: &Scope) -> Result<Declared, Failure> {
        let mut database = client.database_declaration(&scope.database).await?;
        let tables = match &scope.table {
            None => std::mem::take(&mut database.tables).into_values().collect(),
            Some(table) => vec![client.table_declaration(&scope.database, table).await?],
        };
        Ok(Declared { database, tables })
    }
}

async fn write_all(
    client: &Client,
    declared: &Declared,
    out: &mut impl Write,
) -> Result<u64, Failure> {
    let Declared { database, tables } = declared;
    write_line(out, &DatabaseLine::of(database))?;
    for table in tables {
        write_line(out, &TableLine::of(table))?;
    }
    let of_client = client.database(&database.name);
    let mut documents = 0;
    for table in tables {
        documents += write_table(&of_client.table(&table.name), out).await?;
    }
    Ok(documents)
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(line).map_err(Failure::new)?;
    Ok(writeln!(out, "{line}")?)
}

/// Documents of one request, unless they are large.
const PAGE_DOCUMENTS: usize = 1_000;

async fn write_table(table: &Table, out: &mut impl Write) -> Result<u64, Failure> {
    let name = serde_json::to_string(table.name()).map_err(Failure::new)?;
    let mut pages = table.scan(PAGE_DOCUMENTS);
    let mut documents = 0;
    while let Some(page) = pages.next().await? {
        for entry in &page.documents {
            let key = serde_json::to_string(&entry.key).map_err(Failure::new)?;
            let value = on_one_line(&entry.value);
            writeln!(out, r#"{{"table":{name},"key":{key},"value":{value}}}"#)?;
            documents += 1;
        }
    }
    Ok(documents)
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado export geo/place places.ndjson
  cortado export geo | gzip > geo.ndjson.gz
  cortado import copy geo.ndjson.gz         the way back: creates database and tables
  cortado export geo | jq -c 'select(.table == \"place\") | .value'

The first line declares the database, the next ones its tables, and each line after them is
a document with its table, key and value: values as they were written, tables by name,
documents partition by partition in key order. A regular file, also behind a symbolic link,
is replaced at the end and keeps its mode and owner; devices and pipes are written to. How
many documents there were is said on standard error, with --output json as {\"exported\":7}.

Each page is one strong read; pages follow each other while writes go on, so that the
whole is not the state of one moment.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_takes_one_line_and_says_the_same() {
        let text = "{\"a\":\n 1.0,\r\n\"b\":\"x\\ny\"\r}";
        let value: &serde_json::value::RawValue = serde_json::from_str(text).expect("JSON");
        let line = on_one_line(value);
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(!line.contains('\r'), "{line:?}");
        let parsed = |text| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(parsed(&line), parsed(text));
    }
}
