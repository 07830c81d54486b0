//! `cortado import`: the documents of a file, stored in file order key by key, and resumable.
//!
//! Never holds more than a bounded part of the file. Start reading at [`run`]; the documents flow
//! from [`Pieces`] through [`Keying`] into lanes ([`lane`]), and [`Tally`] counts them.

mod pieces;
mod keying;
mod lane;
mod tally;
mod progress;

use crate::failure::{Exit, Failure};
use crate::output::{counted, thousands};
use crate::place::Scope;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use clap::Args;
use cortado_client::Client;
use keying::{Fill, Keying};
use lane::{Item, Lanes};
use pieces::{Pieces, ReadFailure};
use progress::Progress;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use tally::{Refused, Tally};
use tokio::sync::oneshot;

/// What `cortado import` is told.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// DB/TABLE; or DB alone for a file that `cortado export` wrote
    target: Scope,
    /// A JSON array of objects, or one object for each line; - for standard input
    file: PathBuf,
    /// Value of a key part that a document lacks or leaves empty; repeatable
    #[arg(long, value_name = "PART=VALUE")]
    fill: Vec<Fill>,
    /// Number of concurrent requests
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    concurrency: u16,
    /// Skip the first N documents, to continue an interrupted import
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u64,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Imports the file; refused documents are listed and the rest goes in.
pub(crate) fn run(arguments: &ImportArguments) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let (input, bytes_total) = open(&arguments.file)?;
    let client = arguments.server.client();
    let tally = Arc::new(Tally::starting_after(arguments.skip));
    let ended = block_on(async {
        let keying = Keying::find(&client, &arguments.target, &arguments.fill).await?;
        let progress = Progress::begin(Arc::clone(&tally), bytes_total);
        let ended = store_all(arguments, &client, keying, input, &tally).await;
        progress.end();
        ended
    });
    if let Err(failure) = ended {
        return Err(arguments.stopped(&tally, failure));
    }
    arguments.report(&tally, begun)
}

/// Opens the file; answers its length too, where that is known.
fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let unreadable = |error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let bytes_total = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), bytes_total))
}

/// Reads, keys and stores everything, or stops at the first failure that is not one document's.
async fn store_all(
    arguments: &ImportArguments,
    client: &Client,
    keying: Keying,
    input: Box<dyn Read + Send>,
    tally: &Arc<Tally>,
) -> Result<(), Failure> {
    let database = client.database(&arguments.target.database);
    let (lanes, entrance) = Lanes::start(&database, usize::from(arguments.concurrency), tally);
    let pieces = Pieces::new(input);
    let skip = arguments.skip;
    let for_reader = Arc::clone(tally);
    let (sender, read) = oneshot::channel();
    // A thread of its own, and none of the runtime's: standard input may keep it waiting for ever,
    // and the process does not wait for it when the import has ended otherwise.
    thread::spawn(move || {
        let fed = feed(pieces, skip, &keying, &for_reader, |item| entrance.put(item));
        // The receiver is gone when the import has ended already.
        let _ = sender.send(fed);
    });
    let finished = async {
        // The lanes end when the reader has dropped the entrance, or when one of them has failed.
        lanes.finish().await?;
        let read: Result<(), ReadFailure> = read.await.expect("the reader does not panic");
        read.map_err(|failure| Failure::new(failure).next("correct the file from there on"))
    };
    tokio::select! {
        ended = finished => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted")),
    }
}

/// Cuts the input into documents and hands each one on; runs on a thread of its own.
///
/// `put` waits while too much is under way, and answers false when nothing more is wanted.
fn feed(
    mut pieces: Pieces<Box<dyn Read + Send>>,
    skip: u64,
    keying: &Keying,
    tally: &Tally,
    put: impl Fn(Item) -> bool,
) -> Result<(), ReadFailure> {
    while let Some(piece) = pieces.next()? {
        if piece.position <= skip {
            tally.pass_over(piece.bytes);
            continue;
        }
        let keyed = piece.text.map_err(|too_long| too_long.to_string());
        match keyed.and_then(|text| keying.document(text)) {
            Ok(document) => {
                let item = Item::new(piece.position, piece.line, piece.bytes, document);
                if !put(item) {
                    return Ok(());
                }
            }
            Err(reason) => {
                let refused = Refused { position: piece.position, line: piece.line, reason };
                tally.refuse(refused, piece.bytes);
            }
        }
    }
    Ok(())
}

impl ImportArguments {
    /// Says how far it came, and how to go on.
    fn stopped(&self, tally: &Tally, failure: Failure) -> Failure {
        let resume_at = tally.resume_at();
        if tally.written() == 0 && resume_at == self.skip {
            return failure.if_unknown("repeat the command: storing a document twice is harmless");
        }
        let (target, file) = (self.target_text(), self.file.display());
        let fills: String = self.fill.iter().map(|fill| format!(" --fill {fill}")).collect();
        failure
            .next(format!(
                "the first {} of the file are done; continue after them with",
                counted(resume_at, "document")
            ))
            .next(format!("`cortado import {target} {file}{fills} --skip {resume_at}`"))
            .next("or import the whole file again: storing a document twice is harmless")
    }

    /// Says what was done.
    fn report(&self, tally: &Tally, begun: Instant) -> Result<Exit, Failure> {
        let seconds = begun.elapsed().as_secs_f64();
        let (written, refused) = (tally.written(), tally.refused());
        match self.output.form_of_report() {
            Form::Json => {
                let report = serde_json::json!({
                    "written": written, "refused": refused, "seconds": seconds,
                });
                writeln!(io::stdout(), "{report}")?;
            }
            Form::Table => {
                let rate = thousands((written as f64 / seconds.max(0.001)) as u64);
                let documents = counted(written, "document");
                let target = self.target_text();
                writeln!(
                    io::stdout(),
                    "imported {documents} into {target} in {seconds:.1} s ({rate}/s)"
                )?;
            }
        }
        if refused == 0 {
            return Ok(Exit::Done);
        }
        let failure =
            Failure::new(format!("{} refused, listed above", counted(refused, "document")));
        Err(failure.next("correct them, or --fill in what is missing, and import them again"))
    }

    fn target_text(&self) -> String {
        match &self.target {
            Scope { database, table: Some(table) } => format!("{database}/{table}"),
            Scope { database, table: None } => database.clone(),
        }
    }
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado import geo/place cities.json
  cortado import geo/place cities.json --fill admin1=00
  zcat orders.ndjson.gz | cortado import shop/order - --concurrency 32
  cortado import geo geo.ndjson          what `cortado export geo geo.ndjson` wrote

The parts of each key are taken from the document's members of the same names (texts and
whole numbers); --fill stands in for a part in the key and leaves the document as it is. A
refused document is listed with its position (counted from 1), line and reason; the rest
goes in, and the exit code is 1. Where a key occurs more than once, the last in the file
wins. Failovers are waited out (--retry-for). An interrupted import says how to go on.";
