//! `cortado batch`: many documents in one request, from a file.
//!
//! Start reading at [`run`].

use crate::body_argument::BodyArgument;
use crate::failure::{Exit, Failure};
use crate::names;
use crate::output::{Columns, shortened};
use crate::place::spelled;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::stdout;
use clap::Args;
use cortado_client::{ReadOptions, WriteOptions};
use cortado_wire::{BatchAnswer, TransactionAnswer};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::Write;

/// What `cortado batch` is told.
#[derive(Debug, Args)]
pub(crate) struct BatchArguments {
    /// The database
    #[arg(value_name = "DB", add = names::databases())]
    database: String,
    /// {"keys":[…]} to read, {"operations":[…]} to write all or nothing: the text, @FILE, or -
    body: BodyArgument,
    /// Idempotency key: a retry with the same key returns the first answer
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Which of the two a body is.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
    #[serde(borrow)]
    operations: Option<&'a RawValue>,
}

/// Sends the request and prints one result for each line.
pub(crate) fn run(arguments: &BatchArguments) -> Result<Exit, Failure> {
    let body = arguments.body.read()?;
    let shape: Shape<'_> = serde_json::from_slice(&body)
        .map_err(|error| Failure::usage(format!("the body is not a JSON object: {error}")))?;
    let database = arguments.server.client().database(&arguments.database);
    let form = arguments.output.form_of_document();
    match (shape.keys, shape.operations) {
        (Some(_), None) => {
            let answer = block_on(async {
                Ok(database.batch_get_raw(body.clone(), &ReadOptions::default()).await?)
            })?;
            print_found(&answer, form)
        }
        (None, Some(_)) => {
            let write = WriteOptions {
                idempotency_key: arguments.idempotency_key.as_deref(),
                ..WriteOptions::default()
            };
            let answer = block_on(async {
                database.transact_raw(body.clone(), &write).await.map_err(Failure::of_write)
            })?;
            print_done(&answer, form)?;
            Ok(Exit::Done)
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(Failure::usage("the body requires either the member keys or the member operations")
                .next("`cortado batch --help` has an example of each"))
        }
    }
}

/// Prints what became of the operations of a transaction.
fn print_done(answer: &TransactionAnswer, form: Form) -> Result<(), Failure> {
    match form {
        Form::Json => {
            let mut out = stdout();
            for result in &answer.results {
                let line = serde_json::to_string(result).map_err(Failure::new)?;
                writeln!(out, "{line}")?;
            }
        }
        Form::Table => {
            let mut columns = Columns::new(&["status", "key", "etag"]);
            for result in &answer.results {
                let etag = result.etag.clone().unwrap_or_default();
                columns.add(vec![result.status.to_string(), spelled(&result.key), etag]);
            }
            columns.print()?;
        }
    }
    Ok(())
}

/// Prints the documents; answers "refused" if one could not be read for another reason than that
/// it does not exist.
fn print_found(answer: &BatchAnswer, form: Form) -> Result<Exit, Failure> {
    match form {
        Form::Json => print_found_lines(answer)?,
        Form::Table => {
            let mut columns = Columns::new(&["status", "document", "value"]);
            for result in &answer.results {
                let place = format!("{}/{}", result.table, spelled(&result.key));
                let value = result.value.as_ref().map(|value| shortened(value.get()));
                let value = value.or_else(|| result.code.clone()).unwrap_or_default();
                columns.add(vec![result.status.to_string(), place, value]);
            }
            columns.print()?;
        }
    }
    let is_answered = answer.results.iter().all(|result| matches!(result.status, 200 | 404));
    Ok(if is_answered { Exit::Done } else { Exit::Refused })
}

fn print_found_lines(answer: &BatchAnswer) -> Result<(), Failure> {
    let mut out = stdout();
    for result in &answer.results {
        let status = result.status;
        let table = serde_json::to_string(&result.table).map_err(Failure::new)?;
        let key = serde_json::to_string(&result.key).map_err(Failure::new)?;
        write!(out, r#"{{"status":{status},"table":{table},"key":{key}"#)?;
        if let (Some(etag), Some(value)) = (&result.etag, &result.value) {
            write!(out, r#","etag":"{etag}","value":{value}"#)?;
        }
        if let Some(code) = &result.code {
            write!(out, r#","code":"{code}""#)?;
        }
        writeln!(out, "}}")?;
    }
    Ok(())
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado batch geo '{\"keys\":[{\"table\":\"place\",\"key\":[\"JP\",\"40\",\"Kitakyushu\"]}]}'
  cortado batch bank @transfer.json --idempotency-key t-4711
with transfer.json, all of one resource and all or nothing:
  {\"operations\":[
    {\"op\":\"check\",\"table\":\"account\",\"key\":[\"c7\",\"a\"],\"if_match\":\"a1b2\"},
    {\"op\":\"merge\",\"table\":\"account\",\"key\":[\"c7\",\"a\"],\"value\":{\"balance\":70}},
    {\"op\":\"put\",\"table\":\"entry\",\"key\":[\"c7\",\"1\"],\"value\":{\"amount\":-30}},
    {\"op\":\"delete\",\"table\":\"hold\",\"key\":[\"c7\",\"9\"]}]}
A transaction takes up to 1,000 operations. Each result is one line of JSON, unless --output table
is given.";
