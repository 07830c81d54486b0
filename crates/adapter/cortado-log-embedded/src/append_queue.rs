//! The queue in which appends wait for the writer, bounded in bytes.
//!
//! The order of the queue is the order of the log. Start reading at [`AppendQueue`].

use crate::append_error::AppendError;
use crate::write_error::WriteError;
use bytes::Bytes;
use cortado_log::{AppendPriority, Cause};
use cortado_model::{LogOffset, PartitionId, with_causes};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tracing::error;

/// Requests on their way from many callers to the one writer.
#[derive(Debug, Default)]
pub(crate) struct AppendQueue {
    state: Mutex<State>,
    filled: Condvar,
    /// Why the log is unusable, once it is.
    failure: watch::Sender<Option<Arc<WriteError>>>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Request>,
    /// Of the requests that wait and of those that the writer works on.
    bytes: usize,
    closed: Option<Closed>,
    writer_sleeps: bool,
}

/// Why the queue takes no requests any more.
#[derive(Clone, Debug)]
pub(crate) enum Closed {
    /// The log is being closed; what is queued is still done.
    Closing,
    /// The log is unusable.
    Unusable(Arc<WriteError>),
}

/// What a caller wants of the writer.
#[derive(Debug)]
pub(crate) enum Request {
    /// Records for a partition; at least one.
    Append {
        partition: PartitionId,
        records: Vec<Bytes>,
        priority: AppendPriority,
        answer: oneshot::Sender<Result<LogOffset, AppendError>>,
    },
    /// Records that are to be trimmed.
    Trim {
        partition: PartitionId,
        below: LogOffset,
        answer: oneshot::Sender<Result<(), AppendError>>,
    },
    /// A partition that is to be removed.
    Remove { partition: PartitionId, answer: oneshot::Sender<Result<(), AppendError>> },
}

/// Bytes that wait at most. Four of the largest records; at the rate of a slow disk, 50 MB/s, one
/// second's worth, after which it is better for a caller to back off than to wait longer.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 << 20;

/// What a request takes up beside its records.
const REQUEST_BYTES: usize = 64;

impl AppendQueue {
    /// Puts `request` at the end of the queue.
    ///
    /// # Errors
    /// `NotAppended` if the queue is full or closing, `Unusable` if the log is.
    pub(crate) fn push(&self, request: Request) -> Result<(), AppendError> {
        let mut state = self.lock();
        if let Some(closed) = &state.closed {
            return Err(closed.error());
        }
        let bytes = request.bytes();
        // An append larger than the whole queue is let in when it is alone.
        if state.bytes > 0 && state.bytes + bytes > QUEUE_BYTES_MAX {
            let why = format!("queue full: {} bytes wait to be written", state.bytes);
            return Err(AppendError::NotAppended(Cause::refused(why)));
        }
        state.bytes += bytes;
        state.waiting.push_back(request);
        if std::mem::take(&mut state.writer_sleeps) {
            drop(state);
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Moves everything that waits into `batch`; answers whether there was anything.
    pub(crate) fn take(&self, batch: &mut VecDeque<Request>) -> bool {
        std::mem::swap(&mut self.lock().waiting, batch);
        !batch.is_empty()
    }

    /// Sleeps until there is something, and takes it; `false` once the queue is closed and empty.
    pub(crate) fn wait(&self, batch: &mut VecDeque<Request>) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed.is_some() {
                return false;
            }
            state.writer_sleeps = true;
            self.filled.wait(&mut state);
        }
        state.writer_sleeps = false;
        std::mem::swap(&mut state.waiting, batch);
        true
    }

    /// Makes room for `bytes` that the writer has done with.
    pub(crate) fn release(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    /// Bytes of the requests that wait and of those that the writer works on.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Refuses every request from now on; the first reason given stays.
    pub(crate) fn close(&self, why: Closed) {
        let mut state = self.lock();
        // A log that is closing may still turn out to be unusable, but not the other way round.
        if !matches!(state.closed, Some(Closed::Unusable(_))) {
            state.closed = Some(why);
        }
        state.writer_sleeps = false;
        drop(state);
        self.filled.notify_all();
    }

    /// The log is unusable from now on; the first reason given is logged and stays.
    pub(crate) fn fail(&self, why: Arc<WriteError>) {
        self.close(Closed::Unusable(Arc::clone(&why)));
        let is_first = self.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            failure.get_or_insert_with(|| Arc::clone(&why));
            is_first
        });
        if is_first {
            let error = with_causes(why.as_ref());
            error!(error, "the log is unusable until its process restarts");
        }
    }

    /// Why the log is unusable, if it is.
    pub(crate) fn failure(&self) -> Option<Arc<WriteError>> {
        self.failure.borrow().clone()
    }

    /// Tells when it becomes so.
    pub(crate) fn watch_failure(&self) -> watch::Receiver<Option<Arc<WriteError>>> {
        self.failure.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Closed {
    /// What a request hears that comes too late; it is certainly not in the log.
    fn error(&self) -> AppendError {
        match self {
            Closed::Closing => AppendError::NotAppended(Cause::refused("the log is closed")),
            Closed::Unusable(error) => AppendError::Unusable(Cause::failed(Arc::clone(error))),
        }
    }
}

impl Request {
    /// Bytes that the request takes up in the queue.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Request::Append { records, .. } => {
                records.iter().map(|record| record.len() + REQUEST_BYTES).sum()
            }
            Request::Trim { .. } | Request::Remove { .. } => REQUEST_BYTES,
        }
    }
}
