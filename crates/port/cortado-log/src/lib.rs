//! The log port: what a partition's log promises, whichever implementation keeps it.
//!
//! Decides nothing about generations or leaders: the log orders bytes, the fold judges them.
//! Start reading at [`Log`]; beside it stand [`Beats`], with which nodes show that they live. Every
//! implementation passes its `conformance` suite (a feature).
//! Source: docs/protocols/replication.md, "The log port".

mod beats;
#[cfg(feature = "conformance")]
pub mod conformance;
mod follower;
mod lifecycle;
pub mod memory;
mod producer;
mod pull;
mod queue;
mod reading;
mod usage;

pub use beats::{BeatFollower, BeatNotSent, Beats, HeardBeat, beats_of};
pub use follower::{Follower, page_of, ready_of};
pub use lifecycle::{CreateError, Drift, LogSpec, RemoveError, TrimError, Verified, VerifyError};
pub use producer::{AppendOutcome, AppendPriority, Cause, Producer, outcomes_of};
pub use pull::PullFollower;
pub use queue::{Appended, QueueProducer};
pub use reading::{Extent, LogEntry, LogPage, LogReadError};
pub use usage::{LogDisk, LogUsage};

use cortado_model::{LogId, LogOffset, LogPosition, PartitionId};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// What a log operation will answer. Work has been handed over when it is returned; dropping it
/// gives up the answer, never the work.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The ordered records of many partitions.
///
/// A partition's records stand at ascending offsets. A record that was acknowledged, or shown by a
/// read or a [`Follower`], is durable: it stays at its offset until it is trimmed. Between records
/// offsets may be missing that never held any; a [`LogPage`] says which.
///
/// A partition has a log from [`create`](Self::create) to [`remove`](Self::remove), not by being
/// used. Each process calls [`create`](Self::create) or [`verify`](Self::verify) for a database
/// before anything else of it.
pub trait Log: Send + Sync + 'static {
    /// What holds for every partition.
    fn traits(&self) -> LogTraits;

    /// Makes the logs of all partitions of a database, empty; answers their identity.
    ///
    /// Idempotent: what exists with the same number of partitions stays as it is.
    fn create(&self, spec: &LogSpec) -> Pending<Result<LogId, CreateError>>;

    /// Looks whether the logs of a database are there and as they should be.
    fn verify(&self, spec: &LogSpec) -> Pending<Result<Verified, VerifyError>>;

    /// Forgets the logs of a database that was dropped; nothing to forget is no error.
    fn remove(&self, spec: &LogSpec) -> Pending<Result<(), RemoveError>>;

    /// Where the logs of `partitions` begin and end, in the order asked, no older than this call.
    ///
    /// Every record acknowledged before the call stands below its partition's end.
    fn extents(&self, partitions: &[PartitionId]) -> Pending<Result<Vec<Extent>, LogReadError>>;

    /// A way to append to `partition`. Several may exist at a time, one is meant to be in use.
    fn producer(&self, partition: PartitionId) -> Box<dyn Producer>;

    /// Follows `partition` from `from` on.
    fn follow(&self, partition: PartitionId, from: LogPosition) -> Box<dyn Follower>;

    /// Reads records in order from `from` on.
    ///
    /// Answers at least one record if there is one, then stops before `bytes_max` is passed. At the
    /// end the page is empty.
    fn read(
        &self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Pending<Result<LogPage, LogReadError>>;

    /// The end that this process can prove without waiting, or `None` if other machines append too.
    ///
    /// As fresh as [`extents`](Self::extents); a strong read compares it with the fold's position.
    fn local_end(&self, partition: PartitionId) -> Option<LogOffset>;

    /// Allows the log whose identity is `log` to forget the records of `partition` below `below`.
    ///
    /// A log may keep more than it must; [`extents`](Self::extents) tells. A `below` beyond the end
    /// means the end, one below the first record changes nothing. The end never moves.
    fn trim(
        &self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Pending<Result<(), TrimError>>;

    /// Bytes of one record of `partition` at most, as it is known now: what all allow, or less.
    fn record_bytes_max(&self, _partition: PartitionId) -> usize {
        self.traits().record_bytes_max
    }

    /// How long an append may take while all is well, as it is known now.
    fn stall_max(&self) -> Duration {
        STALL_MAX
    }

    /// Whether there is room for more than what has a [priority](AppendPriority). Costs little.
    fn has_room(&self) -> bool {
        true
    }

    /// Why the log takes nothing more until its process starts again, if that is so.
    fn failure(&self) -> Option<String> {
        None
    }

    /// What the log takes up on this machine, for operators. May look into the file system.
    ///
    /// A log that keeps nothing here need not say so.
    fn usage(&self) -> LogUsage {
        LogUsage::default()
    }
}

/// What holds for every partition of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogTraits {
    /// This process alone appends, and [`Log::local_end`] answers.
    pub local: bool,
    /// Bytes of one record at most; a longer one is [`Cause::TooLarge`].
    pub record_bytes_max: usize,
}

/// A disk of this machine may stall for seconds; longer than that it is as good as gone.
const STALL_MAX: Duration = Duration::from_secs(15);

/// Bytes of one record at most in a log that has no limit of its own: a transaction of the largest
/// request body, and its header.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
