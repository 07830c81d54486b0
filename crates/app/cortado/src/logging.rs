//! Structured logs on standard error, as lines of text or as JSON.
//!
//! Start reading at [`begin`].

use crate::failure::Failure;
use clap::ValueEnum;
use std::env;
use std::io::{self, IsTerminal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines of text, in colour on a terminal
    #[default]
    Text,
    /// One JSON object for each line
    Json,
}

/// The variable that says what is logged, such as `debug` or `cortado_http=debug,info`.
const FILTER_VARIABLE: &str = "CORTADO_LOG";

/// What a server logs; of its store's engine only what is odd, not each file that is opened.
pub(crate) const OF_A_SERVER: &str = "info,fjall=warn,lsm_tree=warn";

/// Begins to log.
///
/// * `filter`: what is logged unless the environment says otherwise.
///
/// # Errors
/// The filter in the environment cannot be understood.
pub(crate) fn begin(format: LogFormat, filter: &str) -> Result<(), Failure> {
    let text = env::var(FILTER_VARIABLE).unwrap_or_else(|_| filter.to_owned());
    let filter: Targets = text.parse().map_err(|error| {
        Failure::usage(format!("invalid {FILTER_VARIABLE} {text:?}: {error}"))
            .next("write a level (error, warn, info, debug, trace) or target=level, with commas")
    })?;
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Text => {
            let lines = fmt::layer().with_ansi(has_colour(&io::stderr()));
            // It would report a failed write by `eprintln!`, which panics where that fails too.
            let lines = lines.with_writer(io::stderr).log_internal_errors(false);
            registry.with(lines.with_filter(filter)).init();
        }
        LogFormat::Json => {
            let lines = fmt::layer().json().flatten_event(true);
            let lines = lines.with_writer(io::stderr).log_internal_errors(false);
            registry.with(lines.with_filter(filter)).init();
        }
    }
    Ok(())
}

/// Whether colours are welcome there. Source: <https://no-color.org>.
pub(crate) fn has_colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
