//! The store port on fjall, a log-structured engine in Rust: one directory for one node.
//!
//! Never waits for the disk on behalf of a batch: the replication log is the truth, and fjall comes
//! back at a prefix of the batches. Start reading at [`FjallStore`].

mod errors;
mod flusher;
mod installer;
mod layout;
mod open;
mod portions;
mod priority;
mod room;
mod space;
mod starts;
mod usage;
mod view;

pub use open::{OpenError, Settings};

use bytes::Bytes;
use cortado_model::{Batch, DocumentKey, Entry, EntryKey, PartitionId, StoredDocument, TableId};
use cortado_store::encoding::{check_snapshot_entry, parse_document};
use cortado_store::{Installer, Store, StoreError, StoreUsage, View, changes_of};
use errors::store_error;
use fjall::{Database, Keyspace, OwnedWriteBatch, PersistMode, Readable};
use flusher::{ENTRY_BYTES, Flusher};
use installer::FjallInstaller;
use portions::Portions;
use space::FreeSpace;
use starts::Starts;
use std::path::PathBuf;
use view::{Content, FjallView};

/// The replicas of one node in one directory.
///
/// All partitions share one fjall keyspace, and with it one memtable and one sequence of tables:
/// what a crash leaves is one prefix of all batches together, memory does not grow with the number
/// of partitions, and the stall of a flush comes once, not once for each of them.
///
/// Dropping the store hands what it holds to the operating system, ends its threads (waiting for
/// the step they are at: not for an async thread) and frees the directory, as soon as its views
/// are gone too.
pub struct FjallStore {
    // First, so that it ends first.
    flusher: Flusher,
    directory: PathBuf,
    entries: Keyspace,
    database: Database,
    space: FreeSpace,
    starts: Starts,
}

impl FjallStore {
    /// Opens the store of `settings`, or makes an empty one where there is none.
    ///
    /// Reads back what was in no table yet, some 100 MB at most, and finishes the removes and
    /// installs that a crash interrupted.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(settings: &Settings) -> Result<FjallStore, OpenError> {
        let (database, entries) = open::open(settings)?;
        let space = FreeSpace::new(&settings.directory);
        let flusher = Flusher::start(&settings.directory, database.clone(), entries.clone());
        let flusher = flusher.map_err(|error| OpenError::of_system(&settings.directory, error))?;
        let starts = Starts::default();
        let directory = settings.directory.clone();
        let store = FjallStore { flusher, directory, entries, database, space, starts };
        store.finish_removes().map_err(|error| OpenError::of_store(&settings.directory, error))?;
        Ok(store)
    }

    /// Removes what is there of partitions that are neither whole nor being installed.
    fn finish_removes(&self) -> Result<(), StoreError> {
        for (partition, content) in self.found()? {
            if content == Content::Leftovers {
                self.remove(partition)?;
            }
        }
        Ok(())
    }

    /// The partitions of which anything is there.
    fn found(&self) -> Result<Vec<(PartitionId, Content)>, StoreError> {
        view::partitions(&self.database.snapshot(), &self.entries)
    }

    fn fjall_view(&self, partition: PartitionId) -> FjallView {
        FjallView::new(self.database.snapshot(), self.entries.clone(), partition)
    }

    /// An empty batch that goes to the operating system when the engine's buffer is full, not when
    /// the batch ends: a system call for every 8 KiB, and not for every batch.
    fn new_write(&self, capacity: usize) -> OwnedWriteBatch {
        OwnedWriteBatch::with_capacity(self.database.clone(), capacity)
    }

    fn install_entries(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError> {
        let prefix = layout::prefix(partition);
        let mut portions = Portions::new(self);
        let mut last: Option<Bytes> = None;
        for entry in entries {
            let entry = entry?;
            check_snapshot_entry(last.as_deref(), &entry)?;
            portions.put([&prefix[..], &entry.key].concat(), entry.value)?;
            if portions.is_full() {
                portions.commit()?;
            }
            last = Some(entry.key);
        }
        portions.put(EntryKey::Checkpoint.behind(&prefix), checkpoint)?;
        portions.finish()
    }
}

impl Drop for FjallStore {
    fn drop(&mut self) {
        // The engine hands over what it holds from a thread that may outlive this call; then it
        // would write into a store that is open again. If it fails here, a suffix is lost: the log
        // has it.
        let _ = self.database.persist(PersistMode::Buffer);
    }
}

impl Store for FjallStore {
    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError> {
        let found = self.found()?.into_iter();
        let whole = found.filter(|(_, content)| *content == Content::Whole);
        Ok(whole.map(|(partition, _)| partition).collect())
    }

    fn apply(&self, partition: PartitionId, batch: Batch) -> Result<(), StoreError> {
        self.flusher.wait_for_room()?;
        let reader = self.starts.reader(self, partition, &batch);
        let changes = changes_of(batch, &layout::prefix(partition), &reader)?;
        let mut write = self.new_write(changes.len());
        let mut size_bytes = 0;
        for change in changes {
            let value_bytes = change.value.as_ref().map_or(0, Bytes::len);
            size_bytes += ENTRY_BYTES + change.key.len() + value_bytes;
            match change.value {
                Some(value) => write.insert(&self.entries, change.key, value),
                None => write.remove(&self.entries, change.key),
            }
        }
        self.space.reserve(size_bytes)?;
        write.commit().map_err(store_error)?;
        self.starts.advance(reader);
        self.flusher.written(size_bytes);
        Ok(())
    }

    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(self.fjall_view(partition)))
    }

    fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        let key = EntryKey::Document { table, key: key.as_bytes() };
        let key = key.behind(&layout::prefix(partition));
        // A read without a snapshot would see a batch that is only half applied.
        let value = self.database.snapshot().get(&self.entries, key).map_err(store_error)?;
        value.map(|value| parse_document(value.into())).transpose()
    }

    fn remove(&self, partition: PartitionId) -> Result<(), StoreError> {
        self.starts.reset(partition);
        let view = self.fjall_view(partition);
        let mut portions = Portions::new(self);
        if view.checkpoint()?.is_some() || view.progress()?.is_some() {
            let prefix = layout::prefix(partition);
            portions.remove(EntryKey::Checkpoint.behind(&prefix))?;
            portions.remove(EntryKey::InstallProgress.behind(&prefix))?;
            // Nothing else goes before them.
            portions.commit()?;
        }
        for key in view.keys() {
            portions.remove(key?.to_vec())?;
        }
        portions.finish()
    }

    fn install(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError> {
        self.remove(partition)?;
        self.install_entries(partition, entries, checkpoint).inspect_err(|_| {
            // If this fails as well, the next opening of the store does it: there is no checkpoint.
            let _ = self.remove(partition);
        })
    }

    fn installer<'a>(
        &'a self,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<Box<dyn Installer + 'a>, StoreError> {
        Ok(Box::new(FjallInstaller::open(self, partition, name)?))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncData).map_err(store_error)
    }

    fn usage(&self) -> StoreUsage {
        usage::measure(&self.directory, &self.database, &self.entries)
    }
}

#[cfg(test)]
mod tests;
