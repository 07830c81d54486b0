//! Many writes in one request, each for itself.
//!
//! Start reading at [`Database::bulk`].

use crate::batches::parsed;
use crate::client::{Call, Client, Database, Timeouts};
use crate::documents::{WriteOptions, note_session};
use crate::failure::{AttemptError, ClientError};
use crate::retry::Repeat;
use crate::session::Session;
use bytes::Bytes;
use cortado_wire::{
    BulkAnswer, BulkFailure, BulkResult, Code, OperationBody, Outcome, Position, Problem, media,
    write_bulk,
};
use http::Method;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Before what was not done for the moment is asked for again. The server has waited for a leader
/// as long as it was told to.
const PAUSE: Duration = Duration::from_millis(100);

/// How to write many documents. The default does not repeat an open outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct BulkOptions<'a> {
    /// Names the operations, by their places: a repetition repeats the answers of those that were
    /// done, and does the others.
    pub idempotency_key: Option<&'a str>,
    /// Done twice, the operations leave behind what they leave done once, such as documents that
    /// nobody else writes: without a key, too, they are repeated when their outcome is open.
    pub may_repeat: bool,
    /// Learns what was written.
    pub session: Option<&'a Session>,
}

/// What became of an operation that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkWritten {
    /// 201 created, 200 replaced or patched, 204 removed, 404 nothing to remove.
    pub status: u16,
    /// Names the document's new state, if it has one.
    pub etag: Option<String>,
    /// The transaction.
    pub scn: Option<Position>,
    /// It had been done before, under its idempotency key: this is the first answer.
    pub repeated: bool,
}

impl Database {
    /// Does each of `operations` for itself; answers what became of each, in their order.
    ///
    /// Asks again, within the client's time, for what was not done for the moment, such as for lack
    /// of a leader; where a repetition is harmless, also for what may have been done.
    ///
    /// * `operations`: 1 to 1,000, of any resources, 8 MiB in all; no checks. Those of one document
    ///   are carried out in their order.
    ///
    /// # Errors
    /// The request as a whole was refused, nothing of it was done in time, or what was done is
    /// unknown. What concerns one operation is the error of that.
    pub async fn bulk(
        &self,
        operations: &[OperationBody<'_>],
        options: &BulkOptions<'_>,
    ) -> Result<Vec<Result<BulkWritten, ClientError>>, ClientError> {
        let begun = Instant::now();
        let (mut attempts, ends_at) = (1, begun + self.client.timeouts().whole);
        let all: Vec<&OperationBody<'_>> = operations.iter().collect();
        let mut results = self.bulk_once(&all, options, ends_at).await?;
        loop {
            let open: Vec<usize> = (0..results.len().min(all.len()))
                .filter(|place| options.goes_again(&results[*place]))
                .collect();
            if open.is_empty() || Instant::now() + PAUSE >= ends_at {
                break;
            }
            sleep(PAUSE).await;
            attempts += 1;
            // A key names operations by their places: there, all of them must come again.
            let is_keyed = options.idempotency_key.is_some();
            let asked: Vec<usize> = if is_keyed { (0..all.len()).collect() } else { open.clone() };
            let again: Vec<_> = asked.iter().map(|place| all[*place]).collect();
            match self.bulk_once(&again, options, ends_at).await {
                Ok(now) => asked.into_iter().zip(now).for_each(|(at, now)| results[at] = now),
                Err(error) => {
                    for place in open {
                        if let Some(failure) = &mut results[place].failure
                            && error.outcome() == Outcome::Unknown
                        {
                            failure.outcome = Outcome::Unknown;
                        }
                    }
                    break;
                }
            }
        }
        let waited_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(results.into_iter().map(|result| written(result, waited_ms, attempts)).collect())
    }

    async fn bulk_once(
        &self,
        operations: &[&OperationBody<'_>],
        options: &BulkOptions<'_>,
        ends_at: Instant,
    ) -> Result<Vec<BulkResult>, ClientError> {
        let body = write_bulk(operations.iter().copied());
        let body = body.map_err(|error| ClientError::Misuse { why: error.to_string() })?;
        let whole = ends_at.saturating_duration_since(Instant::now());
        let client = self.client.with_timeouts(Timeouts { whole, ..self.client.timeouts() });
        let results = self.bulk_with(&client, body.into(), options).await?.results;
        if results.len() == operations.len() {
            return Ok(results);
        }
        let what = format!("{} results of {} operations", results.len(), operations.len());
        Err(ClientError::BadAnswer { what })
    }

    /// The same once, from a body as the API spells it: `{"operations":[…]}`.
    ///
    /// # Errors
    /// As [`bulk`](Self::bulk).
    pub async fn bulk_raw(
        &self,
        body: Bytes,
        options: &BulkOptions<'_>,
    ) -> Result<BulkAnswer, ClientError> {
        self.bulk_with(&self.client, body, options).await
    }

    async fn bulk_with(
        &self,
        client: &Client,
        body: Bytes,
        options: &BulkOptions<'_>,
    ) -> Result<BulkAnswer, ClientError> {
        let BulkOptions { idempotency_key, session, .. } = *options;
        let write = WriteOptions { idempotency_key, session, ..WriteOptions::default() };
        let repeat = if options.is_harmless() { Repeat::Harmless } else { Repeat::Risky };
        let call = Call::new(Method::POST, self.path(":bulk"), repeat);
        let call = write.apply(call)?.body(media::JSON, body);
        let answer = client.send(&call).await?;
        note_session(&answer, session);
        parsed(&answer.body)
    }
}

impl BulkOptions<'_> {
    fn is_harmless(&self) -> bool {
        self.may_repeat || self.idempotency_key.is_some()
    }

    /// Whether an operation may succeed if it comes again, and does no harm.
    fn goes_again(&self, result: &BulkResult) -> bool {
        let Some(failure) = &result.failure else { return false };
        is_for_the_moment(result.status) && (self.is_harmless() || failure.outcome == Outcome::None)
    }
}

fn is_for_the_moment(status: u16) -> bool {
    matches!(status, 503 | 504)
}

/// What an operation would have been answered alone.
fn written(result: BulkResult, waited_ms: u64, attempts: u32) -> Result<BulkWritten, ClientError> {
    let BulkResult { status, etag, scn, repeated, failure, .. } = result;
    let Some(BulkFailure { code, detail, outcome, reasons }) = failure else {
        return Ok(BulkWritten { status, etag, scn, repeated });
    };
    let title = Code::parse(&code).map_or_else(String::new, |code| code.title().to_owned());
    let problem = Box::new(Problem {
        title,
        status,
        code,
        detail,
        outcome: Some(outcome),
        etag,
        reasons,
        ..Problem::default()
    });
    Err(match outcome {
        Outcome::None if !is_for_the_moment(status) => ClientError::Refused(problem),
        Outcome::None => {
            ClientError::Unavailable { waited_ms, attempts, last: AttemptError::Problem(problem) }
        }
        Outcome::Unknown => {
            ClientError::Unknown { waited_ms, attempts, last: AttemptError::Problem(problem) }
        }
    })
}
