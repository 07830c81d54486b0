//! What callers of the gateway ask for, and what they are told.
//!
//! Decides nothing. Start reading at [`WriteRequest`] and [`ReadOptions`].

use bytes::Bytes;
use cortado_document::{Done, Operation, Refusal, TransactionError};
use cortado_driver::{Refused, Written};
use cortado_model::{
    DocumentKey, Etag, NodeId, PartitionId, Scn, StoreError, StoredDocument, WallMillis,
};
use cortado_peer::{ServedRole, Unserved};
use tokio::time::Instant;

/// What clients are told when the cluster is busy, or between two leaders.
pub(super) const RETRY_AFTER_MS: u64 = 1_000;

/// How a read is served.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// The promise.
    pub consistency: Consistency,
    /// For [`Consistency::Session`]: what the client has seen of the partition it reads. `None`
    /// behaves like [`Consistency::Eventual`].
    pub at_least: Option<Scn>,
    /// When the caller gives up.
    pub deadline: Instant,
}

/// What a read promises. Source: docs/protocols/replication.md, "Reads".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Linearizable; from the leader.
    Strong,
    /// Linearizable, no clock assumed; the same as strong where the log's end can be read locally.
    Strict,
    /// Read your writes, monotonic reads.
    Session,
    /// At most this old.
    Bounded {
        /// How old.
        max_lag_ms: u64,
    },
    /// Some prefix of the partition's history.
    Eventual,
}

/// An answer, and which node gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served<T> {
    /// What was read.
    pub value: T,
    /// The partition.
    pub partition: u32,
    /// A position that covers everything `value` shows: what a session token must remember.
    pub applied: Scn,
    /// The node that answered.
    pub node: NodeId,
    /// As what.
    pub role: ServedRole,
}

/// One page of a collection.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// The key parts that all documents share, at least the resource, fewer than the table's key.
    pub prefix: DocumentKey,
    /// Go on behind this key, in the direction of the list.
    pub after: Option<DocumentKey>,
    /// From the highest key down.
    pub descending: bool,
    /// Documents at most; 1 to 1,000.
    pub limit: usize,
    /// The page ends behind the document with which it reaches so many bytes.
    pub bytes_max: usize,
}

/// One page of a whole table, partition after partition.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// Where the page before ended; `None` for the first page.
    pub position: Option<ScanPosition>,
    /// Documents at most; 1 to 1,000.
    pub limit: usize,
    /// The page ends behind the document with which it reaches so many bytes.
    pub bytes_max: usize,
}

/// Where a scan goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPosition {
    /// In this partition.
    pub partition: u32,
    /// Behind this key; `None` from its beginning.
    pub after: Option<DocumentKey>,
}

/// Documents of one or more partitions in order, those of each partition as of one SCN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPage {
    /// Partition, key, document.
    pub documents: Vec<(u32, DocumentKey, StoredDocument)>,
    /// Where the next page goes on; `None` on the last page.
    pub next: Option<ScanPosition>,
    /// Which partitions were read, and at which SCN: what a session token must remember.
    pub applied: Vec<(u32, Scn)>,
    /// The node that served the last partition read.
    pub node: NodeId,
    /// As what.
    pub role: ServedRole,
}

/// Why a read was not served. Reads have no effect: all of them may be tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The deadline passed, and no replica could serve the read as promised.
    #[error("no replica could serve the read in time: {why}")]
    Unserved {
        /// What was waited for.
        why: Unserved,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The same, and it will be so until an operator has done something.
    #[error("{why}")]
    StandsStill {
        /// What.
        why: Standstill,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The database was dropped meanwhile.
    #[error("the database was dropped")]
    NoSuchDatabase,
    /// The partition number is not below the database's partition count.
    #[error("the database has no such partition")]
    NoSuchPartition,
    /// The stored bytes are damaged, or the store has failed; the replica is being rebuilt, or its
    /// node starts again.
    #[error("the replica's store cannot be read")]
    Store(#[source] StoreError),
    /// The node has answered something else than was asked: another build, or a bug.
    #[error("{node} has answered something else than was asked")]
    BadAnswer {
        /// The node.
        node: NodeId,
    },
}

/// A write of one resource.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// All or nothing; 1 to 1,000, all of one resource, no key twice.
    pub operations: Vec<Operation>,
    /// Under which key it is remembered.
    pub idempotency: Option<IdempotencyKey>,
    /// When the caller gives up.
    pub deadline: Instant,
}

/// How a repetition of a write is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The client's key; 1 to 255 bytes.
    pub key: Bytes,
    /// Hash of method, path, conditions and body.
    pub fingerprint: u128,
    /// For how long the answer is remembered: 1 to [`IDEMPOTENCY_TTL_MS_MAX`].
    ///
    /// [`IDEMPOTENCY_TTL_MS_MAX`]: cortado_model::limits::IDEMPOTENCY_TTL_MS_MAX
    pub ttl_ms: u32,
}

/// A write that is committed, or one without an idempotency key that had nothing to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteReceipt {
    /// The partition.
    pub partition: u32,
    /// The transaction's place. Of a write that changed nothing: the place it was evaluated at.
    pub scn: Scn,
    /// Its log time.
    pub time: WallMillis,
    /// The etag of every document it wrote; of none if it changed nothing.
    pub etag: Etag,
    /// One for each operation, in their order.
    pub results: Vec<Done>,
    /// The write had been done before, under its idempotency key: this is the first answer.
    pub repeated: bool,
}

impl WriteReceipt {
    pub(crate) fn of(written: Written, partition: PartitionId) -> WriteReceipt {
        let Written { scn, time, etag, results, repeated } = written;
        WriteReceipt { partition: partition.number, scn, time, etag, results, repeated }
    }
}

/// Why a write was not answered with [`WriteReceipt`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Not done. The operations are no transaction, whatever the state.
    #[error(transparent)]
    Malformed(TransactionError),
    /// Not done. One operation cannot be done in the state that it finds.
    #[error("operation {operation} is refused: {refusal}")]
    Refused {
        /// Counted from 0.
        operation: usize,
        /// Why.
        refusal: Refusal,
    },
    /// Not done. The idempotency key belongs to another request of this resource.
    #[error("the idempotency key was used for a different request")]
    KeyReused,
    /// Not done. What the transaction writes exceeds what one record holds.
    #[error("the transaction writes {bytes} bytes; the limit is {bytes_max} bytes")]
    TooLarge {
        /// What it would write.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Not done, now or later. Try again.
    #[error("not done: {why}")]
    NotDone {
        /// Why.
        why: NotDoneWhy,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// Not done: the deadline passed before anything was begun.
    #[error("the deadline passed before the write was begun")]
    DeadlineBefore,
    /// Not done: the database was dropped meanwhile.
    #[error("the database was dropped")]
    NoSuchDatabase,
    /// Perhaps done. A repetition under the same idempotency key finds out.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// What is known.
        why: UnknownReason,
    },
}

impl From<Refused> for WriteError {
    fn from(refused: Refused) -> WriteError {
        match refused {
            Refused::Operation { operation, refusal } => WriteError::Refused { operation, refusal },
            Refused::KeyReused => WriteError::KeyReused,
            Refused::TooLarge { bytes, bytes_max } => WriteError::TooLarge { bytes, bytes_max },
            Refused::NoRoom => {
                WriteError::NotDone { why: NotDoneWhy::LogFull, retry_after_ms: RETRY_AFTER_MS }
            }
            Refused::Budget { retry_after_ms } => {
                WriteError::NotDone { why: NotDoneWhy::IdempotencyBudget, retry_after_ms }
            }
        }
    }
}

/// Why a write was definitely not done although nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDoneWhy {
    /// No leader served the partition before the deadline.
    #[error("no replica leads the partition")]
    NoLeader,
    /// The same, and it will be so until an operator has done something.
    #[error(transparent)]
    StandsStill(Standstill),
    /// Too much is in flight.
    #[error("too many writes are in flight")]
    Overloaded,
    /// The partition remembers as many answers as it may: none can be added until one expires.
    #[error("the partition remembers as many answers as it may; retry when some have expired")]
    IdempotencyBudget,
    /// There is no space: the log refused the records, or the stores could not take them.
    #[error("the storage refused the write; its disk may be full")]
    LogFull,
    /// The log takes nothing until the process starts again.
    #[error("the log accepts no writes until the process is restarted")]
    Unusable,
    /// The partition's generations are used up: it is read-only for ever.
    #[error("the partition is read-only: its generations are used up")]
    ReadOnly,
    /// A setting of the log was changed, so that what is acknowledged could be lost.
    #[error(
        "the database is read-only: a setting of its log endangers what would be written; \
         `cortado status` names it; writes go on when it is mended"
    )]
    LogDrift,
    /// The process is ending.
    #[error("the process is shutting down")]
    Ending,
}

/// Why a partition is not served before an operator has done something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Standstill {
    /// Replicas have different histories, and none may go on by itself.
    #[error(
        "replicas of the partition have different histories: `cortado partition resolve` shows \
         them, and lets one go on"
    )]
    Disputed,
    /// The log holds what the nodes that run cannot read.
    #[error("the partition's log was written by a newer version: upgrade the nodes")]
    NeedsUpgrade,
}

/// Why it is unknown whether a write was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownReason {
    /// The deadline passed while the write was on its way.
    #[error("the deadline passed while the write was on its way")]
    Deadline,
    /// The leader died, or its replica was taken offline, while the write was on its way.
    #[error("the leader was lost while the write was on its way")]
    LeaderLost,
    /// The log failed while the write was on its way.
    #[error("the log failed while the write was on its way")]
    LogFailed,
}
