//! `cortado import`: the documents of a file, stored in file order key by key, and resumable.
//!
//! Never holds more than a bounded part of the file. Start reading at [`run`]; the values flow from
//! [`documents`] through [`keying`] into lanes ([`lane`]), and [`Tally`] counts them.

mod source;
mod documents;
mod window;
mod piece;
mod values;
mod csv_records;
mod feed;
mod keying;
mod declarations;
mod lane;
mod tally;
mod rejects;
mod progress;

use crate::failure::{Exit, Failure};
use crate::output::{counted, thousands};
use crate::place::Scope;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::stop_signals::StopSignals;
use crate::terminal::stdout;
use clap::{Args, ValueHint};
use cortado_client::Client;
use feed::Feed;
use keying::{Fill, KeyFrom};
use lane::{Lanes, OnDuplicate};
use progress::Progress;
use rejects::Rejects;
use source::Source;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use tally::{Counts, Tally};
use tokio::sync::oneshot;

/// What `cortado import` is told.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// DB/TABLE; or DB alone for a file that `cortado export` wrote
    target: Scope,
    /// JSON, NDJSON, CSV or TSV, also gzipped, told by content; - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Take a part of the key from the member or column MEMBER; repeatable [default: the one that
    /// has the part's name]
    #[arg(long, value_name = "PART=MEMBER")]
    key_from: Vec<KeyFrom>,
    /// Value of a key part that a document lacks or leaves empty; repeatable
    #[arg(long, value_name = "PART=VALUE")]
    fill: Vec<Fill>,
    /// What becomes of a document whose key exists, in the table or earlier in the file
    #[arg(long, value_enum, value_name = "ACT", default_value = "replace")]
    on_duplicate: OnDuplicate,
    /// Write every refused document to FILE: NDJSON with position, line, reason and value
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    rejects: Option<PathBuf>,
    /// Number of concurrent requests
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    concurrency: u16,
    /// Skip the first N values, to continue an interrupted import
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
    let source = Source::open(&arguments.file)?;
    let client = arguments.server.client();
    let (ended, tally) = block_on(async {
        let parts = (&arguments.key_from[..], &arguments.fill[..]);
        let feed = Feed::prepare(&client, &arguments.target, parts, arguments.skip).await?;
        let goes_on = arguments.skip > 0;
        let create = |path: &PathBuf| Rejects::create(path, &arguments.file, goes_on);
        let rejects = arguments.rejects.as_ref().map(create).transpose()?;
        let tally = Arc::new(Tally::starting_after(arguments.skip, rejects));
        let progress = Progress::begin(Arc::clone(&tally), source.bytes_total());
        let ended = store_all(arguments, &client, feed, source, &tally).await;
        progress.end();
        Ok((ended, tally))
    })?;
    let rejects = tally.finish_rejects();
    match ended.and(rejects) {
        Ok(()) => arguments.report(&tally, begun),
        Err(failure) => Err(arguments.stopped(&tally, failure)),
    }
}

/// Reads, keys and stores everything, or stops at the first failure that is not one document's.
async fn store_all(
    arguments: &ImportArguments,
    client: &Client,
    feed: Feed,
    source: Source,
    tally: &Arc<Tally>,
) -> Result<(), Failure> {
    let mut signals = StopSignals::listen()?;
    let database = client.database(&arguments.target.database);
    let (count, on_duplicate) = (usize::from(arguments.concurrency), arguments.on_duplicate);
    let retry_for = arguments.server.retry_for();
    let (lanes, entrance) = Lanes::start(&database, count, on_duplicate, retry_for, tally);
    let for_reader = Arc::clone(tally);
    let (sender, read) = oneshot::channel();
    // A thread of its own, and none of the runtime's: standard input may keep it waiting for ever,
    // and the process does not wait for it when the import has ended otherwise.
    thread::spawn(move || {
        let fed = feed.run(source, &for_reader, |item| entrance.put(item));
        // The receiver is gone when the import has ended already.
        let _ = sender.send(fed);
    });
    let finished = async {
        // The lanes end when the reader has dropped the entrance, or when one of them has failed.
        lanes.finish().await?;
        read.await.expect("the reader does not panic")
    };
    tokio::select! {
        ended = finished => ended,
        () = signals.next() => Err(Failure::new("interrupted")),
    }
}

impl ImportArguments {
    /// Says how far it came, and how to go on.
    fn stopped(&self, tally: &Tally, failure: Failure) -> Failure {
        let resume_at = tally.resume_at();
        if tally.counts() == Counts::default() && resume_at == self.skip {
            return failure.if_unknown("repeat the command: storing a document twice is harmless");
        }
        failure
            .next(format!(
                "the first {} of the file are done; continue after them with",
                counted(resume_at, "value")
            ))
            .next(format!("`{} --skip {resume_at}`", self.spelled()))
            .next("or import the whole file again: storing a document twice is harmless")
    }

    /// The command, without what says how it is done.
    fn spelled(&self) -> String {
        let mut text = format!("cortado import {} {}", self.target, self.file.display());
        for from in &self.key_from {
            text.push_str(&format!(" --key-from {from}"));
        }
        for fill in &self.fill {
            text.push_str(&format!(" --fill {fill}"));
        }
        match self.on_duplicate {
            OnDuplicate::Replace => {}
            OnDuplicate::Skip => text.push_str(" --on-duplicate skip"),
            // What this import has stored is there when it goes on.
            OnDuplicate::Fail => text.push_str(" --on-duplicate fail"),
        }
        if let Some(rejects) = &self.rejects {
            text.push_str(&format!(" --rejects {}", rejects.display()));
        }
        text
    }

    /// Says what was done.
    fn report(&self, tally: &Tally, begun: Instant) -> Result<Exit, Failure> {
        let seconds = begun.elapsed().as_secs_f64();
        let Counts { created, replaced, skipped, refused } = tally.counts();
        match self.output.form_of_report() {
            Form::Json => {
                let report = serde_json::json!({
                    "created": created, "replaced": replaced, "skipped": skipped,
                    "refused": refused, "seconds": seconds,
                });
                writeln!(stdout(), "{report}")?;
            }
            Form::Table => {
                let rate = thousands(((created + replaced) as f64 / seconds.max(0.001)) as u64);
                let mut counts = format!(
                    "{} created, {} replaced, {} refused",
                    thousands(created),
                    thousands(replaced),
                    thousands(refused)
                );
                if self.on_duplicate == OnDuplicate::Skip {
                    counts.push_str(&format!(", {} skipped", thousands(skipped)));
                }
                let target = &self.target;
                writeln!(
                    stdout(),
                    "imported into {target} in {seconds:.1} s ({rate}/s): {counts}"
                )?;
            }
        }
        if refused == 0 {
            return Ok(Exit::Done);
        }
        let failure = Failure::new(format!("{} refused", counted(refused, "document")));
        Err(match &self.rejects {
            Some(rejects) => failure.next(format!(
                "`jq -c .value {}` prints them; import them again when they are corrected",
                rejects.display()
            )),
            None => failure
                .next("correct them, or --fill in what is missing, and import them again")
                .next("--rejects FILE keeps all of them with their reasons"),
        })
    }
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado import geo/place cities.json
  cortado import geo/place cities.csv.gz --fill admin1=00
  cortado import shop/user users.ndjson --key-from id=_id --rejects rejects.ndjson
  jq -c .value rejects.ndjson | cortado import shop/user - --key-from id=_id
  curl https://example.com/orders.json | cortado import shop/order - --on-duplicate skip
  cortado import copy geo.ndjson         what `cortado export geo geo.ndjson` wrote, with its
                                         database and tables where they do not exist

Forms. A JSON array of objects, or JSON objects one after the other: a line each (NDJSON), or
pretty-printed. CSV or TSV with a header: cells are strings, unless the table's schema says
number, integer, boolean or null for the member; an empty cell is no member. Each may be
gzipped. Values are stored as they are written, digit by digit.

Keys. The parts of each key are taken from the document's members of the same names, or from
those that --key-from names (texts and whole numbers); --fill stands in for a part in the key
and leaves the document as it is. Where a key occurs more than once, the last in the file
wins, unless --on-duplicate says otherwise: fail refuses the later ones.

Refusals. A refused document is listed with its position (counted from 1), line and reason, up
to 20 of them; --rejects writes all. The rest goes in, and the exit code is 1. Failovers are
waited out (--retry-for). An interrupted import says how to go on.";
