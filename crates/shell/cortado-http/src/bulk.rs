//! Many writes, each for itself.
//!
//! What is malformed refuses the whole request; what a table, a state or a limit refuses is the
//! result of its operation. Start reading at [`write`].

use crate::answer::{Answer, json};
use crate::body::ReceivedBody;
use crate::call::Call;
use crate::confirmed::confirmed;
use crate::failure::Failure;
use crate::json_body;
use crate::refusal;
use crate::status;
use crate::transaction::{etag_of, operation};
use bytes::Bytes;
use cortado_document::{JsonError, JsonLimits, Operation, check_json};
use cortado_gateway::{BulkKey, BulkOperation, BulkRequest, Database, WriteError, WriteReceipt};
use cortado_model::Scn;
use cortado_model::limits::OPERATIONS_MAX;
use cortado_wire::media::NDJSON;
use cortado_wire::{
    BulkAnswer, BulkBody, BulkFailure, BulkResult, Code, OperationBody, OperationKind, Position,
    headers, read_object,
};
use http::StatusCode;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// The name of the route.
pub(crate) const ID: &str = "bulk";

/// Carries out each operation of the body for itself.
pub(crate) async fn write(
    call: &Call<'_>,
    database: &Arc<Database>,
    body: ReceivedBody,
) -> Result<Answer, Failure> {
    let texts = texts(&body)?;
    if texts.is_empty() {
        return Err(Failure::new(Code::EmptyTransaction, "a bulk requires at least one operation"));
    }
    if !call.fields.condition()?.is_empty() {
        let detail = "a bulk takes its conditions in its operations, not in headers";
        return Err(Failure::new(Code::BadHeader, detail));
    }
    let idempotency = idempotency(call)?;
    call.fields.consistency()?;
    let mut asked = read_all(database, &texts, &body.bytes)?;
    let lacks_table = |(_, asked): &Asked| {
        asked.as_ref().is_err_and(|failure| failure.code() == Code::NoSuchTable)
    };
    if asked.iter().any(lacks_table) {
        asked = read_all(&*confirmed(call, database).await?, &texts, &body.bytes)?;
    }
    let mut results = Vec::with_capacity(texts.len());
    let mut operations = Vec::with_capacity(texts.len());
    for ((text, (key, asked)), index) in texts.into_iter().zip(asked).zip(0..) {
        let mut result = BulkResult { key, ..BulkResult::default() };
        match asked {
            Ok(operation) => {
                let fingerprint = fingerprint(text);
                operations.push(BulkOperation { operation, index, fingerprint });
            }
            Err(failure) => refuse(&mut result, failure),
        }
        results.push(result);
    }
    let asked = operations.iter().map(|operation| usize::from(operation.index)).collect();
    let request = BulkRequest { operations, idempotency, deadline: call.deadline };
    let ended = call.services().bulk(database, request).await;
    let observed = fill(call, &mut results, asked, ended);
    let mut answer = json(StatusCode::OK, &BulkAnswer { results });
    answer.headers_mut().insert(headers::SESSION, call.session_header(database, &observed));
    Ok(answer)
}

/// The operations as they were sent.
fn texts(body: &ReceivedBody) -> Result<Vec<&[u8]>, Failure> {
    let mut texts: Vec<&[u8]> = Vec::new();
    if body.media_type == NDJSON {
        let lines = body.bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        texts.extend(lines.filter(|line| !line.is_empty()).take(OPERATIONS_MAX + 1));
    } else {
        // Each operation is checked strictly by itself; of a body without them, the whole is.
        let asked = read_object::<BulkBody<'_>>(&body.bytes);
        let asked = asked.or_else(|_| json_body::read::<BulkBody<'_>>(body))?;
        texts.extend(asked.operations.iter().map(|text| text.get().as_bytes()));
    }
    if texts.len() > OPERATIONS_MAX {
        let detail = format!("a bulk takes at most {OPERATIONS_MAX} operations");
        return Err(Failure::new(Code::TooManyOperations, detail));
    }
    Ok(texts)
}

/// One operation: its key, and what it asks for, or why that can never be done.
type Asked = (Vec<String>, Result<Operation, Failure>);

/// All operations of a body.
///
/// # Errors
/// One is malformed.
fn read_all(database: &Database, texts: &[&[u8]], body: &Bytes) -> Result<Vec<Asked>, Failure> {
    let each = texts.iter().enumerate().map(|(index, text)| {
        read(database, text, body).map_err(|failure| failure.with_operation(index))
    });
    each.collect()
}

/// One operation.
///
/// # Errors
/// It is malformed.
fn read(database: &Database, text: &[u8], body: &Bytes) -> Result<Asked, Failure> {
    let checked = match check_json(text, &JsonLimits::BODY) {
        Ok(_) => Ok(()),
        Err(JsonError::Malformed { offset, why }) => {
            // Both the number and the sentence count in the body, as everywhere.
            let offset = offset + (text.as_ptr().addr() - body.as_ptr().addr());
            let error = JsonError::Malformed { offset, why };
            return Err(refusal::of_json(error, Code::BodyTooLarge));
        }
        // JSON that documents do not take: it is refused as its operation.
        Err(error) => Err(refusal::of_json(error, Code::BodyTooLarge)),
    };
    let asked: OperationBody<'_> =
        read_object(text).map_err(|why| Failure::new(Code::BadBody, why))?;
    if asked.op == OperationKind::Check {
        let detail = "a bulk takes no check: its operations stand each for itself; use if_match";
        return Err(Failure::new(Code::BadBody, detail));
    }
    let key = asked.key.iter().map(|part| part.to_string()).collect();
    match operation(database, &asked, body) {
        Err(failure) if is_malformed(failure.code()) => Err(failure),
        Err(failure) => Ok((key, Err(failure))),
        Ok(operation) => Ok((key, checked.map(|()| operation))),
    }
}

/// Whether it is wrong whatever table and document it is of.
fn is_malformed(code: Code) -> bool {
    let of_an_operation = [
        Code::NoSuchTable,
        Code::BadKey,
        Code::EmptyKeyPart,
        Code::NotAnObject,
        Code::UnacceptableJson,
        Code::DocumentTooLarge,
        Code::BodyTooLarge,
    ];
    !of_an_operation.contains(&code)
}

/// How repetitions of the operations are recognised.
///
/// # Errors
/// The key or its time-to-live cannot be one.
fn idempotency(call: &Call<'_>) -> Result<Option<BulkKey>, Failure> {
    let ttl_ms = call.fields.idempotency_ttl_ms()?;
    let key = call.fields.idempotency_key()?;
    Ok(key.map(|key| BulkKey { key: Bytes::copy_from_slice(key), ttl_ms }))
}

/// Of an operation as it was sent: no other kind of request has the same.
fn fingerprint(text: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(b":bulk\0");
    hash.update(text);
    hash.digest128()
}

/// Takes what became of the operations at the places `asked`; answers what was done where.
fn fill(
    call: &Call<'_>,
    results: &mut [BulkResult],
    asked: Vec<usize>,
    ended: Vec<Result<WriteReceipt, WriteError>>,
) -> Vec<(u32, Scn)> {
    assert_eq!(ended.len(), asked.len(), "each operation has one result");
    let mut observed = Vec::new();
    for (place, ended) in asked.into_iter().zip(ended) {
        match ended {
            Ok(written) => {
                observed.push((written.partition, written.scn));
                accept(&mut results[place], &written);
            }
            Err(error) => {
                let failure = refusal::of_write(error);
                let failure = if call.is_late() { failure.into_late() } else { failure };
                call.shared.log.tell(&failure, call.request_id, ID);
                refuse(&mut results[place], failure);
            }
        }
    }
    observed
}

fn accept(result: &mut BulkResult, written: &WriteReceipt) {
    // An operation that stands for itself has one result.
    let done = written.results.first().copied();
    result.status = done.map_or(StatusCode::OK, status::of_done).as_u16();
    result.etag = done.and_then(|done| etag_of(done, written));
    result.scn = Some(Position { partition: written.partition, scn: written.scn });
    result.repeated = written.repeated;
}

fn refuse(result: &mut BulkResult, failure: Failure) {
    result.status = failure.status().as_u16();
    result.etag = failure.etag().map(|etag| etag.to_string());
    result.failure = Some(BulkFailure {
        code: failure.code().name().to_owned(),
        detail: failure.detail().to_owned(),
        outcome: failure.outcome(),
        reasons: failure.into_reasons(),
    });
}
