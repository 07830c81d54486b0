//! Records handed to the log and not yet answered, in the order of their appends.
//!
//! Start reading at [`Appends::completed`].

use super::ReplicaDriver;
use bytes::Bytes;
use cortado_log::{Cause, Outcome, Producer, outcomes_of};
use cortado_model::LogOffset;
use cortado_replica::{AppendFailure, AppendToken, Input};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::Poll;
use tokio::time::Instant;
use tracing::field::display;
use tracing::warn;

/// Bytes that are handed over together at most.
const APPEND_BYTES_MAX: usize = 1 << 20;

/// What the core has asked to append.
pub(super) struct Appends {
    producer: Box<dyn Producer>,
    /// Collected during a turn: they are handed over together.
    tokens: Vec<Sent>,
    records: Vec<Bytes>,
    bytes: usize,
    /// Handed over, oldest first.
    sent: VecDeque<Sent>,
    /// Of the oldest that were handed over, as the log has told them.
    outcomes: Vec<Outcome>,
}

/// An append of the core.
struct Sent {
    token: AppendToken,
    records: usize,
    since: Instant,
}

/// An append whose every record the log has answered.
pub(super) struct Completed {
    token: AppendToken,
    outcomes: Vec<Outcome>,
    since: Instant,
}

impl Appends {
    pub(super) fn new(producer: Box<dyn Producer>) -> Appends {
        let (tokens, records, sent, outcomes) = Default::default();
        Appends { producer, tokens, records, bytes: 0, sent, outcomes }
    }

    /// Whether nothing is collected and nothing awaited.
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.tokens.is_empty()
    }

    pub(super) fn collect(&mut self, token: AppendToken, records: Vec<Bytes>) {
        let since = Instant::now();
        self.tokens.push(Sent { token, records: records.len(), since });
        self.bytes += records.iter().map(Bytes::len).sum::<usize>();
        self.records.extend(records);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= APPEND_BYTES_MAX
    }

    /// The answer to the oldest append. Pending for ever while there is none.
    pub(super) async fn completed(&mut self) -> Completed {
        loop {
            if let Some(completed) = self.take_completed() {
                return completed;
            }
            outcomes_of(self.producer.as_mut(), &mut self.outcomes).await;
        }
    }

    /// The answer to the oldest append, if it is there: a group commit answers many at once.
    pub(super) async fn completed_already(&mut self) -> Option<Completed> {
        let mut completed = std::pin::pin!(self.completed());
        poll_fn(|context| {
            Poll::Ready(match completed.as_mut().poll(context) {
                Poll::Ready(completed) => Some(completed),
                Poll::Pending => None,
            })
        })
        .await
    }

    /// Takes the oldest append if all of its records are answered.
    fn take_completed(&mut self) -> Option<Completed> {
        let records = self.sent.front()?.records;
        if self.outcomes.len() < records {
            return None;
        }
        let Sent { token, since, .. } = self.sent.pop_front()?;
        let later = self.outcomes.split_off(records);
        let outcomes = std::mem::replace(&mut self.outcomes, later);
        Some(Completed { token, outcomes, since })
    }

    /// Gives the producer up for `fresh`; answers what was outstanding.
    pub(super) fn replace_producer(&mut self, fresh: Box<dyn Producer>) -> Vec<Completed> {
        let abandoned = std::mem::replace(&mut self.producer, fresh);
        self.outcomes.extend(abandoned.abandon());
        std::iter::from_fn(|| self.take_completed()).collect()
    }
}

impl Completed {
    /// Where its first record stands, if all stand next to one another; else what is known.
    fn verdict(&self) -> Result<LogOffset, (AppendFailure, Option<&Cause>)> {
        let mut first = None;
        let mut unknown = None;
        for (number, outcome) in (0..).zip(&self.outcomes) {
            match outcome {
                Outcome::At(position) => {
                    let first = first.get_or_insert(position.offset);
                    if first.plus(number) != position.offset {
                        unknown.get_or_insert((AppendFailure::Unknown, None));
                    }
                }
                Outcome::Somewhere => {
                    unknown.get_or_insert((AppendFailure::Unknown, None));
                }
                Outcome::Unusable(cause) => return Err((AppendFailure::Unusable, Some(cause))),
                Outcome::Perhaps(cause) => unknown = Some((AppendFailure::Unknown, Some(cause))),
                Outcome::NotAppended(_) => {}
            }
        }
        let refused = |outcome: &Outcome| matches!(outcome, Outcome::NotAppended(_));
        match (first, unknown) {
            (_, Some(unknown)) => Err(unknown),
            (Some(first), None) if !self.outcomes.iter().any(refused) => Ok(first),
            // Some are there and some are not: only reading tells the core which.
            (Some(_), None) => Err((AppendFailure::Unknown, self.refusal())),
            (None, None) => Err((AppendFailure::NotAppended, self.refusal())),
        }
    }

    fn refusal(&self) -> Option<&Cause> {
        self.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::NotAppended(cause) => Some(cause),
            Outcome::At(_) | Outcome::Somewhere | Outcome::Perhaps(_) | Outcome::Unusable(_) => {
                None
            }
        })
    }
}

impl ReplicaDriver<'_> {
    /// Duty 5: appends go to the log in the order of the effects, before anything slower.
    pub(super) fn send_appends(&mut self) {
        if self.appends.records.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.appends.records);
        let bytes = std::mem::take(&mut self.appends.bytes) as u64;
        self.context.log_bytes.fetch_add(bytes, Ordering::Relaxed);
        let tokens = std::mem::take(&mut self.appends.tokens);
        self.appends.sent.extend(tokens);
        self.appends.producer.send(records);
    }

    /// Duty 3: the core hears of appends in their order, each of its own records' place.
    pub(super) fn on_appended(&mut self, completed: Completed) {
        let token = completed.token;
        match completed.verdict() {
            Ok(first) => {
                self.context.metrics.append.observe(completed.since.elapsed());
                self.step(Input::Appended { token, first });
            }
            Err((failure, cause)) => {
                self.context.metrics.appends_failed.add(1);
                let (partition, cause) = (self.handle.partition, cause.map(display));
                warn!(%partition, ?failure, cause, "append not acknowledged");
                self.step(Input::AppendFailed { token, failure });
            }
        }
    }
}
