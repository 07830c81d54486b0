//! The open engine with what it needs beside it: a flusher, and an eye on the disk.
//!
//! Knows what lies in it of a partition, and nothing of what that means. Start reading at
//! [`Engine`].

use crate::errors::store_error;
use crate::flusher::Flusher;
use crate::layout;
use crate::open::{self, OpenError, Settings};
use crate::space::FreeSpace;
use crate::view::{self, Content, FjallView};
use cortado_model::{DocumentKey, EntryKey, PartitionId, StoredDocument, TableId};
use cortado_store::StoreError;
use cortado_store::encoding::parse_document;
use fjall::{Database, Keyspace, OwnedWriteBatch, PersistMode, Readable, Snapshot};

/// One keyspace in one directory. A writer asks the flusher for room and reserves space first.
pub(crate) struct Engine {
    // First, so that it ends first.
    pub(crate) flusher: Flusher,
    pub(crate) entries: Keyspace,
    pub(crate) database: Database,
    pub(crate) space: FreeSpace,
}

impl Engine {
    /// Opens the engine of `settings`, or makes it, and starts its flusher.
    pub(crate) fn open(settings: &Settings) -> Result<Engine, OpenError> {
        let (database, entries) = open::open(settings)?;
        let space = FreeSpace::new(&settings.directory);
        let flusher = Flusher::start(&settings.directory, database.clone(), entries.clone());
        let flusher = flusher.map_err(|error| OpenError::of_system(&settings.directory, error))?;
        Ok(Engine { flusher, entries, database, space })
    }

    /// The partitions of which anything is there.
    pub(crate) fn partitions(&self) -> Result<Vec<(PartitionId, Content)>, StoreError> {
        view::partitions(&self.database.snapshot(), &self.entries)
    }

    /// What there is of `partition` now.
    pub(crate) fn view(&self, partition: PartitionId) -> FjallView {
        FjallView::new(self.database.snapshot(), self.entries.clone(), partition)
    }

    /// One document, as `snapshot` shows it: what a view answers, without making one.
    pub(crate) fn document(
        &self,
        snapshot: &Snapshot,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        let key = EntryKey::Document { table, key: key.as_bytes() };
        let key = key.behind(&layout::prefix(partition));
        let value = snapshot.get(&self.entries, key).map_err(store_error)?;
        value.map(|value| parse_document(value.into())).transpose()
    }

    /// An empty batch that goes to the operating system when the engine's buffer is full, not when
    /// the batch ends: a system call for every 8 KiB, and not for every batch.
    pub(crate) fn new_write(&self, capacity: usize) -> OwnedWriteBatch {
        OwnedWriteBatch::with_capacity(self.database.clone(), capacity)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The engine hands over what it holds from a thread that may outlive this call; then it
        // would write into a store that is open again. If it fails here, a suffix is lost: the log
        // has it.
        let _ = self.database.persist(PersistMode::Buffer);
    }
}
