//! Pages of a collection and of a whole table.
//!
//! Start reading at [`collection`].

use crate::answer::{Answer, json_parts};
use crate::call::{Call, served_headers};
use crate::failure::Failure;
use crate::room::FIRST_READ_BYTES;
use crate::target::{KeyTarget, TableTarget, identity_of};
use cortado_gateway::{Consistency, Database, ListRequest, ScanPosition, ScanRequest, Table};
use cortado_model::limits::{PAGE_DOCUMENTS_DEFAULT, PAGE_DOCUMENTS_MAX};
use cortado_wire::{Code, Cursor, CursorBinding, PageWriter, Position, headers};
use http::StatusCode;

/// A page ends behind the document with which it reaches so many bytes, however few that makes.
const PAGE_BYTES_MAX: usize = 8 << 20;
/// Bytes of a page for each document, if it is a small one.
const ENTRY_BYTES: usize = 400;

/// One page of the documents that share the first parts of their keys, as of one SCN.
pub(crate) async fn collection(call: &Call<'_>, at: &KeyTarget<'_>) -> Result<Answer, Failure> {
    let KeyTarget { database, table, key: prefix } = at;
    let descending = match call.query.get("order") {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => {
            let detail = "the parameter order must be asc or desc";
            return Err(Failure::new(Code::BadParameter, detail));
        }
    };
    let binding =
        CursorBinding { prefix: prefix.as_bytes(), descending, ..binding(database, table) };
    let after = match cursor(call, &binding)? {
        None => None,
        Some(Cursor::After(key)) => Some(key),
        Some(Cursor::Scan { .. }) => return Err(bad_cursor()),
    };
    let (prefix, limit) = (prefix.clone(), limit(call)?);
    let bytes_max = FIRST_READ_BYTES;
    let mut list = ListRequest { prefix, after, descending, limit, bytes_max };
    let read = call.read_options(Some(database.partition_of(&list.prefix)))?;
    let served = loop {
        call.make_room(limit, list.bytes_max).await?;
        let served = call.services().list(database, table, &list, &read).await;
        let served = served.map_err(|error| call.read_failure(error))?;
        let is_cut = served.value.next.is_some() && served.value.documents.len() < limit;
        if !is_cut || list.bytes_max == PAGE_BYTES_MAX {
            break served;
        }
        list.bytes_max = PAGE_BYTES_MAX;
    };
    let partition = served.partition;
    let mut page = PageWriter::with_capacity(ENTRY_BYTES * served.value.documents.len());
    for (key, document) in &served.value.documents {
        let position = Position { partition, scn: document.head.scn };
        page.push(key, document.head.etag, position, &document.json());
    }
    let next = served.value.next.map(|key| Cursor::After(key).encode(&binding));
    let mut answer = json_parts(StatusCode::OK, page.finish(next.as_deref()));
    let fields = answer.headers_mut();
    served_headers(fields, served.node, served.role, call.catalog);
    fields.insert(headers::SESSION, call.session_header(database, &[(partition, served.applied)]));
    Ok(answer)
}

/// One page of a whole table, partition after partition.
pub(crate) async fn table(call: &Call<'_>, at: TableTarget<'_>) -> Result<Answer, Failure> {
    let TableTarget { database, table } = at;
    let binding = binding(database, table);
    let position = match cursor(call, &binding)? {
        None => None,
        Some(Cursor::Scan { partition, after }) => Some(ScanPosition { partition, after }),
        Some(Cursor::After(_)) => return Err(bad_cursor()),
    };
    let mut scan = ScanRequest { position, limit: limit(call)?, bytes_max: FIRST_READ_BYTES };
    let mut read = call.read_options(None)?;
    if read.consistency == Consistency::Session && call.session.is_some() {
        // A page may span partitions, each with a position of its own; this keeps all promises.
        read.consistency = Consistency::Strong;
    }
    let served = loop {
        call.make_room(scan.limit, scan.bytes_max).await?;
        let served = call.services().scan(database, table, &scan, &read).await;
        let served = served.map_err(|error| call.read_failure(error))?;
        let is_cut = served.next.is_some() && served.documents.len() < scan.limit;
        if !is_cut || scan.bytes_max == PAGE_BYTES_MAX {
            break served;
        }
        scan.bytes_max = PAGE_BYTES_MAX;
    };
    let mut page = PageWriter::with_capacity(ENTRY_BYTES * served.documents.len());
    for (partition, key, document) in &served.documents {
        let position = Position { partition: *partition, scn: document.head.scn };
        page.push(key, document.head.etag, position, &document.json());
    }
    let next = served.next.map(|ScanPosition { partition, after }| {
        Cursor::Scan { partition, after }.encode(&binding)
    });
    let mut answer = json_parts(StatusCode::OK, page.finish(next.as_deref()));
    let fields = answer.headers_mut();
    served_headers(fields, served.node, served.role, call.catalog);
    fields.insert(headers::SESSION, call.session_header(database, &served.applied));
    Ok(answer)
}

fn binding<'b>(database: &Database, table: &Table) -> CursorBinding<'b> {
    let (database, table) = (identity_of(database), table.id.0);
    CursorBinding { database, table, prefix: b"", descending: false }
}

fn limit(call: &Call<'_>) -> Result<usize, Failure> {
    let given = call.query.number("limit", 1, PAGE_DOCUMENTS_MAX as u64)?;
    // At most 1,000, as just checked.
    Ok(given.map_or(PAGE_DOCUMENTS_DEFAULT, |limit| limit as usize))
}

fn cursor(call: &Call<'_>, binding: &CursorBinding<'_>) -> Result<Option<Cursor>, Failure> {
    let Some(text) = call.query.get("cursor") else { return Ok(None) };
    Cursor::parse(text, binding).map(Some).map_err(|_| bad_cursor())
}

fn bad_cursor() -> Failure {
    let detail = "invalid cursor: pass next from the previous page of this list";
    Failure::new(Code::BadCursor, detail)
}
