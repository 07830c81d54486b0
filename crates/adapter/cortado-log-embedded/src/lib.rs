//! The log port on segment files of this machine: one log for all partitions of a process.
//!
//! Acknowledges nothing that is not durable, and cuts nothing that was acknowledged. Knows nothing
//! of generations: it orders bytes. Start reading at [`EmbeddedLog`], then `writer.rs`.
//! Source: docs/formats/embedded-log.md.

mod frame;
mod group;
mod opening;
mod segment;
mod files;
mod window;
mod scan;
mod survey;
mod recovery;
mod preparation;
mod partition;
mod line;
mod writer;
mod upkeep;
mod reader;
mod open_error;
mod verify;
mod disk;

pub use open_error::{Damage, OpenError};
pub use verify::{PartitionReport, Report, SegmentReport, SegmentState, TornTail, verify};

use bytes::Bytes;
use cortado_log::{AppendError, Log, LogEntry, LogUsage, Pending, ReadError, check_records};
use cortado_model::{Budget, LogOffset, PartitionId};
use files::{Directory, Files};
use line::{Closed, LINE_BYTES_MAX, Line, Request};
use partition::{Found, Partitions};
use reader::Reader;
use recovery::Opened;
use segment::LogUuid;
use std::future::ready;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use tokio::sync::{oneshot, watch};

/// The ordered records of all partitions of this process, in the files of one directory.
///
/// One thread writes, one reads older records, one prepares and deletes files. Dropping the log
/// finishes what has been handed over, as [`close`](Self::close) does, and waits for it.
#[derive(Debug)]
pub struct EmbeddedLog {
    line: Arc<Line>,
    partitions: Arc<Partitions>,
    reader: Reader,
    files: Arc<dyn Files>,
    /// Bytes of recent records in memory, and how many there may be.
    cache_bytes: Arc<AtomicU64>,
    cache_bytes_max: usize,
    writer: Option<JoinHandle<()>>,
    /// Turns true when the writer has let go of the directory.
    closed: watch::Receiver<bool>,
}

/// Where the log is and how large it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// An existing directory, of this log alone.
    pub directory: PathBuf,
    /// Length of a segment file, between [`Settings::SEGMENT_BYTES_MIN`] and
    /// [`Settings::SEGMENT_BYTES_MAX`]. Space is reserved and freed in these steps.
    pub segment_bytes: u64,
    /// Bytes of recent records that are kept in memory, of all partitions together.
    pub cache_bytes_max: usize,
}

impl Settings {
    /// A header, and some groups behind it.
    pub const SEGMENT_BYTES_MIN: u64 = 8 << 10;
    /// Far below what four bytes can address, and enough to hold a day.
    pub const SEGMENT_BYTES_MAX: u64 = 4 << 30;

    /// Segments of 64 MiB, and 64 MiB of recent records in memory.
    pub fn new(directory: impl Into<PathBuf>) -> Settings {
        Settings { directory: directory.into(), segment_bytes: 64 << 20, cache_bytes_max: 64 << 20 }
    }

    fn check(&self) -> Result<(), OpenError> {
        let (min, max) = (Settings::SEGMENT_BYTES_MIN, Settings::SEGMENT_BYTES_MAX);
        if (min..=max).contains(&self.segment_bytes) {
            return Ok(());
        }
        Err(OpenError::SegmentBytes { segment_bytes: self.segment_bytes, min, max })
    }
}

impl EmbeddedLog {
    /// Opens the log in a directory; an empty directory becomes a log.
    ///
    /// Reads every segment once, to check every byte and to find every record.
    ///
    /// # Errors
    /// See [`OpenError`]; the directory is as it was then.
    pub fn open(settings: Settings) -> Result<EmbeddedLog, OpenError> {
        let files = Arc::new(Directory { path: settings.directory.clone() });
        // Two hashers that the system has seeded differently: enough to tell logs apart.
        let half = || u128::from(RandomState::new().hash_one(&settings.directory));
        EmbeddedLog::open_in(files, &settings, LogUuid(half() << 64 | half()))
    }

    /// Opens the log behind `files`.
    fn open_in(
        files: Arc<dyn Files>,
        settings: &Settings,
        fresh: LogUuid,
    ) -> Result<EmbeddedLog, OpenError> {
        let Opened { line, partitions, writer, cache_bytes, lock } =
            recovery::open(&files, settings, fresh)?;
        let no_thread = |source: io::Error| OpenError::Io {
            directory: settings.directory.clone(),
            doing: "start a thread for the log".to_owned(),
            source,
        };
        let reader = Reader::start().map_err(no_thread)?;
        let (sender, closed) = watch::channel(false);
        let thread = thread::Builder::new().name("cortado-log-writer".to_owned());
        let writer = thread.spawn(move || {
            writer.run();
            // The upkeep has ended with the writer: nobody touches the directory any more.
            drop(lock);
            sender.send_replace(true);
        });
        let writer = Some(writer.map_err(no_thread)?);
        let cache_bytes_max = settings.cache_bytes_max;
        Ok(EmbeddedLog {
            line,
            partitions,
            reader,
            files,
            cache_bytes,
            cache_bytes_max,
            writer,
            closed,
        })
    }

    /// Takes no more appends, finishes those in line, and lets go of the directory.
    ///
    /// Records can still be read afterwards.
    pub fn close(&self) -> Pending<()> {
        self.line.close(Closed::Closing);
        let mut closed = self.closed.clone();
        Box::pin(async move {
            // An error means that the writer is gone, and with it its hold on the directory.
            let _ = closed.wait_for(|closed| *closed).await;
        })
    }

    /// Puts a request in line and answers what its answer will be.
    fn request<T: Send + 'static>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, AppendError>>) -> Request,
    ) -> Pending<Result<T, AppendError>> {
        let (sender, receiver) = oneshot::channel();
        if let Err(error) = self.line.enter(request(sender)) {
            return Box::pin(ready(Err(error)));
        }
        Box::pin(async move {
            let why = "the log's writer has failed".to_owned();
            receiver.await.unwrap_or(Err(AppendError::Unusable { why }))
        })
    }
}

impl Log for EmbeddedLog {
    fn append(
        &self,
        partition: PartitionId,
        records: Vec<Bytes>,
    ) -> Pending<Result<LogOffset, AppendError>> {
        if let Err(error) = check_records(&records) {
            return Box::pin(ready(Err(error)));
        }
        self.request(|answer| Request::Append { partition, records, answer })
    }

    fn read(
        &self,
        partition: PartitionId,
        from: LogOffset,
        bytes_max: usize,
    ) -> Pending<Result<Vec<LogEntry>, ReadError>> {
        let Some(partition) = self.partitions.get(partition) else {
            return Box::pin(ready(Ok(Vec::new())));
        };
        match partition.find(from, bytes_max) {
            Err(error) => Box::pin(ready(Err(error))),
            Ok(Found::Entries(entries)) => Box::pin(ready(Ok(entries))),
            Ok(Found::Stored(stored)) => {
                let answer = self.reader.read(stored, bytes_max);
                Box::pin(async move {
                    let gone = || io::Error::other("the log's reader has stopped");
                    answer.await.unwrap_or_else(|_| Err(ReadError::Unavailable(gone())))
                })
            }
        }
    }

    fn end(&self, partition: PartitionId) -> Pending<Result<LogOffset, ReadError>> {
        Box::pin(ready(Ok(self.partitions.end(partition))))
    }

    fn local_end(&self, partition: PartitionId) -> Option<LogOffset> {
        Some(self.partitions.end(partition))
    }

    fn watch_end(&self, partition: PartitionId) -> watch::Receiver<LogOffset> {
        self.partitions.get_or_new(partition).watch()
    }

    fn trim(&self, partition: PartitionId, below: LogOffset) -> Pending<Result<(), AppendError>> {
        self.request(|answer| Request::Trim { partition, below, answer })
    }

    fn first(&self, partition: PartitionId) -> Pending<Result<LogOffset, ReadError>> {
        let partition = self.partitions.get(partition);
        Box::pin(ready(Ok(partition.map_or(LogOffset::ZERO, |partition| partition.first()))))
    }

    fn remove(&self, partition: PartitionId) -> Pending<Result<(), AppendError>> {
        self.request(|answer| Request::Remove { partition, answer })
    }

    fn usage(&self) -> LogUsage {
        LogUsage {
            disk: disk::measure(self.files.as_ref()).ok(),
            cache: Budget {
                used_bytes: self.cache_bytes.load(Ordering::Relaxed),
                limit_bytes: self.cache_bytes_max as u64,
            },
            queue: Budget {
                used_bytes: self.line.bytes() as u64,
                limit_bytes: LINE_BYTES_MAX as u64,
            },
        }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.line.close(Closed::Closing);
        if let Some(writer) = self.writer.take() {
            // It has no result, and a panic has been reported by then.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
