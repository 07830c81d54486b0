//! Records handed to the log and not yet answered, in the order of their appends.
//!
//! Start reading at [`Appends::completed`].

use super::ReplicaDriver;
use bytes::Bytes;
use cortado_log::{AppendError, Pending};
use cortado_model::LogOffset;
use cortado_replica::{AppendFailure, AppendToken, Input};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::Poll;
use tokio::time::Instant;
use tracing::warn;

/// Bytes that share one append at most.
const APPEND_BYTES_MAX: usize = 1 << 20;

/// What the core has asked to append.
#[derive(Default)]
pub(super) struct Appends {
    /// Collected during a turn: they share one append.
    tokens: Vec<(AppendToken, u64)>,
    records: Vec<Bytes>,
    bytes: usize,
    /// Handed over, oldest first.
    sent: VecDeque<Sent>,
}

struct Sent {
    answer: Pending<Result<LogOffset, AppendError>>,
    /// Each with the number of its records.
    tokens: Vec<(AppendToken, u64)>,
    since: Instant,
}

/// An append that the log has answered.
pub(super) struct Completed {
    answer: Result<LogOffset, AppendError>,
    tokens: Vec<(AppendToken, u64)>,
    since: Instant,
}

impl Appends {
    /// Whether nothing is collected and nothing awaited.
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.tokens.is_empty()
    }

    pub(super) fn collect(&mut self, token: AppendToken, records: Vec<Bytes>) {
        self.tokens.push((token, records.len() as u64));
        self.bytes += records.iter().map(Bytes::len).sum::<usize>();
        self.records.extend(records);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= APPEND_BYTES_MAX
    }

    /// The answer to the oldest append. Pending for ever while there is none.
    pub(super) async fn completed(&mut self) -> Completed {
        poll_fn(|context| {
            let Some(oldest) = self.sent.front_mut() else { return Poll::Pending };
            let Poll::Ready(answer) = oldest.answer.as_mut().poll(context) else {
                return Poll::Pending;
            };
            let Some(Sent { tokens, since, .. }) = self.sent.pop_front() else {
                return Poll::Pending;
            };
            Poll::Ready(Completed { answer, tokens, since })
        })
        .await
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
}

impl ReplicaDriver<'_> {
    /// Duty 5: appends go to the log in the order of the effects, before anything slower.
    pub(super) fn send_appends(&mut self) {
        if self.appends.records.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.appends.records);
        let tokens = std::mem::take(&mut self.appends.tokens);
        let bytes = std::mem::take(&mut self.appends.bytes) as u64;
        self.context.log_bytes.fetch_add(bytes, Ordering::Relaxed);
        let since = Instant::now();
        let answer = self.context.log.append(self.handle.partition, records);
        self.appends.sent.push_back(Sent { answer, tokens, since });
    }

    /// Duty 3: the core hears of appends in their order, each of its own records' place.
    pub(super) fn on_appended(&mut self, completed: Completed) {
        let Completed { answer, tokens, since } = completed;
        let partition = self.handle.partition;
        let round_trip = since.elapsed();
        match answer {
            Ok(mut first) => {
                self.context.metrics.append.observe(round_trip);
                for (token, records) in tokens {
                    self.step(Input::Appended { token, first });
                    first = first.plus(records);
                }
            }
            Err(error) => {
                self.context.metrics.appends_failed.add(1);
                warn!(%partition, %error, appends = tokens.len(), "append not acknowledged");
                let failure = match error {
                    AppendError::NotAppended { .. } => AppendFailure::NotAppended,
                    AppendError::Unknown { .. } => AppendFailure::Unknown,
                    AppendError::Unusable { .. } => AppendFailure::Unusable,
                };
                for (token, _) in tokens {
                    self.step(Input::AppendFailed { token, failure });
                }
            }
        }
    }
}
