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
#[cfg(test)]
mod golden;
mod memory;
#[cfg(any(test, feature = "conformance"))]
mod random;
#[cfg(any(test, feature = "conformance"))]
mod slow;

pub use changes::{KeyChange, StoredEntries, changes_of};
pub use cortado_model::StoreError;
pub use digest::{Digested, digest};
pub use encoding::Expiring;
pub use memory::{Fault, MemoryStore};
#[cfg(any(test, feature = "conformance"))]
pub use slow::Slow;

use bytes::Bytes;
use cortado_model::{
    Batch, Budget, DocumentKey, Entry, EntryRange, Findings, PartitionId, Remembered,
    RememberedKey, Scn, StoredDocument, TableId, WallMillis,
};

/// The replicas of one node, each a set of documents and the checkpoint they belong to.
///
/// After a crash each partition is as some earlier `apply` left it, all of that batch and of every
/// batch before it: a suffix may be missing (the log has it), never a middle.
///
/// A partition without a checkpoint is empty. Calls block, for as long as [`traits`](Self::traits)
/// and each call say, and each comes to an end: a store on another machine fails a call that takes
/// too long.
pub trait Store: Send + Sync + 'static {
    /// How the store may be called; the same for as long as it is open.
    fn traits(&self) -> StoreTraits;

    /// The partitions that have a checkpoint, in ascending order.
    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError>;

    /// Applies the batches of some partitions in one commit, each with its checkpoint.
    ///
    /// Batches that [need no room](needs_no_room) are taken by a full store, too.
    ///
    /// Each batch shows whole or not at all, and all of them have when the call ends. A crash may
    /// lose some of them and keep others.
    ///
    /// One caller at a time for each partition, `remove` and `install` included; different
    /// partitions may be applied to at once.
    ///
    /// * `batches`: one of each partition at most. None is no error.
    ///
    /// # Errors
    /// No batch is visible. After [`StoreError::Failed`] each may be found, whole or not at all,
    /// when the store is opened again.
    ///
    /// # Panics
    /// A partition comes twice, and nothing was applied: see [`assert_distinct`].
    fn apply(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError>;

    /// [`apply`](Self::apply) for one partition.
    ///
    /// # Errors
    /// See there.
    fn apply_one(&self, partition: PartitionId, batch: Batch) -> Result<(), StoreError> {
        self.apply(vec![(partition, batch)])
    }

    /// A view of `partition` that later batches do not change.
    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError>;

    /// The newest state of one document: what a [`view`](Self::view) taken now would answer.
    fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError>;

    /// Some documents of `partition`, and what is known of idempotency keys: all of one state.
    ///
    /// * `keys`: up to 1,000, each with its table; one or a few mostly.
    /// * `names`: as many at most; without them, nothing is told of what is remembered.
    fn find(
        &self,
        partition: PartitionId,
        keys: &[(TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Result<Findings, StoreError> {
        self.view(partition)?.find(keys, names)
    }

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
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError>;

    /// Begins to replace everything of `partition` by a snapshot, entry by entry; or goes on where
    /// an installer of the same snapshot ended before its time, in this life of the store or
    /// another.
    ///
    /// Until it is finished, the partition has no checkpoint; [`remove`](Self::remove) gives it up.
    /// No batch may be applied meanwhile.
    ///
    /// * `name`: tells the snapshot from every other one, such as by its SCN and chain hash; 255
    ///   bytes at most. What was installed under another name is removed.
    fn installer<'a>(
        &'a self,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<Box<dyn Installer + 'a>, StoreError>;

    /// Whether there is room for more than what is committed already, what removes something, and
    /// checkpoints. Costs little.
    fn has_room(&self) -> bool {
        true
    }

    /// Whether a batch that adds something would be taken now.
    ///
    /// # Errors
    /// [`StoreError::Full`] if it would not for want of space; or the store's own.
    fn check_space(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes everything applied so far survive a power cut.
    fn sync(&self) -> Result<(), StoreError>;

    /// What the store takes up on this machine, for operators. May look into the file system.
    ///
    /// A store that keeps nothing on disk and bounds no memory need not say so.
    fn usage(&self) -> StoreUsage {
        StoreUsage::default()
    }
}

/// How a store may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreTraits {
    /// Whether [`view`](Store::view), [`get`](Store::get), [`find`](Store::find) and the short
    /// calls of a view take microseconds, so that a thread that serves others may make them.
    /// Everything else blocks.
    pub reads_inline: bool,
    /// How many threads may apply at once to some use; 1 at least.
    pub lanes: usize,
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

/// Whether a full store takes `batch` all the same: it adds nothing but what is remembered of a
/// write, or is of `_cluster`, which is small and without which no database is dropped.
pub fn needs_no_room(partition: PartitionId, batch: &Batch) -> bool {
    let removes = |(_, _, document): &(_, _, Option<StoredDocument>)| document.is_none();
    let adds_nothing = batch.documents.iter().all(removes) && batch.entries.is_empty();
    // Without either nobody waits for it, and it can wait.
    let is_write = !batch.documents.is_empty() || !batch.remember.is_empty();
    partition == PartitionId::CLUSTER || (is_write && adds_nothing)
}

/// Asserts that each partition comes once at most: a store computes what a batch does from what it
/// has, and would not see the first of two.
///
/// # Panics
/// One comes twice. That is a defect of the caller, and must stop before it is written down.
pub fn assert_distinct(batches: &[(PartitionId, Batch)]) {
    let mut partitions: Vec<_> = batches.iter().map(|(partition, _)| *partition).collect();
    partitions.sort_unstable();
    let twice = partitions.windows(2).find(|pair| pair[0] == pair[1]);
    assert!(twice.is_none(), "a partition has one batch in a call: {twice:?}");
}

/// Takes a snapshot in parts.
///
/// Dropped before [`finish`](Self::finish), it leaves what can be gone on from: all entries up to
/// some that was put, the last one at best.
pub trait Installer: Send {
    /// The key of the last entry that is installed: ask the source for what follows. `None` at the
    /// beginning.
    fn after(&self) -> Option<&[u8]>;

    /// Installs the next entry.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for an entry out of order or of another format, or the store's own.
    /// The installer is of no further use.
    fn put(&mut self, entry: Entry) -> Result<(), StoreError>;

    /// The snapshot is whole: makes it the state of the partition.
    ///
    /// # Errors
    /// The store's own: the partition has no checkpoint.
    fn finish(self: Box<Self>, checkpoint: Bytes) -> Result<(), StoreError>;
}

/// One state of one partition. Reading it never tears: everything it shows belongs to one SCN.
pub trait View: Send + Sync {
    /// The fold state stored with the newest batch, `None` before the first.
    fn checkpoint(&self) -> Result<Option<Bytes>, StoreError>;

    /// One document.
    fn get(&self, table: TableId, key: &DocumentKey) -> Result<Option<StoredDocument>, StoreError>;

    /// The entries of `range` in the order it asks for, lazily.
    fn scan<'a>(&'a self, range: &EntryRange) -> EntryIterator<'a>;

    /// The documents of `range` in the order it asks for, lazily.
    ///
    /// * `range`: within a table; an entry of anything else is reported as damage.
    fn documents<'a>(&'a self, range: &EntryRange) -> DocumentIterator<'a> {
        Box::new(self.scan(range).map(|found| {
            let Entry { key, value } = found?;
            Ok((encoding::document_key(&key)?, encoding::parse_document(value)?))
        }))
    }

    /// What was committed under an idempotency key, and when.
    ///
    /// Replicas forget at different moments ([`Batch::forget_before`]): who decides by the answer
    /// must not use one that has expired.
    fn remembered(&self, key: &RememberedKey) -> Result<Option<Remembered>, StoreError>;

    /// What all answers take that are remembered: the bytes of their entries. One that was
    /// replaced counts until its own expiry is past and it is forgotten.
    fn remembered_bytes(&self) -> Result<u64, StoreError>;

    /// When the first of them expires: log time.
    fn first_expiry(&self) -> Result<Option<WallMillis>, StoreError>;

    /// What [`Store::find`] answers, of this state.
    fn find(
        &self,
        keys: &[(TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Result<Findings, StoreError> {
        let documents = keys.iter().map(|(table, key)| self.get(*table, key));
        let documents = documents.collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Ok(Findings { documents, ..Findings::default() });
        }
        Ok(Findings {
            documents,
            remembered: names.iter().map(|name| self.remembered(name)).collect::<Result<_, _>>()?,
            remembered_bytes: self.remembered_bytes()?,
            first_expiry: self.first_expiry()?,
        })
    }

    /// The documents of `keys`, in this order, up to the one with which they reach `bytes_max`.
    fn documents_of(
        &self,
        keys: &[(TableId, DocumentKey)],
        bytes_max: usize,
    ) -> Result<Vec<Option<StoredDocument>>, StoreError> {
        let mut documents = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for (table, key) in keys {
            if bytes >= bytes_max {
                break;
            }
            let document = self.get(*table, key)?;
            bytes += document.as_ref().map_or(0, |document| document.image().len());
            documents.push(document);
        }
        Ok(documents)
    }

    /// The last bookmark at or before `scn`.
    fn bookmark(&self, scn: Scn) -> Result<Option<(Scn, Bytes)>, StoreError>;

    /// What a snapshot of the partition holds, in key order: what [`Store::install`] takes.
    ///
    /// * `after`: begin behind this key, to go on with a snapshot that broke off there.
    fn entries<'a>(&'a self, after: Option<&[u8]>) -> EntryIterator<'a>;
}

/// Entries in the order asked for.
pub type EntryIterator<'a> = Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a>;

/// Documents in the order asked for.
pub type DocumentIterator<'a> =
    Box<dyn Iterator<Item = Result<(DocumentKey, StoredDocument), StoreError>> + 'a>;
