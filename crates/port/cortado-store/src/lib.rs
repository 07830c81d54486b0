//! The store port: where a node keeps the applied state of its replicas.
//!
//! Decides nothing: the fold says what is applied, the store keeps it, whole batches at a time.
//! Start reading at [`Store`]. Every implementation passes the suite in `conformance` (a feature of
//! this crate) and keeps the bytes of [`encoding`].

mod changes;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod digest;
pub mod encoding;
mod memory;

pub use changes::{EntryChange, StoredEntries, changes_of};
pub use digest::digest;
pub use memory::{Fault, MemoryStore};

use bytes::Bytes;
use cortado_model::{Budget, DocumentKey, Etag, PartitionId, Scn, TableId, WallMillis};
use std::ops::Bound;

/// The replicas of one node, each a set of documents and the checkpoint they belong to.
///
/// After a crash each partition is as some earlier `apply` left it, all of that batch and of every
/// batch before it: a suffix may be missing (the log has it), never a middle.
///
/// A partition without a checkpoint is empty. Calls block, for microseconds where not said
/// otherwise.
pub trait Store: Send + Sync + 'static {
    /// The partitions that have a checkpoint, in ascending order.
    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError>;

    /// Applies `batch` to `partition`, its checkpoint included: all of it or nothing.
    ///
    /// One caller at a time for each partition, `remove` and `install` included; different
    /// partitions may be applied to at once.
    ///
    /// # Errors
    /// The batch is not visible. After [`StoreError::Failed`] it may be found, whole or not at all,
    /// when the store is opened again.
    fn apply(&self, partition: PartitionId, batch: Batch) -> Result<(), StoreError>;

    /// A view of `partition` that later batches do not change.
    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError>;

    /// The newest state of one document: what a [`view`](Self::view) taken now would answer.
    fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError>;

    /// Removes everything of `partition`; nothing to remove is no error.
    ///
    /// Takes seconds for a big partition. Interrupted by an error or a crash, it may be half done,
    /// but then the checkpoint is gone, and the next `install` or `remove` of the partition or the
    /// next opening of the store finishes the work.
    fn remove(&self, partition: PartitionId) -> Result<(), StoreError>;

    /// Replaces everything of `partition` by a snapshot: entries in key order, the checkpoint last.
    ///
    /// Takes as long as the snapshot is big. A view taken meanwhile may show a part of the
    /// partition; its checkpoint is `None`.
    ///
    /// # Errors
    /// What an entry of the iterator brings, [`StoreError::Damaged`] for entries out of order or of
    /// another format, or the store's own. Interrupted by any of them or by a crash, the partition
    /// has no checkpoint, as if removed.
    fn install(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<SnapshotEntry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError>;

    /// Makes everything applied so far survive a power cut.
    fn sync(&self) -> Result<(), StoreError>;

    /// What the store takes up on this machine, for operators. May look into the file system.
    ///
    /// A store that keeps nothing on disk and bounds no memory need not say so.
    fn usage(&self) -> StoreUsage {
        StoreUsage::default()
    }
}

/// What a store takes up on this machine. Source: docs/metrics.md.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreUsage {
    /// All files; `None` if it keeps none, or cannot tell.
    pub disk_bytes: Option<u64>,
    /// Table blocks kept in memory.
    pub cache: Budget,
    /// Batches that are in no table yet.
    pub memtables: Budget,
}

/// One state of one partition. Reading it never tears: everything it shows belongs to one SCN.
pub trait View: Send + Sync {
    /// The fold state stored with the newest batch, `None` before the first.
    fn checkpoint(&self) -> Result<Option<Bytes>, StoreError>;

    /// One document.
    fn get(&self, table: TableId, key: &DocumentKey) -> Result<Option<StoredDocument>, StoreError>;

    /// The documents of `range` in key order, lazily.
    fn scan<'a>(&'a self, range: &ScanRange) -> DocumentIterator<'a>;

    /// What was committed under an idempotency key, and when.
    ///
    /// Replicas forget at different moments ([`Batch::forget_before`]): who decides by the answer
    /// must not use one older than that.
    fn remembered(&self, key: &[u8]) -> Result<Option<Remembered>, StoreError>;

    /// Every idempotency key that is remembered, in key order.
    fn remembered_keys<'a>(&'a self) -> Box<dyn Iterator<Item = Result<Bytes, StoreError>> + 'a> {
        Box::new(self.entries().filter_map(|entry| {
            let key = match entry {
                Ok(entry) => entry.key,
                Err(error) => return Some(Err(error)),
            };
            match encoding::EntryKey::parse(&key) {
                Ok(encoding::EntryKey::Remembered { key: name }) => Some(Ok(key.slice_ref(name))),
                Ok(
                    encoding::EntryKey::Document { .. }
                    | encoding::EntryKey::RememberedByTime { .. }
                    | encoding::EntryKey::Bookmark { .. }
                    | encoding::EntryKey::Checkpoint,
                ) => None,
                Err(error) => Some(Err(error)),
            }
        }))
    }

    /// The last bookmark at or before `scn`.
    fn bookmark(&self, scn: Scn) -> Result<Option<(Scn, Bytes)>, StoreError>;

    /// Everything but the checkpoint, in key order: what [`Store::install`] takes.
    fn entries<'a>(&'a self) -> Box<dyn Iterator<Item = Result<SnapshotEntry, StoreError>> + 'a>;
}

/// Documents in the order asked for.
pub type DocumentIterator<'a> =
    Box<dyn Iterator<Item = Result<(DocumentKey, StoredDocument), StoreError>> + 'a>;

/// Which documents of a table, and from which end.
#[derive(Clone, Debug)]
pub struct ScanRange {
    /// The table.
    pub table: TableId,
    /// Encoded key prefix, see [`DocumentKey::as_bytes`]; empty for the whole table.
    pub prefix: Vec<u8>,
    /// Where to go on, exclusive or inclusive, in the direction of the scan.
    pub from: Bound<DocumentKey>,
    /// From the highest key down.
    pub descending: bool,
}

/// A document as applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// Names this state.
    pub etag: Etag,
    /// The transaction that wrote it.
    pub scn: Scn,
    /// Log time of that transaction.
    pub time: WallMillis,
    /// The table's schema that it was checked against.
    pub schema_version: u32,
    /// The JSON object, as written by the client.
    pub value: Bytes,
}

/// The answer to a transaction, to repeat if its idempotency key comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Log time of the transaction.
    pub time: WallMillis,
    /// What to answer.
    pub answer: Bytes,
}

/// What becomes visible together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Documents in SCN order; a later one of the same key wins. `None` removes.
    pub documents: Vec<(TableId, DocumentKey, Option<StoredDocument>)>,
    /// Idempotency keys to remember: log time of the transaction, key, what to answer.
    pub remember: Vec<(WallMillis, Bytes, Bytes)>,
    /// Forget some idempotency keys remembered before this log time, oldest first: at most twice as
    /// many as this batch remembers, or one, so that the table stays bounded and a batch short.
    pub forget_before: Option<WallMillis>,
    /// Fold states to find again by SCN, so that a change stream can start in the middle.
    pub bookmarks: Vec<(Scn, Bytes)>,
    /// Drop bookmarks below this SCN: the log below them was trimmed.
    pub trim_bookmarks_below: Option<Scn>,
    /// The fold state after the batch.
    pub checkpoint: Bytes,
}

/// One stored entry of a partition, opaque outside the store that reads and writes it.
///
/// Key order is the order of [`View::entries`]; the bytes are those of docs/formats/store.md in
/// every implementation, so that a snapshot moves between them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotEntry {
    /// Space and key within the partition.
    pub key: Bytes,
    /// Encoded value.
    pub value: Bytes,
}

/// Why the store did not do it. Nothing of the operation is visible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space: reads go on, writes may be tried again when there is space.
    #[error("the store is full: {why}")]
    Full {
        /// The cause, for people.
        why: String,
    },
    /// The stored bytes are not what was written: the replica must be built anew.
    #[error("the store is damaged: {why}")]
    Damaged {
        /// File or key, for people.
        why: String,
    },
    /// The store has failed and must be dropped and opened again.
    #[error("the store has failed: {why}")]
    Failed {
        /// The cause, for people.
        why: String,
    },
}
