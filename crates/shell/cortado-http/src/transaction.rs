//! Many writes, all or none.
//!
//! Start reading at [`transact`].

use crate::answer::{Answer, json};
use crate::body::ReceivedBody;
use crate::call::{Call, position_header};
use crate::confirmed::confirmed;
use crate::documents::idempotency;
use crate::failure::Failure;
use crate::json_body;
use crate::refusal;
use crate::status;
use crate::target::find_table;
use bytes::Bytes;
use cortado_document::{
    Condition, Document, DocumentAction, Done, Match, MergePatch, Operation, TransactionError,
};
use cortado_gateway::{Database, WriteReceipt, WriteRequest};
use cortado_model::limits::OPERATIONS_MAX;
use cortado_wire::{
    Code, OperationBody, OperationKind, OperationResult, Position, TransactionAnswer,
    TransactionBody, headers,
};
use http::{HeaderValue, StatusCode};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// Carries out all operations of the body, or none.
pub(crate) async fn transact(
    call: &Call<'_>,
    database: &Arc<Database>,
    body: ReceivedBody,
) -> Result<Answer, Failure> {
    let asked: TransactionBody<'_> = json_body::read(&body)?;
    if asked.operations.len() > OPERATIONS_MAX {
        let error = TransactionError::TooMany { operations_max: OPERATIONS_MAX };
        return Err(Failure::new(Code::TooManyOperations, error.to_string()));
    }
    if !call.fields.condition()?.is_empty() {
        let detail = "a transaction takes its conditions in its operations, not in headers";
        return Err(Failure::new(Code::BadHeader, detail));
    }
    let idempotency = idempotency(call, &body)?;
    call.fields.consistency()?;
    let operations = match operations(database, &asked.operations, &body.bytes) {
        Err(failure) if failure.code() == Code::NoSuchTable => {
            let database = confirmed(call, database).await?;
            operations(&database, &asked.operations, &body.bytes)?
        }
        operations => operations?,
    };
    let request = WriteRequest { operations, idempotency, deadline: call.deadline };
    let written = call.services().write(database, request).await;
    let written = written.map_err(refusal::of_write)?;
    let session = call.session_header(database, &[(written.partition, written.scn)]);
    Ok(answer(session, &asked, &written))
}

/// The operations that a body asks for.
///
/// # Errors
/// Those of [`operation`], for the first one that has one.
fn operations(
    database: &Database,
    asked: &[OperationBody<'_>],
    body: &Bytes,
) -> Result<Vec<Operation>, Failure> {
    let each = asked.iter().enumerate().map(|(index, asked)| {
        operation(database, asked, body).map_err(|failure| failure.with_operation(index))
    });
    each.collect()
}

/// The operation that a body asks for.
///
/// # Errors
/// No such table, a key or a document that breaks a rule, or members that do not go together.
pub(crate) fn operation(
    database: &Database,
    asked: &OperationBody<'_>,
    body: &Bytes,
) -> Result<Operation, Failure> {
    let table = find_table(database, &asked.table)?;
    let key = json_body::key_in_body(&asked.key, table)?;
    let condition =
        Condition { if_match: tag(&asked.if_match)?, if_none_match: tag(&asked.if_none_match)? };
    let action = match (asked.op, asked.value) {
        (OperationKind::Put, Some(value)) => {
            let value = Document::parse(body.slice_ref(value.get().as_bytes()));
            let refused = |error| refusal::of_json(error, Code::DocumentTooLarge);
            DocumentAction::Put { value: value.map_err(refused)? }
        }
        (OperationKind::Merge, Some(value)) => DocumentAction::Merge { patch: merge(value)? },
        (OperationKind::Delete, None) => DocumentAction::Delete,
        (OperationKind::Check, None) => DocumentAction::Check,
        (OperationKind::Put | OperationKind::Merge, None) => {
            return Err(Failure::new(
                Code::BadBody,
                "operations put and merge require the member value",
            ));
        }
        (OperationKind::Delete | OperationKind::Check, Some(_)) => {
            return Err(Failure::new(
                Code::BadBody,
                "operations delete and check do not take the member value",
            ));
        }
    };
    Ok(Operation { table: table.id, key, action, condition })
}

fn merge(value: &RawValue) -> Result<MergePatch, Failure> {
    let patch = MergePatch::parse(value.get().as_bytes());
    patch.map_err(|error| refusal::of_json(error, Code::BodyTooLarge))
}

fn tag(text: &Option<Cow<'_, str>>) -> Result<Option<Match>, Failure> {
    let Some(text) = text else { return Ok(None) };
    Match::parse_bare(text).map(Some).ok_or_else(|| {
        let detail = "if_match and if_none_match take a bare etag (no quotes) or \"*\"";
        Failure::new(Code::BadEtag, detail)
    })
}

/// The etag of the state that an operation has left behind, if it has left one.
pub(crate) fn etag_of(done: Done, written: &WriteReceipt) -> Option<String> {
    match done {
        Done::Created | Done::Replaced | Done::Patched => Some(written.etag.to_string()),
        Done::Deleted | Done::Missing | Done::Checked => None,
    }
}

fn answer(session: HeaderValue, asked: &TransactionBody<'_>, written: &WriteReceipt) -> Answer {
    let scn = Position { partition: written.partition, scn: written.scn };
    let results =
        asked.operations.iter().zip(&written.results).map(|(asked, done)| OperationResult {
            status: status::of_done(*done).as_u16(),
            key: asked.key.iter().map(|part| part.to_string()).collect(),
            etag: etag_of(*done, written),
        });
    let mut answer = json(StatusCode::OK, &TransactionAnswer { scn, results: results.collect() });
    let fields = answer.headers_mut();
    fields.insert(headers::SCN, position_header(scn));
    fields.insert(headers::SESSION, session);
    if written.repeated {
        fields.insert(headers::REPEATED, HeaderValue::from_static("true"));
    }
    answer
}
