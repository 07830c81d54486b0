//! Many documents in one answer.
//!
//! Start reading at [`get`].

use crate::answer::{Answer, json_parts};
use crate::body::ReceivedBody;
use crate::call::{Call, served_headers};
use crate::confirmed::confirmed;
use crate::failure::Failure;
use crate::json_body;
use crate::room::FIRST_READ_BYTES;
use crate::services::BatchItem;
use crate::status;
use crate::target::find_table;
use cortado_gateway::{Database, ReadOptions, Served, ServedRole, StoredDocument};
use cortado_model::limits::OPERATIONS_MAX;
use cortado_model::{DocumentKey, NodeId, Scn, TableId};
use cortado_wire::{BatchBody, BatchKey, Code, JsonText, Position, headers};
use http::StatusCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of documents in one answer; those beyond are to be asked for again.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Answers each key with its own status, in the order asked.
pub(crate) async fn get(
    call: &Call<'_>,
    database: &Arc<Database>,
    body: ReceivedBody,
) -> Result<Answer, Failure> {
    let asked: BatchBody<'_> = json_body::read(&body)?;
    match asked.keys.len() {
        0 => return Err(Failure::new(Code::EmptyBatch, "a batch requires at least one key")),
        1..=OPERATIONS_MAX => {}
        _ => {
            let detail = format!("a batch takes at most {OPERATIONS_MAX} keys");
            return Err(Failure::new(Code::TooManyOperations, detail));
        }
    }
    let mut wanted = Wanted::of(database, &asked.keys)?;
    if wanted.places.contains(&None) {
        wanted = Wanted::of(&*confirmed(call, database).await?, &asked.keys)?;
    }
    let read = call.read_options(None)?;
    let found = wanted.read(call, database, &read).await?;
    let mut results = Results::new();
    for (key, place) in asked.keys.iter().zip(&wanted.places) {
        match place.and_then(|place| found.get(place)) {
            None => results.refused(key, Code::NoSuchTable),
            Some(None) => results.refused(key, Code::AnswerTooLarge),
            Some(Some(Ok(served))) => results.served(key, served),
            Some(Some(Err(error))) => {
                results.refused(key, call.read_failure(error.clone()).code());
            }
        }
    }
    results.json.raw(b"]}");
    let session = call.session_header(database, &results.observed);
    let mut answer = json_parts(StatusCode::OK, results.json);
    let fields = answer.headers_mut();
    if let Some((node, role)) = results.last_served {
        served_headers(fields, node, role, call.catalog);
    }
    fields.insert(headers::SESSION, session);
    Ok(answer)
}

/// The documents that a batch asks for, each of them once.
#[derive(Default)]
struct Wanted {
    keys: Vec<(TableId, DocumentKey)>,
    known: BTreeMap<(TableId, DocumentKey), usize>,
    /// For each key that was asked for: where it stands in `keys`; `None` without a table.
    places: Vec<Option<usize>>,
}

impl Wanted {
    /// # Errors
    /// A key breaks a rule, or the name of its table does.
    fn of(database: &Database, keys: &[BatchKey<'_>]) -> Result<Wanted, Failure> {
        let mut wanted = Wanted::default();
        for (index, key) in keys.iter().enumerate() {
            let place = locate(database, key).map_err(|failure| failure.with_operation(index))?;
            wanted.push(place);
        }
        Ok(wanted)
    }

    fn push(&mut self, asked: Option<(TableId, DocumentKey)>) {
        let place = asked.map(|asked| {
            *self.known.entry(asked).or_insert_with_key(|asked| {
                self.keys.push(asked.clone());
                self.keys.len() - 1
            })
        });
        self.places.push(place);
    }

    /// Reads them; `None` for those that are not read, since the answer is full without them.
    ///
    /// # Errors
    /// There is no room for answers.
    async fn read(
        &self,
        call: &Call<'_>,
        database: &Database,
        read: &ReadOptions,
    ) -> Result<Vec<BatchItem>, Failure> {
        let seen = |partition: u32| call.seen(partition);
        let mut bytes_max = FIRST_READ_BYTES;
        loop {
            call.make_room(self.keys.len(), bytes_max).await?;
            let services = call.services();
            let found = services.batch_get(database, &self.keys, &seen, bytes_max, read).await;
            if found.iter().all(Option::is_some) || bytes_max == ANSWER_BYTES_MAX {
                return Ok(found);
            }
            bytes_max = ANSWER_BYTES_MAX;
        }
    }
}

/// The document that a key names; `None` if its table does not exist.
fn locate(
    database: &Database,
    key: &BatchKey<'_>,
) -> Result<Option<(TableId, DocumentKey)>, Failure> {
    let table = match find_table(database, &key.table) {
        Ok(table) => table,
        Err(failure) if failure.code() == Code::NoSuchTable => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let key = json_body::key_in_body(&key.key, table)?;
    Ok(Some((table.id, key)))
}

/// The results so far.
struct Results {
    json: JsonText,
    document_bytes: usize,
    observed: Vec<(u32, Scn)>,
    last_served: Option<(NodeId, ServedRole)>,
}

impl Results {
    fn new() -> Results {
        let mut json = JsonText::with_capacity(4_096);
        json.raw(br#"{"results":["#);
        Results { json, document_bytes: 0, observed: Vec::new(), last_served: None }
    }

    fn served(&mut self, key: &BatchKey<'_>, served: &Served<Option<StoredDocument>>) {
        self.observed.push((served.partition, served.applied));
        self.last_served = Some((served.node, served.role));
        let Some(document) = &served.value else {
            return self.refused(key, Code::NoSuchDocument);
        };
        let json = document.json();
        self.document_bytes += json.len();
        if self.document_bytes > ANSWER_BYTES_MAX {
            return self.refused(key, Code::AnswerTooLarge);
        }
        self.begin(key, StatusCode::OK);
        self.json.raw(br#","etag":"#).etag(document.head.etag);
        let position = Position { partition: served.partition, scn: document.head.scn };
        self.json.raw(br#","scn":"#).position(position);
        self.json.raw(br#","value":"#).document(&json).raw(b"}");
    }

    fn refused(&mut self, key: &BatchKey<'_>, code: Code) {
        self.begin(key, status::of_code(code));
        self.json.raw(br#","code":"#).string(code.name()).raw(b"}");
    }

    fn begin(&mut self, key: &BatchKey<'_>, status: StatusCode) {
        let is_first = self.json.len() == br#"{"results":["#.len();
        self.json.raw(if is_first { br#"{"status":"# } else { br#",{"status":"# });
        self.json.number(u64::from(status.as_u16()));
        self.json.raw(br#","table":"#).string(&key.table);
        let mut before = br#","key":["#.as_slice();
        for part in &key.key {
            self.json.raw(before).string(part);
            before = b",";
        }
        self.json.raw(b"]");
    }
}
