//! The routes of one document.
//!
//! Start reading at [`get`], the hottest, then [`put`].

use crate::answer::{Answer, Content, JSON, empty, etag_header, json_text};
use crate::body::ReceivedBody;
use crate::call::{Call, position_header, served_headers};
use crate::dates::last_modified;
use crate::failure::Failure;
use crate::refusal;
use crate::status;
use crate::target::KeyTarget;
use bytes::Bytes;
use cortado_document::{
    Condition, Document, DocumentAction, Done, JsonPatch, MergePatch, Operation, Unmet,
};
use cortado_gateway::{IdempotencyKey, WriteReceipt, WriteRequest};
use cortado_model::Etag;
use cortado_wire::media::JSON_PATCH;
use cortado_wire::{Code, Position, headers, write_answer};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use std::borrow::Cow;
use xxhash_rust::xxh3::Xxh3;

/// Header fields of the answer to a read, those that every answer has among them.
const FIELDS: usize = 12;

/// `GET`: the document, or that it has not changed.
pub(crate) async fn get(call: &Call<'_>, at: &KeyTarget<'_>) -> Result<Answer, Failure> {
    let KeyTarget { database, table, key } = at;
    let partition = database.partition_of(key);
    let read = call.read_options(Some(partition))?;
    let condition = call.fields.condition()?;
    let served = call.services().get(database, table, key, &read).await;
    let served = served.map_err(|error| call.read_failure(error))?;
    let mut fields = HeaderMap::with_capacity(FIELDS);
    served_headers(&mut fields, served.node, served.role, call.catalog);
    fields.insert(
        headers::SESSION,
        call.session_header(database, &[(served.partition, served.applied)]),
    );
    let Some(document) = served.value else {
        let failure = Failure::new(Code::NoSuchDocument, "the document does not exist");
        return Err(with_headers(failure, fields));
    };
    let position = Position { partition: served.partition, scn: document.head.scn };
    fields.insert(headers::SCN, position_header(position));
    fields.insert(header::ETAG, etag_header(document.head.etag));
    fields.insert(header::LAST_MODIFIED, last_modified(document.head.time));
    if !condition.is_empty() || call.fields.if_modified_since().is_some() {
        match judge(call, &condition, document.head.etag, document.head.time.0 / 1_000) {
            Judged::Met => {}
            Judged::NotModified => {
                let mut answer = empty(StatusCode::NOT_MODIFIED);
                *answer.headers_mut() = fields;
                return Ok(answer);
            }
            Judged::Failed => {
                let current = Some(document.head.etag);
                return Err(with_headers(refusal::of_condition(Unmet::IfMatch, current), fields));
            }
        }
    }
    fields.insert(header::CONTENT_TYPE, JSON);
    let mut answer = Response::new(Content::Whole(document.json()));
    *answer.headers_mut() = fields;
    Ok(answer)
}

enum Judged {
    Met,
    NotModified,
    Failed,
}

/// Judges a read's conditions in the order of RFC 9110, section 13.2.2.
fn judge(call: &Call<'_>, condition: &Condition, etag: Etag, changed_s: u64) -> Judged {
    match condition.judge(Some(etag)) {
        Err(Unmet::IfMatch) => Judged::Failed,
        Err(Unmet::IfNoneMatch) => Judged::NotModified,
        Ok(()) if condition.if_none_match.is_some() => Judged::Met,
        Ok(()) => match call.fields.if_modified_since() {
            Some(since_s) if changed_s <= since_s => Judged::NotModified,
            Some(_) | None => Judged::Met,
        },
    }
}

/// `PUT`: the whole new value.
pub(crate) async fn put(
    call: &Call<'_>,
    at: &KeyTarget<'_>,
    body: ReceivedBody,
) -> Result<Answer, Failure> {
    write(call, at, DocumentAction::Put { value: whole_value(&body)? }, &body).await
}

/// The body as a whole value.
pub(crate) fn whole_value(body: &ReceivedBody) -> Result<Document, Failure> {
    let value = Document::parse(body.bytes.clone());
    value.map_err(|error| refusal::of_json(error, Code::DocumentTooLarge))
}

/// `PATCH`: parts of a value, as a merge patch or as steps.
pub(crate) async fn patch(
    call: &Call<'_>,
    at: &KeyTarget<'_>,
    body: ReceivedBody,
) -> Result<Answer, Failure> {
    let action = if body.media_type == JSON_PATCH {
        let patch = JsonPatch::parse(&body.bytes).map_err(refusal::of_patch)?;
        DocumentAction::JsonPatch { patch }
    } else {
        let patch = MergePatch::parse(&body.bytes);
        let patch = patch.map_err(|error| refusal::of_json(error, Code::BodyTooLarge))?;
        DocumentAction::Merge { patch }
    };
    write(call, at, action, &body).await
}

/// `DELETE`.
pub(crate) async fn delete(
    call: &Call<'_>,
    at: &KeyTarget<'_>,
    body: ReceivedBody,
) -> Result<Answer, Failure> {
    write(call, at, DocumentAction::Delete, &body).await
}

async fn write(
    call: &Call<'_>,
    at: &KeyTarget<'_>,
    action: DocumentAction,
    body: &ReceivedBody,
) -> Result<Answer, Failure> {
    let condition = call.fields.condition()?;
    let idempotency = idempotency(call, body)?;
    // Understood, though a write has one level only.
    call.fields.consistency()?;
    let (table, key) = (at.table.id, at.key.clone());
    let operations = vec![Operation { table, key, action, condition }];
    let request = WriteRequest { operations, idempotency, deadline: call.deadline };
    let written = call.services().write(at.database, request).await;
    let written = written.map_err(|error| refusal::of_write(error).without_operation())?;
    answer(call, at, &written)
}

/// What a write of one document answers.
pub(crate) fn answer(
    call: &Call<'_>,
    at: &KeyTarget<'_>,
    written: &WriteReceipt,
) -> Result<Answer, Failure> {
    let position = Position { partition: written.partition, scn: written.scn };
    let done = written.results.first().copied().unwrap_or(Done::Missing);
    let session = call.session_header(at.database, &[(written.partition, written.scn)]);
    let mut answer = match done {
        Done::Missing => {
            let failure = Failure::new(Code::NoSuchDocument, "the document does not exist");
            let failure = failure.with_header(headers::SESSION, session);
            return Err(if written.repeated {
                failure.with_header(headers::REPEATED, HeaderValue::from_static("true"))
            } else {
                failure
            });
        }
        Done::Deleted => empty(status::of_done(done)),
        Done::Created | Done::Replaced | Done::Patched | Done::Checked => {
            let text = write_answer(&at.key, written.etag, position);
            let mut answer = json_text(status::of_done(done), text);
            let fields = answer.headers_mut();
            fields.insert(header::ETAG, etag_header(written.etag));
            fields.insert(header::LAST_MODIFIED, last_modified(written.time));
            answer
        }
    };
    let fields = answer.headers_mut();
    fields.insert(headers::SESSION, session);
    fields.insert(headers::SCN, position_header(position));
    if written.repeated {
        fields.insert(headers::REPEATED, HeaderValue::from_static("true"));
    }
    Ok(answer)
}

/// How a repetition of this write is recognised: by method, path, conditions and body.
///
/// # Errors
/// The key or its time-to-live cannot be one.
pub(crate) fn idempotency(
    call: &Call<'_>,
    body: &ReceivedBody,
) -> Result<Option<IdempotencyKey>, Failure> {
    let ttl_ms = call.fields.idempotency_ttl_ms()?;
    let Some(key) = call.fields.idempotency_key()? else { return Ok(None) };
    let (method, conditions) = (call.method, call.fields.raw_conditions());
    let fingerprint = fingerprint(method, call.captures.table, call.captures.key, conditions, body);
    Ok(Some(IdempotencyKey { key: Bytes::copy_from_slice(key), fingerprint, ttl_ms }))
}

fn fingerprint(
    method: &Method,
    table: &str,
    key: &[Cow<'_, str>],
    conditions: [Option<&[u8]>; 2],
    body: &ReceivedBody,
) -> u128 {
    let mut hash = Xxh3::new();
    let mut add = |piece: &[u8]| {
        hash.update(&(piece.len() as u64).to_be_bytes());
        hash.update(piece);
    };
    add(method.as_str().as_bytes());
    add(table.as_bytes());
    for part in key {
        add(part.as_bytes());
    }
    for condition in conditions {
        add(condition.map_or(b"-".as_slice(), |_| b"+"));
        add(condition.unwrap_or_default());
    }
    add(body.media_type.as_bytes());
    add(&body.bytes);
    hash.digest128()
}

fn with_headers(failure: Failure, fields: HeaderMap) -> Failure {
    fields.into_iter().fold(failure, |failure, (name, value)| match name {
        Some(name) => failure.with_header(name, value),
        None => failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn writes_that_differ_in_anything_have_other_fingerprints() {
        let of =
            |method, table, key: &[&'static str], conditions: [Option<&'static str>; 2], body| {
                let key: Vec<_> = key.iter().map(|part| Cow::Borrowed(*part)).collect();
                let (media_type, bytes) = body;
                let body = ReceivedBody { bytes: Bytes::from_static(bytes), media_type };
                fingerprint(&method, table, &key, conditions.map(|c| c.map(str::as_bytes)), &body)
            };
        let (none, json) = ([None, None], ("application/json", b"{}".as_slice()));
        let fingerprints = [
            of(Method::PUT, "t", &["a", "b"], none, json),
            of(Method::POST, "t", &["a", "b"], none, json),
            of(Method::PUT, "u", &["a", "b"], none, json),
            of(Method::PUT, "ta", &["b"], none, json),
            of(Method::PUT, "t", &["ab"], none, json),
            of(Method::PUT, "t", &["a", "b", ""], none, json),
            of(Method::PUT, "t", &["a", "b"], [Some("*"), None], json),
            of(Method::PUT, "t", &["a", "b"], [None, Some("*")], json),
            of(Method::PUT, "t", &["a", "b"], [Some(""), None], json),
            of(Method::PUT, "t", &["a", "b"], none, ("application/x", b"{}")),
            of(Method::PUT, "t", &["a", "b"], none, ("application/json", b"[]")),
            of(Method::PUT, "t", &["a", "b"], none, ("application/json", b"")),
        ];
        let different: BTreeSet<u128> = fingerprints.into_iter().collect();
        assert_eq!(different.len(), fingerprints.len());
        assert_eq!(of(Method::PUT, "t", &["a", "b"], none, json), fingerprints[0]);
    }
}
