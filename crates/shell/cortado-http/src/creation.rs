//! Creating a document under a key whose last part the server makes.
//!
//! A repetition under an idempotency key must answer with the same key, whichever server gets it.
//! So the last part is made of the request alone then, and of the day, which is part of what the
//! repetition is recognised by. Start reading at [`create`].

use crate::answer::Answer;
use crate::body::ReceivedBody;
use crate::call::Call;
use crate::documents;
use crate::failure::Failure;
use crate::path::percent_encode;
use crate::refusal;
use crate::target::{KeyTarget, bad_key, identity_of};
use crate::uuid::version_7;
use cortado_document::{Document, DocumentAction, Match, Operation, Refusal, Unmet};
use cortado_gateway::{IdempotencyKey, WriteError, WriteReceipt, WriteRequest};
use cortado_model::DocumentKey;
use cortado_wire::Code;
use http::{HeaderValue, header};
use std::time::{SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::Xxh3;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// `POST`: a new document among those whose keys are alike but for the last part.
pub(crate) async fn create(
    call: &Call<'_>,
    at: &KeyTarget<'_>,
    body: ReceivedBody,
) -> Result<Answer, Failure> {
    let value = Document::parse(body.bytes.clone());
    let value = value.map_err(|error| refusal::of_json(error, Code::DocumentTooLarge))?;
    let idempotency = documents::idempotency(call, &body)?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    // Fits 64 bits for half a billion years.
    let now_ms = now_ms as u64;
    let Some(idempotency) = idempotency else {
        let at = child(at, &version_7(now_ms, fastrand::u128(..)))?;
        let written = write(call, &at, value, None).await;
        return answer(call, &at, &written.map_err(refused)?);
    };
    // An answer is remembered for a day at most: the first try was today or yesterday, or by the
    // clock of another server tomorrow.
    let today = now_ms / DAY_MS;
    let mut last = Err(WriteError::KeyReused);
    for day in [today, today.saturating_sub(1), today + 1] {
        let (at, key) = of_day(at, &idempotency, day)?;
        last = write(call, &at, value.clone(), Some(key)).await;
        match last {
            // Nothing was done: something else is remembered, perhaps the same of another day.
            Err(WriteError::KeyReused) => {}
            Ok(written) => return answer(call, &at, &written),
            Err(error) => return Err(refused(error)),
        }
    }
    answer(call, at, &last.map_err(refused)?)
}

/// The document that a request under an idempotency key creates on some day.
fn of_day<'a>(
    at: &KeyTarget<'a>,
    idempotency: &IdempotencyKey,
    day: u64,
) -> Result<(KeyTarget<'a>, IdempotencyKey), Failure> {
    let mut hash = Xxh3::new();
    hash.update(&identity_of(at.database).to_be_bytes());
    hash.update(&at.table.id.0.to_be_bytes());
    hash.update(&(at.key.as_bytes().len() as u64).to_be_bytes());
    hash.update(at.key.as_bytes());
    hash.update(&idempotency.key);
    let at = child(at, &version_7(day * DAY_MS, hash.digest128()))?;
    let mut hash = Xxh3::new();
    hash.update(&idempotency.fingerprint.to_be_bytes());
    hash.update(&day.to_be_bytes());
    Ok((at, IdempotencyKey { fingerprint: hash.digest128(), ..idempotency.clone() }))
}

/// The document whose key ends with `part`.
fn child<'a>(at: &KeyTarget<'a>, part: &str) -> Result<KeyTarget<'a>, Failure> {
    let parts: Vec<&str> = at.key.parts().chain([part]).collect();
    let key = DocumentKey::from_parts(&parts).map_err(bad_key)?;
    Ok(KeyTarget { database: at.database, table: at.table, key })
}

async fn write(
    call: &Call<'_>,
    at: &KeyTarget<'_>,
    value: Document,
    idempotency: Option<IdempotencyKey>,
) -> Result<WriteReceipt, WriteError> {
    let mut condition = call.fields.condition().unwrap_or_default();
    condition.if_none_match = Some(Match::Any);
    let (table, key) = (at.table.id, at.key.clone());
    let operations =
        vec![Operation { table, key, action: DocumentAction::Put { value }, condition }];
    let request = WriteRequest { operations, idempotency, deadline: call.deadline };
    call.services().write(at.database, request).await
}

fn refused(error: WriteError) -> Failure {
    let exists = |refusal: &Refusal| {
        matches!(refusal, Refusal::ConditionFailed { unmet: Unmet::IfNoneMatch, .. })
    };
    match error {
        WriteError::Refused { refusal, .. } if exists(&refusal) => {
            let detail = "the document that this Idempotency-Key creates exists, and the answer to \
                          its creation is no longer remembered; to create another one, send \
                          another key";
            Failure::new(Code::Conflict, detail)
        }
        error => refusal::of_write(error).without_operation(),
    }
}

/// As for any write, and where the document is.
fn answer(call: &Call<'_>, at: &KeyTarget<'_>, written: &WriteReceipt) -> Result<Answer, Failure> {
    let mut answer = documents::answer(call, at, written)?;
    let mut path = format!("/v1/{}/{}", call.captures.database, call.captures.table);
    for part in at.key.parts() {
        path.push('/');
        percent_encode(part, &mut path);
    }
    let location = HeaderValue::try_from(path).expect("names and encoded parts are visible ASCII");
    answer.headers_mut().insert(header::LOCATION, location);
    Ok(answer)
}
