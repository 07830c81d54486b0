//! Creating a document under a key whose last part the server makes.
//!
//! A repetition under an idempotency key must answer with the same key, whichever server gets it.
//! So the last part is made of the request alone then, and of the day, which is part of what the
//! repetition is recognised by. Start reading at [`create`].

use crate::answer::Answer;
use crate::body::ReceivedBody;
use crate::call::Call;
use crate::dates;
use crate::documents;
use crate::failure::Failure;
use crate::refusal;
use crate::target::{KeyTarget, bad_key, identity_of};
use crate::uuid::version_7;
use cortado_document::{Document, DocumentAction, Match, Operation, Refusal, Unmet};
use cortado_gateway::{IdempotencyKey, WriteError, WriteReceipt, WriteRequest};
use cortado_model::{DocumentKey, TableId};
use cortado_wire::{Code, percent_encode};
use http::{HeaderValue, header};
use xxhash_rust::xxh3::Xxh3;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// `POST`: a new document among those whose keys are alike but for the last part.
pub(crate) async fn create(
    call: &Call<'_>,
    at: &KeyTarget<'_>,
    body: ReceivedBody,
) -> Result<Answer, Failure> {
    let value = documents::whole_value(&body)?;
    let idempotency = documents::idempotency(call, &body)?;
    let now_ms = dates::wall().0;
    let Some(idempotency) = idempotency else {
        let at = child(at, &version_7(now_ms, fastrand::u128(..)))?;
        let written = write(call, &at, value, None).await;
        return answer(call, &at, &written.map_err(refused)?);
    };
    for day in days(now_ms) {
        let (at, key) = of_day(at, &idempotency, day)?;
        match write(call, &at, value.clone(), Some(key)).await {
            // Nothing was done: something else is remembered, perhaps the same of another day.
            Err(WriteError::KeyReused) => {}
            Ok(written) => return answer(call, &at, &written),
            Err(error) => return Err(refused(error)),
        }
    }
    Err(refused(WriteError::KeyReused))
}

/// The document that a request under an idempotency key creates on some day, and how a repetition
/// of that is recognised.
fn of_day<'a>(
    at: &KeyTarget<'a>,
    idempotency: &IdempotencyKey,
    day: u64,
) -> Result<(KeyTarget<'a>, IdempotencyKey), Failure> {
    let place = (identity_of(at.database), at.table.id, at.key.as_bytes());
    let at = child(at, &part_of_day(place, &idempotency.key, day))?;
    let mut hash = Xxh3::new();
    hash.update(&idempotency.fingerprint.to_be_bytes());
    hash.update(&day.to_be_bytes());
    Ok((at, IdempotencyKey { fingerprint: hash.digest128(), ..idempotency.clone() }))
}

/// The last part of a key, made of nothing but the request and the day.
///
/// * `place`: database, table and the other parts of the key.
fn part_of_day(place: (u64, TableId, &[u8]), idempotency_key: &[u8], day: u64) -> String {
    let (database, table, prefix) = place;
    let mut hash = Xxh3::new();
    hash.update(&database.to_be_bytes());
    hash.update(&table.0.to_be_bytes());
    hash.update(&(prefix.len() as u64).to_be_bytes());
    hash.update(prefix);
    hash.update(idempotency_key);
    version_7(day * DAY_MS, hash.digest128())
}

/// The days on which the first try of a request may have been, the likeliest first.
///
/// An answer is remembered for a day of log time: that was today or yesterday, or by the clock of
/// another server tomorrow. After a clock that was ahead, log time goes at half the pace, and a day
/// of it is two.
fn days(now_ms: u64) -> [u64; 4] {
    let today = now_ms / DAY_MS;
    [today, today.saturating_sub(1), today + 1, today.saturating_sub(2)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_repetition_on_the_next_day_tries_the_part_of_the_first_try() {
        let part = |day| part_of_day((7, TableId(1), b"Cher"), b"k1", day);
        let midnight = 20_000 * DAY_MS;
        let [first, ..] = days(midnight - 1).map(part);
        assert!(days(midnight).map(part)[1..].contains(&first));
        assert!(days(midnight + DAY_MS - 1).map(part).contains(&first));
        // By a clock that is behind the one of the first try.
        let [first, ..] = days(midnight).map(part);
        assert!(days(midnight - 1).map(part).contains(&first));
        assert_eq!(days(0), [0, 0, 1, 0]);
    }

    #[test]
    fn requests_that_differ_in_anything_make_other_parts() {
        let parts = [
            part_of_day((7, TableId(1), b"Cher"), b"k1", 20_000),
            part_of_day((8, TableId(1), b"Cher"), b"k1", 20_000),
            part_of_day((7, TableId(2), b"Cher"), b"k1", 20_000),
            part_of_day((7, TableId(1), b"Che"), b"rk1", 20_000),
            part_of_day((7, TableId(1), b"Cher"), b"k2", 20_000),
            part_of_day((7, TableId(1), b"Cher"), b"k1", 20_001),
        ];
        let different: BTreeSet<&String> = parts.iter().collect();
        assert_eq!(different.len(), parts.len());
        assert!(parts[0].starts_with("0192"), "the beginning of that day: {}", parts[0]);
    }
}
