//! The log port on segment files of this machine: one log for all partitions of a process.
//!
//! Acknowledges nothing that is not durable, and cuts nothing that was acknowledged. Knows nothing
//! of generations: it orders bytes. Start reading at [`EmbeddedLog`], then `writer.rs`.
//! Source: docs/formats/embedded-log.md.

mod place;
mod frame;
mod group;
mod opening;
mod segment;
mod files;
mod window;
mod segment_scan;
mod directory_scan;
mod recovery;
mod preparation;
mod prepare_error;
mod spare_segments;
mod partition;
mod append_error;
mod maintenance;
mod write_error;
mod append_queue;
mod writer;
mod reader;
mod requests;
mod databases;
mod open_error;
mod settings;
mod verify;
mod disk;

pub use open_error::{Damage, OpenError};
pub use settings::Settings;
pub use verify::{PartitionReport, Report, SegmentReport, SegmentState, TornTail, verify};

use append_error::AppendError;
use append_queue::QUEUE_BYTES_MAX;
use cortado_log::{
    AppendOutcome, Appended, Cause, CreateError, Extent, Follower, Log, LogPage, LogReadError,
    LogSpec, LogTraits, LogUsage, Pending, Producer, PullFollower, QueueProducer, RECORD_BYTES_MAX,
    RemoveError, TrimError, Verified, VerifyError,
};
use cortado_model::{Budget, LogId, LogOffset, LogPosition, PartitionId, with_causes};
use databases::Databases;
use files::{Directory, Files};
use reader::Reader;
use recovery::Opened;
use requests::Requests;
use segment::LogUuid;
use std::future::ready;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use tokio::sync::watch;

/// The ordered records of all partitions of this process, in the files of one directory.
///
/// One thread writes, one reads older records, one prepares and deletes files. Dropping the log
/// finishes what has been handed over, as [`close`](Self::close) does, and waits for it.
#[derive(Debug)]
pub struct EmbeddedLog {
    requests: Requests,
    databases: Databases,
    id: LogId,
    files: Arc<dyn Files>,
    /// Bytes of recent records in memory, and how many there may be.
    cache_bytes: Arc<AtomicU64>,
    cache_bytes_max: usize,
    /// Whether there is no room for the next segment.
    full: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
    /// Turns true when the writer has let go of the directory.
    closed: watch::Receiver<bool>,
}

impl EmbeddedLog {
    /// Opens the log in a directory; one without segments becomes a log, unless it must be there.
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
        let Opened { log, queue, partitions, writer, cache_bytes, full, lock } =
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
            // The maintenance has ended with the writer: no thread touches the directory any more.
            drop(lock);
            sender.send_replace(true);
        });
        let writer = Some(writer.map_err(no_thread)?);
        Ok(EmbeddedLog {
            databases: Databases::found(partitions.ids().into_iter()),
            requests: Requests::new(queue, partitions, reader),
            id: LogId(log.0),
            files,
            cache_bytes,
            cache_bytes_max: settings.cache_bytes_max,
            full,
            writer,
            closed,
        })
    }

    /// Waits until the log has failed for good, and answers why.
    ///
    /// What it has acknowledged is durable; whether what was on its way is, the next start finds.
    pub fn failed(&self) -> Pending<String> {
        let mut failure = self.requests.watch_failure();
        Box::pin(async move {
            if failure.wait_for(Option::is_some).await.is_err() {
                // The log is gone, and has not failed.
                std::future::pending::<()>().await;
            }
            let failure = failure.borrow();
            failure.as_deref().map(|why| with_causes(why)).unwrap_or_default()
        })
    }

    /// The partitions of which it has forgotten records, each with the first that is left.
    pub fn trimmed(&self) -> Vec<(PartitionId, LogOffset)> {
        let found = self.requests.partitions.ids().into_iter();
        let firsts = found.map(|partition| (partition, self.requests.bounds(partition).0));
        firsts.filter(|(_, first)| *first > LogOffset::ZERO).collect()
    }

    /// Takes no more appends, finishes those in the queue, and lets go of the directory.
    ///
    /// Records can still be read afterwards.
    pub fn close(&self) -> Pending<()> {
        self.requests.close();
        let mut closed = self.closed.clone();
        Box::pin(async move {
            // An error means that the writer is gone, and with it its hold on the directory.
            let _ = closed.wait_for(|closed| *closed).await;
        })
    }
}

impl Log for EmbeddedLog {
    fn traits(&self) -> LogTraits {
        LogTraits { local: true, record_bytes_max: RECORD_BYTES_MAX }
    }

    fn create(&self, spec: &LogSpec) -> Pending<Result<LogId, CreateError>> {
        let (id, wanted) = (self.id, spec.partitions);
        let other = |found| CreateError::OtherPartitions { found, wanted };
        Box::pin(ready(self.databases.create(spec).map(|()| id).map_err(other)))
    }

    fn verify(&self, spec: &LogSpec) -> Pending<Result<Verified, VerifyError>> {
        let wanted = spec.partitions;
        Box::pin(ready(match self.databases.verify(spec) {
            Ok(true) => Ok(Verified { log: self.id, drift: Vec::new() }),
            Ok(false) => Err(VerifyError::Missing),
            Err(found) => Err(VerifyError::OtherPartitions { found, wanted }),
        }))
    }

    fn remove(&self, spec: &LogSpec) -> Pending<Result<(), RemoveError>> {
        let partition = |number| PartitionId { database: spec.database, number };
        // Nothing new comes before the removals in the queue, nor behind them.
        let partitions = 0..self.databases.remove(spec);
        let removals: Vec<_> =
            partitions.map(|number| self.requests.remove(partition(number))).collect();
        Box::pin(async move {
            for removed in removals {
                removed.await.map_err(|error| RemoveError(error.into_io()))?;
            }
            Ok(())
        })
    }

    fn extents(&self, partitions: &[PartitionId]) -> Pending<Result<Vec<Extent>, LogReadError>> {
        let extent = |partition: &PartitionId| {
            let (first, end) = self.requests.bounds(*partition);
            let extent = Extent { log: self.id, first, end, epoch: 0 };
            self.databases.has(*partition).then_some(extent)
        };
        let extents: Option<Vec<Extent>> = partitions.iter().map(extent).collect();
        Box::pin(ready(extents.ok_or(LogReadError::Missing)))
    }

    fn producer(&self, partition: PartitionId) -> Box<dyn Producer> {
        let (databases, requests) = (self.databases.clone(), self.requests.clone());
        Box::new(QueueProducer::new(move |records, urgency| {
            let refused =
                |cause| Box::pin(ready(Appended::Each(AppendOutcome::NotAppended(cause))));
            if !databases.has(partition) {
                return refused(Cause::Missing);
            }
            let longest = records.iter().map(|record| record.len()).max().unwrap_or_default();
            if longest > RECORD_BYTES_MAX {
                let max_bytes = RECORD_BYTES_MAX;
                return refused(Cause::TooLarge { bytes: longest, max_bytes });
            }
            let answer = requests.append(partition, records, urgency);
            Box::pin(async move {
                let failed = |error: AppendError| Appended::Each(error.into_outcome());
                answer.await.map_or_else(failed, Appended::From)
            })
        }))
    }

    fn follow(&self, partition: PartitionId, from: LogPosition) -> Box<dyn Follower> {
        let (databases, requests) = (self.databases.clone(), self.requests.clone());
        let end = self.requests.watch_end(partition);
        let read = move |from, bytes_max| read(&databases, &requests, partition, from, bytes_max);
        Box::new(PullFollower::new(read, end, from))
    }

    fn read(
        &self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Pending<Result<LogPage, LogReadError>> {
        read(&self.databases, &self.requests, partition, from, bytes_max)
    }

    fn local_end(&self, partition: PartitionId) -> Option<LogOffset> {
        Some(self.requests.end(partition))
    }

    fn trim(
        &self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Pending<Result<(), TrimError>> {
        if !self.databases.has(partition) {
            return Box::pin(ready(Err(TrimError::Missing)));
        }
        if log != self.id {
            return Box::pin(ready(Err(TrimError::Replaced { found: self.id })));
        }
        let trimmed = self.requests.trim(partition, below);
        Box::pin(
            async move { trimmed.await.map_err(|error| TrimError::Unavailable(error.into_io())) },
        )
    }

    fn has_room(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }

    fn failure(&self) -> Option<String> {
        self.requests.watch_failure().borrow().as_deref().map(|why| with_causes(why))
    }

    fn usage(&self) -> LogUsage {
        LogUsage {
            disk: disk::measure(self.files.as_ref()).ok(),
            cache: Budget {
                used_bytes: self.cache_bytes.load(Ordering::Relaxed),
                limit_bytes: self.cache_bytes_max as u64,
            },
            queue: Budget {
                used_bytes: self.requests.queued_bytes() as u64,
                limit_bytes: QUEUE_BYTES_MAX as u64,
            },
        }
    }
}

fn read(
    databases: &Databases,
    requests: &Requests,
    partition: PartitionId,
    from: LogPosition,
    bytes_max: usize,
) -> Pending<Result<LogPage, LogReadError>> {
    if databases.has(partition) {
        requests.read(partition, from, bytes_max)
    } else {
        Box::pin(ready(Err(LogReadError::Missing)))
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.requests.close();
        if let Some(writer) = self.writer.take() {
            // It has no result, and a panic has been reported by then.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
