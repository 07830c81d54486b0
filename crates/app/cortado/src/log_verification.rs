//! `cortado log verify`: reads every byte of a log that no server has open.
//!
//! Never writes. Start reading at [`run`].

use crate::data_directory::LOG_FOLDER;
use crate::databases::print_json;
use crate::failure::{Exit, Failure};
use crate::server_arguments::{Form, OutputArguments};
use crate::terminal::stdout;
use clap::Subcommand;
use cortado_log_embedded::{Report, SegmentReport, verify};
use cortado_model::with_causes;
use std::io::Write;
use std::path::PathBuf;

/// What can be done with a log's files.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Check every byte of the log of a server that is not running, and report what is intact
    #[command(after_help = HELP)]
    Verify {
        /// A data directory, or its folder log
        directory: PathBuf,
        #[command(flatten)]
        output: OutputArguments,
    },
}

/// Prints what the log holds; answers "refused" if it is damaged.
pub(crate) fn run(command: LogCommand) -> Result<Exit, Failure> {
    let LogCommand::Verify { directory, output } = command;
    if let Err(error) = directory.metadata() {
        return Err(Failure::usage(format!("{} cannot be read: {error}", directory.display()))
            .next("name a data directory of `cortado dev --data`, or its folder log"));
    }
    let inside = directory.join(LOG_FOLDER);
    let directory = if inside.is_dir() { inside } else { directory };
    let report = verify(&directory).map_err(|error| Failure::new(with_causes(&error)))?;
    if report.segments.is_empty() && report.damages.is_empty() {
        return Err(Failure::new(format!("{} holds no log", directory.display()))
            .next("name a data directory of `cortado dev --data`, or its folder log"));
    }
    match output.form_of_report() {
        Form::Table => writeln!(stdout(), "{report}")?,
        Form::Json => print_json(&as_json(&report))?,
    }
    if report.is_sound() {
        return Ok(Exit::Done);
    }
    Err(Failure::new(format!("the log in {} is damaged", directory.display()))
        .next("restore the files that are named above from a backup of the whole directory"))
}

fn as_json(report: &Report) -> serde_json::Value {
    let damages: Vec<String> = report.damages.iter().map(ToString::to_string).collect();
    let segment = |segment: &SegmentReport| {
        serde_json::json!({
            "file": segment.file, "state": segment.state.to_string(), "end_bytes": segment.end,
            "groups": segment.groups, "frames": segment.frames, "records": segment.records,
        })
    };
    let segments: Vec<_> = report.segments.iter().map(segment).collect();
    let torn = report.torn_tail.as_ref().map(|torn| {
        serde_json::json!({"file": torn.file, "position": torn.position, "bytes": torn.bytes})
    });
    serde_json::json!({
        "sound": report.is_sound(), "damages": damages, "segments": segments, "unfinished": torn,
    })
}

const HELP: &str = "\
Examples:
  cortado log verify ./data
  cortado log verify ./data/log --output json

An unfinished write at the very end is not damage: it was never acknowledged, and is cut
when the log is opened. Damage anywhere else is; the server then refuses to start rather
than lose what follows.";
