//! What callers ask of the log's threads: appends, reads, trims and removals.
//!
//! Knows partitions, not databases. Cheap to clone; any holder can ask. Start reading at
//! [`Requests`].

use crate::append_error::AppendError;
use crate::append_queue::{AppendQueue, Closed, Request};
use crate::partition::{Found, Partitions};
use crate::reader::Reader;
use crate::write_error::WriteError;
use bytes::Bytes;
use cortado_log::{AppendPriority, Cause, LogPage, LogReadError, Pending};
use cortado_model::{LogOffset, LogPosition, PartitionId};
use std::future::ready;
use std::io;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// The way to the log's threads.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    queue: Arc<AppendQueue>,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) reader: Arc<Reader>,
}

impl Requests {
    pub(crate) fn new(
        queue: Arc<AppendQueue>,
        partitions: Arc<Partitions>,
        reader: Reader,
    ) -> Requests {
        Requests { queue, partitions, reader: Arc::new(reader) }
    }

    /// Takes no more requests but reads; those in the queue are still done.
    pub(crate) fn close(&self) {
        self.queue.close(Closed::Closing);
    }

    /// Appends at least one record, all next to one another; answers where the first one stands.
    pub(crate) fn append(
        &self,
        partition: PartitionId,
        records: Vec<Bytes>,
        priority: AppendPriority,
    ) -> Pending<Result<LogOffset, AppendError>> {
        self.request(|answer| Request::Append { partition, records, priority, answer })
    }

    pub(crate) fn trim(
        &self,
        partition: PartitionId,
        below: LogOffset,
    ) -> Pending<Result<(), AppendError>> {
        self.request(|answer| Request::Trim { partition, below, answer })
    }

    pub(crate) fn remove(&self, partition: PartitionId) -> Pending<Result<(), AppendError>> {
        self.request(|answer| Request::Remove { partition, answer })
    }

    pub(crate) fn read(
        &self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Pending<Result<LogPage, LogReadError>> {
        let partition = self.partitions.get_or_new(partition);
        let page = move |entries: Vec<cortado_log::LogEntry>, end| {
            let next = entries.last().map_or(from.offset, |entry| entry.offset.plus(1));
            LogPage { entries, next: LogPosition { offset: next, ..from }, end }
        };
        match partition.find(from.offset, bytes_max) {
            Err(error) => Box::pin(ready(Err(error))),
            Ok((Found::Entries(entries), end)) => Box::pin(ready(Ok(page(entries, end)))),
            Ok((Found::Stored(stored), end)) => {
                let answer = self.reader.read(stored, bytes_max);
                Box::pin(async move {
                    let gone = || io::Error::other("the log's reader thread has stopped");
                    let entries = answer.await;
                    let entries =
                        entries.unwrap_or_else(|_| Err(LogReadError::Unavailable(gone())))?;
                    Ok(page(entries, end))
                })
            }
        }
    }

    /// The oldest record that is left, and the end.
    pub(crate) fn bounds(&self, partition: PartitionId) -> (LogOffset, LogOffset) {
        let partition = self.partitions.get(partition);
        partition.map_or((LogOffset::ZERO, LogOffset::ZERO), |partition| partition.bounds())
    }

    pub(crate) fn end(&self, partition: PartitionId) -> LogOffset {
        self.partitions.end(partition)
    }

    pub(crate) fn watch_end(&self, partition: PartitionId) -> watch::Receiver<LogOffset> {
        self.partitions.get_or_new(partition).watch()
    }

    /// Why the log is unusable, once it is.
    pub(crate) fn watch_failure(&self) -> watch::Receiver<Option<Arc<WriteError>>> {
        self.queue.watch_failure()
    }

    /// Bytes of the requests that wait and of those that the writer works on.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Queues a request and answers what its answer will be.
    fn request<T: Send + 'static>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, AppendError>>) -> Request,
    ) -> Pending<Result<T, AppendError>> {
        let (sender, receiver) = oneshot::channel();
        if let Err(error) = self.queue.push(request(sender)) {
            return Box::pin(ready(Err(error)));
        }
        Box::pin(async move {
            let stopped = |_| {
                Err(AppendError::Unusable(Cause::failed("the log's writer thread has stopped")))
            };
            receiver.await.unwrap_or_else(stopped)
        })
    }
}
