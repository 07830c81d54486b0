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
use crate::names;
use crate::output::{counted, for_shell, thousands};
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
use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use tally::{Counts, Ended, Tally};
use tokio::sync::oneshot;

/// What `cortado import` is told.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// DB/TABLE; or DB alone for a file that `cortado export` wrote
    #[arg(add = names::tables())]
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
    let (stored, tally) = block_on(async {
        let parts = (&arguments.key_from[..], &arguments.fill[..]);
        let feed = Feed::prepare(&client, &arguments.target, parts, arguments.skip).await?;
        let goes_on = arguments.skip > 0;
        let create = |path: &PathBuf| Rejects::create(path, source.file(), goes_on);
        let rejects = arguments.rejects.as_ref().map(create).transpose()?;
        let tally = Arc::new(Tally::starting_after(arguments.skip, rejects));
        let progress = Progress::begin(Arc::clone(&tally), source.bytes_total());
        let stored = store_all(arguments, &client, feed, source, &tally).await;
        progress.end();
        Ok((stored, tally))
    })?;
    let Ended { counts, resume_at, rejects } = tally.end();
    match stored.and(rejects) {
        Ok(()) => arguments.report(counts, begun),
        Err(failure) => Err(arguments.stopped(counts, resume_at, failure)),
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
    let (lanes, entrance) = Lanes::start(&database, count, on_duplicate, tally);
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
    fn stopped(&self, counts: Counts, resume_at: Option<u64>, failure: Failure) -> Failure {
        let repeated = match self.on_duplicate {
            OnDuplicate::Replace | OnDuplicate::Skip => "storing a document twice is harmless",
            OnDuplicate::Fail => "what was stored is refused as a duplicate then",
        };
        // Declarations alone are no reason to go on behind them.
        if counts == Counts::default() {
            return failure.if_unknown(format!("repeat the command: {repeated}"));
        }
        let whole = format!("import the whole file again: {repeated}");
        let Some(resume_at) = resume_at else { return failure.next(whole) };
        let done = match resume_at {
            1 => "the first value of the file is done".to_owned(),
            many => format!("the first {} of the file are done", counted(many, "value")),
        };
        let failure = if self.file == Path::new("-") {
            let how = "give the same input again with";
            failure.next(format!("{done}; to continue after them, {how} `--skip {resume_at}`"))
        } else {
            failure
                .next(format!("{done}; continue after them with"))
                .next(format!("`{} --skip {resume_at}`", self.spelled()))
        };
        failure.next(format!("or {whole}"))
    }

    /// The command as a shell reads it, without what says how it is done.
    fn spelled(&self) -> String {
        let mut words = vec!["cortado".into(), "import".into(), self.target.to_string()];
        words.push(self.file.display().to_string());
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        for from in &self.key_from {
            option("--key-from", from.to_string());
        }
        for fill in &self.fill {
            option("--fill", fill.to_string());
        }
        match self.on_duplicate {
            OnDuplicate::Replace => {}
            OnDuplicate::Skip => option("--on-duplicate", "skip".to_owned()),
            OnDuplicate::Fail => option("--on-duplicate", "fail".to_owned()),
        }
        if let Some(rejects) = &self.rejects {
            option("--rejects", rejects.display().to_string());
        }
        if let Some(url) = self.server.other_url() {
            option("--url", url);
        }
        let quoted: Vec<Cow<'_, str>> = words.iter().map(|word| for_shell(word)).collect();
        quoted.join(" ")
    }

    /// Says what was done.
    fn report(&self, counts: Counts, begun: Instant) -> Result<Exit, Failure> {
        let seconds = begun.elapsed().as_secs_f64();
        let Counts { created, replaced, skipped, refused } = counts;
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
                "`jq -c 'select(has(\"value\")).value' {}` prints those that are JSON; correct \
                 them, and import them again",
                for_shell(&rejects.display().to_string())
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
  jq -c 'select(has(\"value\")).value' rejects.ndjson |
    cortado import shop/user - --key-from id=_id
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
