//! Structured logs on standard error, as lines of text or as JSON.
//!
//! Start reading at [`begin`].

use crate::failure::Failure;
use clap::ValueEnum;
use std::env;
use std::io::{self, IsTerminal};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

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
    let filter = text.parse().map(with_spans).map_err(|error| {
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
            let lines = fmt::layer().fmt_fields(JsonFields::new()).event_format(JsonLine::new());
            let lines = lines.with_writer(io::stderr).log_internal_errors(false);
            registry.with(lines.with_filter(filter)).init();
        }
    }
    Ok(())
}

/// What `lines` lets through, and the spans that lines of any target stand in: a filter for one
/// module must not cost its lines the fields of their span. Libraries' spans are below that level.
fn with_spans<S>(lines: Targets) -> impl Filter<S> {
    let is_error_span = |of: &Metadata<'_>| of.is_span() && *of.level() == Level::ERROR;
    lines.or(filter_fn(is_error_span).with_max_level_hint(LevelFilter::ERROR))
}

/// One flat JSON object for each line: the fields of its spans stand among its own, so that
/// `partition` is found in the same place whether a line or its span says it.
struct JsonLine {
    /// Without spans, which it can only nest.
    own_fields: Format<Json>,
}

impl JsonLine {
    fn new() -> JsonLine {
        let flat = fmt::format().json().flatten_event(true);
        JsonLine { own_fields: flat.with_current_span(false).with_span_list(false) }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLine {
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = String::new();
        self.own_fields.format_event(ctx, Writer::new(&mut line), event)?;
        // It has a level, at least: what follows in the object follows a comma.
        writer.write_str(line.trim_end().strip_suffix('}').ok_or(std::fmt::Error)?)?;
        for span in ctx.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            // An object, too.
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.and_then(|it| it.fields.strip_prefix('{')?.strip_suffix('}'));
            if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
                write!(writer, ",{fields}")?;
            }
        }
        writeln!(writer, "}}")
    }
}

/// Whether colours are welcome there. Source: <https://no-color.org>.
pub(crate) fn has_colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};
    use std::sync::Arc;

    /// What `log` writes as JSON under `filter`.
    fn written(filter: &str, log: impl FnOnce()) -> Vec<serde_json::Value> {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let lines = fmt::layer().fmt_fields(JsonFields::new()).event_format(JsonLine::new());
        let lines = lines.with_writer(Arc::clone(&file));
        let lines = lines.with_filter(with_spans(filter.parse().unwrap()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        let (mut file, mut text) = (file.as_ref(), String::new());
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_the_fields_of_its_span_whatever_else_is_left_out() {
        let lines = written("node::telling=info", || {
            let span = tracing::error_span!(target: "node", "replica", partition = "geo/3", n = 1);
            let empty = tracing::error_span!(target: "node", parent: &span, "empty");
            tracing::info!(target: "node::telling", parent: &span, generation = 4, "serves");
            empty.in_scope(|| tracing::info!(target: "node::telling", "serves"));
            tracing::info!(target: "node::telling", "alone");
            tracing::info!(target: "node::work", parent: &span, "left out");
        });
        let of_span = |line: &serde_json::Value| (line["partition"].clone(), line["n"].clone());
        let [own, nested, alone] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(of_span(own), ("geo/3".into(), 1.into()), "{own}");
        assert_eq!((&own["generation"], &own["message"]), (&4.into(), &"serves".into()));
        assert_eq!(of_span(nested), ("geo/3".into(), 1.into()), "{nested}");
        assert!(alone.get("partition").is_none(), "{alone}");
    }
}
