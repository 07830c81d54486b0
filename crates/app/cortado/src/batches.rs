//! `cortado batch`: many documents in one request, from a file.
//!
//! Start reading at [`run`].

use crate::body_argument::BodyArgument;
use crate::failure::{Exit, Failure};
use crate::names;
use crate::server_arguments::{ServerArguments, block_on};
use crate::terminal::stdout;
use clap::Args;
use cortado_client::{ReadOptions, WriteOptions};
use cortado_wire::BatchAnswer;
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
    match (shape.keys, shape.operations) {
        (Some(_), None) => {
            let answer = block_on(async {
                Ok(database.batch_get_raw(body.clone(), &ReadOptions::default()).await?)
            })?;
            print_found(&answer)
        }
        (None, Some(_)) => {
            let write = WriteOptions {
                idempotency_key: arguments.idempotency_key.as_deref(),
                ..WriteOptions::default()
            };
            let answer = block_on(async {
                database.transact_raw(body.clone(), &write).await.map_err(Failure::of_write)
            })?;
            let mut out = stdout();
            for result in &answer.results {
                let line = serde_json::to_string(result).map_err(Failure::new)?;
                writeln!(out, "{line}")?;
            }
            Ok(Exit::Done)
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(Failure::usage("the body requires either the member keys or the member operations")
                .next("`cortado batch --help` has an example of each"))
        }
    }
}

/// Prints the documents; answers "refused" if one could not be read for another reason than that
/// it does not exist.
fn print_found(answer: &BatchAnswer) -> Result<Exit, Failure> {
    let mut out = stdout();
    let mut exit = Exit::Done;
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
        if !matches!(status, 200 | 404) {
            exit = Exit::Refused;
        }
    }
    Ok(exit)
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
A transaction takes up to 1,000 operations. Each result is one line.";
