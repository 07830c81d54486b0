//! The log port: what a partition's log promises, whoever keeps it.
//!
//! Decides nothing about generations or leaders: the log orders bytes, the fold judges them.
//! Start reading at [`Log`]. Every implementation passes the `conformance` suite (a feature).
//! Source: docs/protocols/replication.md, "The log port".

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod memory;

use bytes::Bytes;
use cortado_model::{Budget, LogOffset, PartitionId};
use std::future::Future;
use std::io;
use std::pin::Pin;
use tokio::sync::watch;

/// What a log operation will answer. Work has been handed over when it is returned; dropping it
/// gives up the answer, never the work.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The ordered records of many partitions.
///
/// Each partition's records stand at offsets 0, 1, 2, … without holes. A record that was
/// acknowledged, or shown by [`read`](Self::read) or [`watch_end`](Self::watch_end), is durable:
/// it stays at its offset until it is trimmed.
pub trait Log: Send + Sync + 'static {
    /// Appends `records` to `partition`, in order and next to one another, and answers with the
    /// offset of the first once all are durable.
    ///
    /// * `records`: at least one; each at most [`RECORD_BYTES_MAX`]. Anything else is
    ///   [`AppendError::NotAppended`].
    ///
    /// The call itself puts the records in line, before the answer is awaited: of two calls for one
    /// partition on one thread, the first one's records stand first. After an [`AppendError`] a
    /// prefix of `records` may be in the log, unless the error says otherwise.
    fn append(
        &self,
        partition: PartitionId,
        records: Vec<Bytes>,
    ) -> Pending<Result<LogOffset, AppendError>>;

    /// Reads records in order from offset `from` on.
    ///
    /// Answers at least one record if there is one, then stops before `bytes_max` is passed. At or
    /// beyond the end the answer is empty.
    fn read(
        &self,
        partition: PartitionId,
        from: LogOffset,
        bytes_max: usize,
    ) -> Pending<Result<Vec<LogEntry>, ReadError>>;

    /// The offset that the next record will get, no older than this call.
    ///
    /// Every record acknowledged before the call stands below it.
    fn end(&self, partition: PartitionId) -> Pending<Result<LogOffset, ReadError>>;

    /// The end that this process can prove without waiting, or `None` if other machines append too.
    ///
    /// As fresh as [`end`](Self::end); a strong read compares it with the fold's position.
    fn local_end(&self, partition: PartitionId) -> Option<LogOffset>;

    /// Follows the end: changes when records become durable. May lag, never runs ahead.
    fn watch_end(&self, partition: PartitionId) -> watch::Receiver<LogOffset>;

    /// Allows the log to forget the records of `partition` below `below`.
    ///
    /// A log may keep more than it must; [`first`](Self::first) tells. A `below` beyond the end
    /// means the end, one below [`first`](Self::first) changes nothing. The end never moves.
    fn trim(&self, partition: PartitionId, below: LogOffset) -> Pending<Result<(), AppendError>>;

    /// The offset of the oldest record that can be read; equals the end if there is none.
    fn first(&self, partition: PartitionId) -> Pending<Result<LogOffset, ReadError>>;

    /// Forgets everything about `partition`, whose database was dropped; its end is 0 again.
    fn remove(&self, partition: PartitionId) -> Pending<Result<(), AppendError>>;

    /// What the log takes up on this machine, for operators. May look into the file system.
    ///
    /// A log that keeps nothing here need not say so.
    fn usage(&self) -> LogUsage {
        LogUsage::default()
    }
}

/// What a log takes up on this machine. Source: docs/metrics.md.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogUsage {
    /// `None` if it keeps no files here, or cannot tell.
    pub disk: Option<LogDisk>,
    /// Recent records kept in memory.
    pub cache: Budget,
    /// Records that were handed over and are not durable yet.
    pub queue: Budget,
}

/// The files of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogDisk {
    /// All files, the one that is being prepared included.
    pub bytes: u64,
    /// The files that hold records.
    pub segments: u64,
}

/// Bytes of one record: a transaction of the largest request body, and its header.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// The rule about what may be appended at all, the same for every implementation.
///
/// # Errors
/// `NotAppended` for no records, and for one longer than [`RECORD_BYTES_MAX`].
pub fn check_records(records: &[Bytes]) -> Result<(), AppendError> {
    if records.is_empty() {
        return Err(AppendError::NotAppended { why: "an append needs at least one record".into() });
    }
    match records.iter().find(|record| record.len() > RECORD_BYTES_MAX) {
        None => Ok(()),
        Some(record) => Err(AppendError::NotAppended {
            why: format!("a record of {} bytes exceeds {RECORD_BYTES_MAX} bytes", record.len()),
        }),
    }
}

/// One record as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it stands.
    pub offset: LogOffset,
    /// What was appended, to the byte.
    pub record: Bytes,
}

/// Why an append has no offset to tell.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Certainly not in the log, none of it. Retry after backing off.
    #[error("certainly not appended: {why}")]
    NotAppended {
        /// The cause, for people: no space, queue full, record too large.
        why: String,
    },
    /// Perhaps in the log. Read back before saying anything about it.
    #[error("perhaps appended: {why}")]
    Unknown {
        /// The cause, for people.
        why: String,
    },
    /// The log takes no appends any more until its process restarts; perhaps in the log.
    #[error("the log is unusable: {why}")]
    Unusable {
        /// The cause, for people: a failed fsync, a damaged file.
        why: String,
    },
}

/// Why a read has no records to tell.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The records are gone: resync from a snapshot, then read from `first` on.
    #[error("records below {first} have been trimmed")]
    Trimmed {
        /// The oldest offset that can still be read.
        first: LogOffset,
    },
    /// Passing; try again.
    #[error("the log cannot be read")]
    Unavailable(#[source] io::Error),
    /// The stored bytes are not what was written. Never repaired silently.
    #[error("the log is damaged: {why}")]
    Damaged {
        /// File and position, for people.
        why: String,
    },
}
