//! `cortado put`, `get`, `patch`, `delete` and `list`.
//!
//! Start reading at [`put`].

use crate::body_argument::BodyArgument;
use crate::failure::{Exit, Failure};
use crate::names;
use crate::output::{Columns, shortened, tell};
use crate::place::{DocumentPlace, Place, spelled};
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::stdout;
use clap::{Args, ValueEnum};
use cortado_client::{
    Client, ClientError, Condition, Consistency, Found, Order, Pages, PatchKind, ReadOptions,
    WriteOptions, Written,
};
use cortado_wire::{Code, ListedDocument};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::cmp::Ordering;
use std::fmt;
use std::io::{self, Write};

/// Conditions and the name of a write.
#[derive(Debug, Args)]
struct WriteArguments {
    /// Only if the document has this etag (`*`: if it exists)
    #[arg(long, value_name = "ETAG", conflicts_with = "if_none_match")]
    if_match: Option<String>,
    /// Only if there is no such document (`*`)
    #[arg(long, value_name = "*", value_parser = ["*"])]
    if_none_match: Option<String>,
    /// Idempotency key: a retry with the same key returns the first answer
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl WriteArguments {
    fn options(&self) -> WriteOptions<'_> {
        let condition = match (self.if_match.as_deref(), &self.if_none_match) {
            (Some("*"), _) => Some(Condition::Exists),
            (Some(etag), _) => Some(Condition::Etag(etag.trim_matches('"'))),
            (None, Some(_)) => Some(Condition::Absent),
            (None, None) => None,
        };
        let idempotency_key = self.idempotency_key.as_deref();
        WriteOptions { idempotency_key, condition, ..WriteOptions::default() }
    }
}

/// What `cortado put` is told.
#[derive(Debug, Args)]
pub(crate) struct PutArguments {
    /// DB/TABLE/KEY…
    #[arg(add = names::documents())]
    document: DocumentPlace,
    /// A JSON object: the text, @FILE, or - for standard input
    body: BodyArgument,
    #[command(flatten)]
    write: WriteArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Creates or replaces a document.
pub(crate) fn put(arguments: &PutArguments) -> Result<Exit, Failure> {
    let PutArguments { document: DocumentPlace(place), body, write, output, server } = arguments;
    let body = body.read()?;
    let table = place.table(&server.client());
    let written = block_on(async {
        table.put(&place.key, body, &write.options()).await.map_err(Failure::of_write)
    })?;
    let verb = if written.is_new { "created" } else { "replaced" };
    report_written(verb, &written, *output)
}

/// What `cortado patch` is told.
#[derive(Debug, Args)]
pub(crate) struct PatchArguments {
    /// DB/TABLE/KEY…
    #[arg(add = names::documents())]
    document: DocumentPlace,
    /// A JSON object of members to set (null removes one), or a JSON array of RFC 6902 steps: the
    /// text, @FILE, or - for standard input
    body: BodyArgument,
    #[command(flatten)]
    write: WriteArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Changes a part of a document.
pub(crate) fn patch(arguments: &PatchArguments) -> Result<Exit, Failure> {
    let PatchArguments { document: DocumentPlace(place), body, write, output, server } = arguments;
    let body = body.read()?;
    let is_list = body.trim_ascii_start().first() == Some(&b'[');
    let kind = if is_list { PatchKind::Json } else { PatchKind::Merge };
    let table = place.table(&server.client());
    let written = block_on(async {
        let patched = table.patch(&place.key, kind, body, &write.options()).await;
        patched.map_err(Failure::of_write)
    })?;
    report_written("patched", &written, *output)
}

fn report_written(verb: &str, written: &Written, output: OutputArguments) -> Result<Exit, Failure> {
    let Written { etag, scn, .. } = written;
    match output.form_of_report() {
        Form::Table => writeln!(stdout(), "{verb}, etag {etag}, scn {scn}")?,
        Form::Json => {
            let report = serde_json::json!({"done": verb, "etag": etag, "scn": scn});
            writeln!(stdout(), "{report}")?;
        }
    }
    Ok(Exit::Done)
}

/// What `cortado delete` is told.
#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    /// DB/TABLE/KEY…
    #[arg(add = names::documents())]
    document: DocumentPlace,
    #[command(flatten)]
    write: WriteArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Removes a document.
pub(crate) fn delete(arguments: &DeleteArguments) -> Result<Exit, Failure> {
    let DeleteArguments { document: DocumentPlace(place), write, output, server } = arguments;
    let table = place.table(&server.client());
    let existed = block_on(async {
        table.delete(&place.key, &write.options()).await.map_err(Failure::of_write)
    })?;
    if !existed {
        return Err(no_such_document());
    }
    match output.form_of_report() {
        Form::Table => writeln!(stdout(), "deleted")?,
        Form::Json => writeln!(stdout(), r#"{{"done":"deleted"}}"#)?,
    }
    Ok(Exit::Done)
}

/// How a read is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ConsistencyArgument {
    Strong,
    Strict,
    Session,
    Eventual,
}

impl ConsistencyArgument {
    fn level(self) -> Consistency {
        match self {
            ConsistencyArgument::Strong => Consistency::Strong,
            ConsistencyArgument::Strict => Consistency::Strict,
            ConsistencyArgument::Session => Consistency::Session,
            ConsistencyArgument::Eventual => Consistency::Eventual,
        }
    }
}

/// What `cortado get` is told.
#[derive(Debug, Args)]
pub(crate) struct GetArguments {
    /// DB/TABLE/KEY…
    #[arg(add = names::documents())]
    document: DocumentPlace,
    /// Consistency level of the read
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "strong")]
    consistency: ConsistencyArgument,
    /// Print etag and SCN too
    #[arg(long)]
    meta: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Prints a document: as it is stored, or its members in columns.
pub(crate) fn get(arguments: &GetArguments) -> Result<Exit, Failure> {
    let GetArguments { document: DocumentPlace(place), meta, .. } = arguments;
    let client = arguments.server.client();
    let read = ReadOptions { consistency: arguments.consistency.level(), session: None };
    let found = block_on(async {
        match place.table(&client).get(&place.key, &read).await {
            Ok(found) => found.ok_or_else(no_such_document),
            Err(error) => Err(misplaced(place, &client, error).await),
        }
    })?;
    match arguments.output.form_of_document() {
        Form::Json => print_document(&found, *meta)?,
        Form::Table => print_members(&found, *meta)?,
    }
    Ok(Exit::Done)
}

fn print_document(found: &Found, meta: bool) -> io::Result<()> {
    let mut out = stdout();
    if meta {
        write!(out, r#"{{"etag":"{}","scn":"{}","value":"#, found.etag, found.scn)?;
        out.write_all(&found.value)?;
        writeln!(out, "}}")
    } else {
        out.write_all(&found.value)?;
        writeln!(out)
    }
}

fn print_members(found: &Found, meta: bool) -> Result<(), Failure> {
    let members: Members<'_> = serde_json::from_slice(&found.value).map_err(Failure::new)?;
    let mut columns = Columns::new(&["member", "value"]);
    if meta {
        columns.add(vec!["(etag)".to_owned(), found.etag.clone()]);
        columns.add(vec!["(scn)".to_owned(), found.scn.to_string()]);
    }
    for (name, value) in &members.0 {
        columns.add(vec![shortened(name), shortened(value.get())]);
    }
    Ok(columns.print()?)
}

/// An object's members in their order, each value as it is written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Members<'a>, D::Error> {
        from.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

fn no_such_document() -> Failure {
    Failure::new("there is no such document")
        .next("`cortado list DB/TABLE/FIRST-PARTS` shows the keys that exist")
}

/// Why a read of `place` failed: perhaps a collection and a document were taken for each other.
async fn misplaced(place: &Place, client: &Client, error: ClientError) -> Failure {
    // A collection has no etag, and a document no pages: only then it is worth a look.
    if !matches!(error, ClientError::BadAnswer { .. })
        && error.code() != Some(Code::UnknownParameter)
    {
        return error.into();
    }
    let declared = client.database_declaration(&place.database).await.ok();
    let table = declared.as_ref().and_then(|declared| declared.tables.get(&place.table));
    let Some(parts) = table.map(|table| &table.key) else { return error.into() };
    let (given, names) = (place.key.len(), parts.join(", "));
    match (&error, given.cmp(&parts.len())) {
        (ClientError::BadAnswer { .. }, Ordering::Less) => Failure::new(format!(
            "{place} names a collection: it has {given} of the parts of the key ({names})"
        ))
        .next(format!("`cortado list {place}` lists it")),
        (ClientError::Refused(_), Ordering::Equal) => {
            Failure::new(format!("{place} names a document: it has all parts of the key ({names})"))
                .next(format!("`cortado get {place}` prints it"))
        }
        _ => error.into(),
    }
}

/// What `cortado list` is told.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// DB/TABLE (partition after partition), or DB/TABLE/KEY… with the first parts of the key
    #[arg(add = names::tables())]
    place: Place,
    /// All documents
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Maximum number of documents
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// In descending order of keys
    #[arg(long)]
    descending: bool,
    /// Continue where an earlier list ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Consistency level of the read
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "strong")]
    consistency: ConsistencyArgument,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Lists documents: JSON lines `{"key","etag","scn","value"}`, or columns.
pub(crate) fn list(arguments: &ListArguments) -> Result<Exit, Failure> {
    let client = arguments.server.client();
    let pages = arguments.pages(&client)?;
    let limit = if arguments.all { usize::MAX } else { arguments.limit };
    let form = arguments.output.form();
    let next = block_on(async {
        let printed = print_pages(pages, limit, form).await?;
        match printed {
            Ok(next) => Ok(next),
            Err(error) => Err(misplaced(&arguments.place, &client, error).await),
        }
    })?;
    if let Some(cursor) = next {
        tell(&format!("there is more: --all, a higher --limit, or --cursor {cursor}"));
    }
    Ok(Exit::Done)
}

/// The most that one page holds.
const PAGE_DOCUMENTS: usize = 1_000;

impl ListArguments {
    fn pages(&self, client: &Client) -> Result<Pages, Failure> {
        let Place { key, .. } = &self.place;
        if self.descending && key.is_empty() {
            return Err(Failure::usage(
                "--descending needs a key prefix: a whole table has no order",
            )
            .next("give at least the first part of the key"));
        }
        let limit = if self.all { PAGE_DOCUMENTS } else { self.limit.clamp(1, PAGE_DOCUMENTS) };
        let table = self.place.table(client);
        let order = if self.descending { Order::Descending } else { Order::Ascending };
        let pages = if key.is_empty() { table.scan(limit) } else { table.list(key, order, limit) };
        let pages = pages.with_consistency(self.consistency.level());
        Ok(match &self.cursor {
            Some(cursor) => pages.from_cursor(cursor.clone()),
            None => pages,
        })
    }
}

/// Prints up to `limit` documents; answers where the rest begins, or what the server said instead.
async fn print_pages(
    mut pages: Pages,
    limit: usize,
    form: Form,
) -> io::Result<Result<Option<String>, ClientError>> {
    let mut left = limit;
    while left > 0 {
        let documents = match pages.next().await {
            Ok(Some(page)) => page.documents,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error)),
        };
        let count = documents.len().min(left);
        left -= count;
        match form {
            Form::Json => print_entries(&documents[..count])?,
            Form::Table => print_columns(&documents[..count])?,
        }
        if count < documents.len() {
            // The cursor names the end of the page, not the place where we stopped.
            return Ok(Ok(None));
        }
    }
    Ok(Ok(pages.cursor().map(str::to_owned)))
}

fn print_entries(entries: &[ListedDocument]) -> io::Result<()> {
    let mut out = stdout();
    for ListedDocument { key, etag, scn, value } in entries {
        let key = serde_json::to_string(key)?;
        writeln!(out, r#"{{"key":{key},"etag":"{etag}","scn":"{scn}","value":{value}}}"#)?;
    }
    Ok(())
}

fn print_columns(entries: &[ListedDocument]) -> io::Result<()> {
    let mut columns = Columns::new(&["key", "value"]);
    for entry in entries {
        columns.add(vec![spelled(&entry.key), shortened(entry.value.get())]);
    }
    columns.print()
}

/// Shown below the options of `cortado put`.
pub(crate) const PUT_HELP: &str = "\
Examples:
  cortado put geo/place/JP/40/Kitakyushu '{\"lat\":33.85,\"lng\":130.85}'
  cortado put geo/place/JP/40/Kitakyushu @place.json --if-match a1b2
  echo '{}' | cortado put geo/place/JP/40/new - --if-none-match '*'
  cortado put shop/order/c7/1 @order.json --idempotency-key $(uuidgen)";

/// Shown below the options of `cortado get`.
pub(crate) const GET_HELP: &str = "\
Examples:
  cortado get geo/place/JP/40/Kitakyushu
  cortado get geo/place/AT/02/Bleiburg%2FPliberk      a slash inside a part is %2F
  cortado get geo/place/JP/40/Kitakyushu --consistency eventual --meta
  cortado get geo/place/JP/40/Kitakyushu --output table            its members, in columns";

/// Shown below the options of `cortado patch`.
pub(crate) const PATCH_HELP: &str = "\
Examples:
  cortado patch geo/place/JP/40/Kitakyushu '{\"population\":924601,\"old\":null}'
  cortado patch geo/place/JP/40/Kitakyushu '[{\"op\":\"test\",\"path\":\"/lat\",\"value\":33.85}]'";

/// Shown below the options of `cortado delete`.
pub(crate) const DELETE_HELP: &str = "\
Examples:
  cortado delete geo/place/JP/40/Kitakyushu
  cortado delete geo/place/JP/40/Kitakyushu --if-match a1b2      only this state of it";

/// Shown below the options of `cortado list`.
pub(crate) const LIST_HELP: &str = "\
Examples:
  cortado list geo/place/JP/40              the places of one division, in order
  cortado list geo/place/JP --descending --limit 10
  cortado list geo/place --all              the whole table; `cortado export` is made for that";
