//! Many writes in one request, each for itself.
//!
//! Start reading at [`Database::bulk`].

use crate::batches::parsed;
use crate::client::{Call, Database};
use crate::documents::{WriteOptions, note_session};
use crate::failure::{AttemptError, ClientError};
use crate::patience::Timeouts;
use crate::retry::{is_last_word, is_transient, pause_ms};
use crate::session::Session;
use cortado_wire::{
    BulkAnswer, BulkFailure, BulkResult, Code, OperationBody, Outcome, Position, Problem, media,
    write_bulk,
};
use http::Method;
use std::time::Duration;
use tokio::time::{Instant, sleep};

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
            let again: Vec<usize> =
                (0..all.len()).filter(|place| options.goes_again(&results[*place])).collect();
            let pause = Duration::from_millis(pause_ms(attempts, fastrand::f64()));
            if again.is_empty() || Instant::now() + pause >= ends_at {
                break;
            }
            sleep(pause).await;
            attempts += 1;
            // A key names operations by their places: there, all of them must come again.
            let is_keyed = options.idempotency_key.is_some();
            let asked = if is_keyed { (0..all.len()).collect() } else { again };
            let operations: Vec<_> = asked.iter().map(|place| all[*place]).collect();
            match self.bulk_once(&operations, options, ends_at).await {
                Ok(now) => {
                    for (place, now) in asked.into_iter().zip(now) {
                        options.learn(&mut results[place], now);
                    }
                }
                Err(error) => {
                    for place in asked {
                        if let Some(failure) = &mut results[place].failure {
                            failure.outcome = or(failure.outcome, error.outcome());
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
        let BulkOptions { idempotency_key, may_repeat, session } = *options;
        let write =
            WriteOptions { idempotency_key, may_repeat, session, ..WriteOptions::default() };
        let call = Call::new(Method::POST, self.path(":bulk"), write.repeat());
        let call = write.apply(call)?.body(media::JSON, body.into());
        let (answer, before) = client.send_again(&call).await?;
        note_session(&answer, session);
        let BulkAnswer { mut results } = parsed(&answer.body)?;
        if results.len() != operations.len() {
            let what = format!("{} results of {} operations", results.len(), operations.len());
            return Err(ClientError::BadAnswer { what });
        }
        results.iter_mut().for_each(|result| options.leave_open(result, before));
        Ok(results)
    }
}

impl BulkOptions<'_> {
    /// Whether an operation may succeed if it comes again, and does no harm.
    fn goes_again(&self, result: &BulkResult) -> bool {
        let is_harmless = self.may_repeat || self.idempotency_key.is_some();
        let Some(failure) = &result.failure else { return false };
        is_transient(result.status) && (is_harmless || failure.outcome == Outcome::None)
    }

    /// Takes the answer to a repetition. What was done stays done, and what may have been done
    /// stays open until there is a last word on it.
    fn learn(&self, result: &mut BulkResult, now: BulkResult) {
        if let Some(BulkFailure { outcome, .. }) = result.failure {
            *result = now;
            self.leave_open(result, outcome);
        }
    }

    /// A failure says nothing about the attempts before it, which may have had an effect; but under
    /// a key a last word does.
    fn leave_open(&self, result: &mut BulkResult, before: Outcome) {
        let is_settled = self.idempotency_key.is_some() && is_last_word(result.status);
        if let Some(failure) = &mut result.failure
            && !is_settled
        {
            failure.outcome = or(failure.outcome, before);
        }
    }
}

/// Whether one of two attempts may have taken effect.
fn or(one: Outcome, other: Outcome) -> Outcome {
    if one == Outcome::Unknown { one } else { other }
}

/// What an operation would have been answered alone.
fn written(result: BulkResult, waited_ms: u64, attempts: u32) -> Result<BulkWritten, ClientError> {
    let BulkResult { status, etag, scn, repeated, failure, .. } = result;
    let Some(BulkFailure { code, detail, outcome, reasons }) = failure else {
        return match status {
            200 | 201 | 204 | 404 => Ok(BulkWritten { status, etag, scn, repeated }),
            _ => {
                let what = format!("a result with the status {status} and without its reason");
                Err(ClientError::BadAnswer { what })
            }
        };
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
        Outcome::None if !is_transient(status) => ClientError::Refused(problem),
        Outcome::None => {
            ClientError::Unavailable { waited_ms, attempts, last: AttemptError::Problem(problem) }
        }
        Outcome::Unknown => {
            ClientError::Unknown { waited_ms, attempts, last: AttemptError::Problem(problem) }
        }
    })
}
