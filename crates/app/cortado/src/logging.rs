//! Structured logs on standard error, as lines of text or as JSON.
//!
//! Start reading at [`begin`].

use crate::failure::Failure;
use clap::ValueEnum;
use cortado_peer::TraceContext;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::env::{self, VarError};
use std::io::{self, IsTerminal};
use std::panic;
use std::sync::OnceLock;
use tracing::{Event, Level, Metadata, Subscriber, error};
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::format::{Format, Full, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields, FormattedFields};
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
    let text = match env::var(FILTER_VARIABLE) {
        Ok(text) if !text.is_empty() => text,
        Ok(_) | Err(VarError::NotPresent) => filter.to_owned(),
        Err(error @ VarError::NotUnicode(_)) => {
            return Err(Failure::usage(format!("invalid {FILTER_VARIABLE}: {error}")));
        }
    };
    let filter = text.parse().map(with_spans).map_err(|error| {
        Failure::usage(format!("invalid {FILTER_VARIABLE} {text:?}: {error}"))
            .next("write a level (error, warn, info, debug, trace) or target=level, with commas")
    })?;
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Text => {
            let is_coloured = has_colour(&io::stderr());
            let lines = fmt::layer().with_ansi(is_coloured);
            let lines = lines.event_format(TextLine::new(is_coloured));
            // It would report a failed write by `eprintln!`, which panics where that fails too.
            let lines = lines.with_writer(io::stderr).log_internal_errors(false);
            registry.with(lines.with_filter(filter)).init();
        }
        LogFormat::Json => {
            // A panic is told on standard error, too, of which every line is JSON.
            panic::set_hook(Box::new(|panicked| error!(panic = %panicked, "a thread panicked")));
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

/// Finds the name of a database by its id.
type NameOf = Box<dyn Fn(u32) -> Option<String> + Send + Sync>;

static NAMES: OnceLock<NameOf> = OnceLock::new();

/// From now on, lines name partitions as the command line does: `geo/2`, not `4/2`.
pub(crate) fn name_databases(name_of: impl Fn(u32) -> Option<String> + Send + Sync + 'static) {
    // Once for a process: it runs one server.
    let _ = NAMES.set(Box::new(name_of));
}

static NODE_NAMES: OnceLock<NameOf> = OnceLock::new();

/// From now on, lines call nodes by their names.
pub(crate) fn name_nodes(name_of: impl Fn(u32) -> Option<String> + Send + Sync + 'static) {
    // Once for a process: it runs one server.
    let _ = NODE_NAMES.set(Box::new(name_of));
}

static OWN_NODE: OnceLock<(u32, String)> = OnceLock::new();

/// From now on, lines call this node so, though it may not have read yet who the nodes are.
pub(crate) fn name_own_node(id: u32, name: &str) {
    // A process is one node.
    let _ = OWN_NODE.set((id, name.to_owned()));
}

/// The name of a node that `text` spells by its id, once it can be known.
fn name_of_node(text: &str) -> Option<String> {
    let id = text.strip_prefix('n')?.parse().ok()?;
    let known = NODE_NAMES.get().and_then(|name_of| name_of(id));
    known.or_else(|| OWN_NODE.get().filter(|(own, _)| *own == id).map(|(_, name)| name.clone()))
}

/// Fields that count something, though code may write them as texts.
const NUMBERS: [&str; 5] = ["generation", "incarnation", "offset", "end", "below"];

/// A line of text with the names of databases in place of their ids.
struct TextLine {
    whole: Format<Full>,
}

impl TextLine {
    fn new(is_coloured: bool) -> TextLine {
        TextLine { whole: fmt::format().with_ansi(is_coloured) }
    }
}

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = String::new();
        self.whole.format_event(ctx, Writer::new(&mut line), event)?;
        let named = with_node_names(&with_names(&line, name_of), name_of_node);
        let Some(trace) = TraceContext::current() else { return writer.write_str(&named) };
        let (trace_id, span_id) = (trace.trace_id(), trace.span_id());
        writeln!(writer, "{} trace_id={trace_id} span_id={span_id}", named.trim_end())
    }
}

/// What stands between a field and its value.
const SIGNS: [&str; 2] = ["=", "\u{1b}[0m\u{1b}[2m=\u{1b}[0m"];

/// `partition=4/2`, with or without colours, as `partition=geo/2`.
fn with_names(line: &str, name_of: impl Fn(u32) -> Option<String>) -> Cow<'_, str> {
    const FIELD: &str = "partition";
    let mut named = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(FIELD) {
        let (before, after) = rest.split_at(at + FIELD.len());
        named.push_str(before);
        rest = after;
        let Some(sign) = SIGNS.into_iter().find(|sign| after.starts_with(sign)) else { continue };
        let value = &after[sign.len()..];
        let Some((id, _)) = value.split_once('/') else { continue };
        if let Some(name) = id.parse().ok().and_then(&name_of) {
            named.push_str(sign);
            named.push_str(&name);
            rest = &value[id.len()..];
        }
    }
    if named.is_empty() {
        return Cow::Borrowed(line);
    }
    named.push_str(rest);
    Cow::Owned(named)
}

/// `node=n17` as `node=tokyo-1`, with or without colours and quotes.
fn with_node_names(line: &str, name_of: impl Fn(&str) -> Option<String>) -> String {
    const FIELD: &str = "node";
    let (mut named, mut rest) = (String::with_capacity(line.len()), line);
    while let Some(at) = rest.find(FIELD) {
        let (before, after) = rest.split_at(at + FIELD.len());
        named.push_str(before);
        rest = after;
        let Some(sign) = SIGNS.into_iter().find(|sign| after.starts_with(sign)) else { continue };
        let value = &after[sign.len()..];
        let quotes = value.len() - value.trim_start_matches('"').len();
        let value = &value[quotes..];
        let end = value.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(value.len());
        if let Some(name) = name_of(&value[..end]) {
            named.push_str(sign);
            named.push_str(&after[sign.len()..sign.len() + quotes]);
            named.push_str(&name);
            rest = &value[end..];
        }
    }
    named.push_str(rest);
    named
}

/// The name of the database `id`, once it can be known.
fn name_of(id: u32) -> Option<String> {
    NAMES.get()?(id)
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
        let mut text = String::new();
        self.own_fields.format_event(ctx, Writer::new(&mut text), event)?;
        let mut line = object(&text).ok_or(std::fmt::Error)?;
        for span in ctx.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            for (name, value) in fields.and_then(|it| object(&it.fields)).into_iter().flatten() {
                line.entry(name).or_insert(value);
            }
        }
        if let Some(trace) = TraceContext::current() {
            line.insert("trace_id".to_owned(), trace.trace_id().into());
            line.insert("span_id".to_owned(), trace.span_id().into());
            if let Some(parent_id) = trace.parent_id() {
                line.insert("parent_id".to_owned(), parent_id.into());
            }
        }
        for (name, value) in &mut line {
            if let Some(said) = value.as_str().and_then(|text| as_users_say(name, text)) {
                *value = said;
            }
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    if text.is_empty() { None } else { serde_json::from_str(text).ok() }
}

/// What a reader expects in the field `name`, if that is not the text itself.
fn as_users_say(name: &str, text: &str) -> Option<Value> {
    if name == "partition" {
        let (id, number) = text.split_once('/')?;
        let database = name_of(id.parse().ok()?)?;
        return Some(format!("{database}/{number}").into());
    }
    if name == "node" {
        return name_of_node(text).map(Value::from);
    }
    if NUMBERS.contains(&name) { text.parse::<u64>().ok().map(Value::from) } else { None }
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

    #[test]
    fn numbers_are_numbers_whoever_writes_them() {
        let [line] = &written("info", || {
            let offset = 12_u64;
            let end = 13;
            let scn = "3:1";
            tracing::info!(%offset, %end, generation = %3, %scn, partition = %"7/2", "said");
        })[..] else {
            panic!("one line")
        };
        assert_eq!((&line["generation"], &line["offset"]), (&3.into(), &12.into()), "{line}");
        assert_eq!(line["end"], 13, "{line}");
        assert_eq!((&line["scn"], &line["partition"]), (&"3:1".into(), &"7/2".into()), "{line}");
    }

    #[test]
    fn text_names_databases_as_the_command_line_does() {
        let name_of = |id| (id == 4).then(|| "geo".to_owned());
        let check = |line: &str, want: &str| assert_eq!(with_names(line, name_of), want);
        check("replica{partition=4/2 node=n1}: says", "replica{partition=geo/2 node=n1}: says");
        check("claims partition=4/2 partitions=1", "claims partition=geo/2 partitions=1");
        let coloured = |name| format!("\u{1b}[3mpartition\u{1b}[0m\u{1b}[2m=\u{1b}[0m{name}/2 x");
        check(&coloured("4"), &coloured("geo"));
        for same in ["partition=5/2", "partition served", "partition=", "partitions=4", "a 4/2"] {
            check(same, same);
        }
    }

    #[test]
    fn nodes_are_called_by_their_names() {
        let name_of = |id: &str| (id == "n17").then(|| "tokyo-1".to_owned());
        let check = |line: &str, want: &str| assert_eq!(with_node_names(line, name_of), want);
        check(
            "replica{partition=geo/2 node=n17}: says",
            "replica{partition=geo/2 node=tokyo-1}: says",
        );
        check("node=\"n17\" up", "node=\"tokyo-1\" up");
        check(
            "\u{1b}[3mnode\u{1b}[0m\u{1b}[2m=\u{1b}[0mn17 x",
            "\u{1b}[3mnode\u{1b}[0m\u{1b}[2m=\u{1b}[0mtokyo-1 x",
        );
        for same in ["node=n171", "node n17", "node=", "nodes=n17"] {
            check(same, same);
        }
    }

    #[test]
    fn a_line_of_text_has_the_names() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let lines = fmt::layer().with_ansi(false).event_format(TextLine::new(false));
        let lines = lines.with_writer(Arc::clone(&file));
        // Of no other test: an id that none of them names.
        name_databases(|id| (id == 4_711).then(|| "geo".to_owned()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let span = tracing::error_span!("replica", partition = %"4711/2", node = "n1");
            tracing::info!(parent: &span, generation = %3, "serving as leader");
            tracing::info!(partition = %"4711/3", "claiming");
        });
        let (mut file, mut text) = (file.as_ref(), String::new());
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert!(text.contains("replica{partition=geo/2 node=\"n1\"}"), "{text}");
        assert!(text.contains("claiming partition=geo/3"), "{text}");
    }

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

    #[tokio::test]
    async fn a_line_says_which_request_of_which_trace_it_is_of() {
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceContext::parse(header).expect("a trace").child(0x12);
        let lines = trace.scope(async { written("info", || tracing::info!("of it")) }).await;
        let line = &lines[0];
        assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c", "{line}");
        assert_eq!(line["span_id"], "0000000000000012", "{line}");
        assert_eq!(line["parent_id"], "b7ad6b7169203331", "{line}");
        let lines = written("info", || tracing::info!("of none"));
        assert!(lines[0].get("trace_id").is_none(), "{}", lines[0]);
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
