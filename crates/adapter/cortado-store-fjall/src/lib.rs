//! The store port on fjall, a log-structured engine in Rust: one directory for one node.
//!
//! Never waits for the disk on behalf of a batch: the replication log is the truth, and fjall comes
//! back at a prefix of the batches. Start reading at [`FjallStore`].

mod durable;
mod engine;
mod errors;
mod flusher;
mod installer;
mod layout;
mod memtables;
mod open;
mod portions;
mod priority;
mod room;
mod space;
mod starts;
mod usage;
mod view;

pub use open::{Cause, OpenError, Settings};

use bytes::Bytes;
use cortado_model::{
    Batch, DocumentKey, Entry, EntryKey, Findings, PartitionId, RememberedKey, StoredDocument,
    TableId,
};
use cortado_store::encoding::check_snapshot_entry;
use cortado_store::{
    Installer, KeyChange, Store, StoreError, StoreTraits, StoreUsage, View, assert_distinct,
    changes_of, needs_no_room,
};
use durable::sync_log;
use engine::Engine;
use errors::write_error;
use fjall::OwnedWriteBatch;
use installer::FjallInstaller;
use memtables::ENTRY_BYTES;
use portions::Portions;
use starts::Starts;
use std::path::PathBuf;
use view::Content;

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
    engine: Engine,
    directory: PathBuf,
    /// Whether it was opened although it is [marked](OpenError::Marked) as damaged.
    is_marked: bool,
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
        let engine = Engine::open(settings)?;
        let (directory, is_marked) = (settings.directory.clone(), settings.despite_mark);
        let store = FjallStore { engine, directory, is_marked, starts: Starts::default() };
        store.finish_removes().map_err(|error| OpenError::of_store(&settings.directory, error))?;
        Ok(store)
    }

    /// Removes what is there of partitions that are neither whole nor being installed.
    fn finish_removes(&self) -> Result<(), StoreError> {
        for (partition, content) in self.engine.partitions()? {
            if content == Content::Leftovers {
                match self.remove(partition) {
                    // The others can be used; who wants this one meets the damage again.
                    Err(StoreError::Damaged { .. }) if self.is_marked => {}
                    removed => removed?,
                }
            }
        }
        Ok(())
    }

    fn remove_entries(&self, partition: PartitionId) -> Result<(), StoreError> {
        self.starts.reset(partition);
        let view = self.engine.view(partition);
        let mut portions = Portions::new(&self.engine);
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

    /// The store as a whole is beyond repair: notes that, for who opens it next.
    fn condemn(&self, why: String) -> StoreError {
        open::condemn(&self.directory, &why);
        StoreError::Failed { why }
    }

    /// Adds what a batch does to a write; answers what that weighs in memory.
    fn add(&self, write: &mut OwnedWriteBatch, changes: Vec<KeyChange>) -> usize {
        let mut size_bytes = 0;
        for change in changes {
            let value_bytes = change.value.as_ref().map_or(0, Bytes::len);
            size_bytes += ENTRY_BYTES + change.key.len() + value_bytes;
            match change.value {
                Some(value) => write.insert(&self.engine.entries, change.key, value),
                None => write.remove(&self.engine.entries, change.key),
            }
        }
        size_bytes
    }

    fn install_entries(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError> {
        let prefix = layout::prefix(partition);
        let mut portions = Portions::new(&self.engine);
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

impl Store for FjallStore {
    fn traits(&self) -> StoreTraits {
        // The engine commits one batch at a time.
        StoreTraits { reads_inline: true, lanes: 1 }
    }

    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError> {
        let found = self.engine.partitions()?.into_iter();
        let whole = found.filter(|(_, content)| *content == Content::Whole);
        Ok(whole.map(|(partition, _)| partition).collect())
    }

    fn apply(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        assert_distinct(&batches);
        self.engine.flusher.wait_for_room()?;
        // Each entry once, and the checkpoint: most batches have nothing else.
        let count = |(_, batch): &(_, Batch)| batch.documents.len() + batch.entries.len() + 1;
        let mut write = self.engine.new_write(batches.iter().map(count).sum());
        let mut readers = Vec::new();
        let mut size_bytes = 0;
        let no_room = batches.iter().all(|(partition, batch)| needs_no_room(*partition, batch));
        for (partition, batch) in batches {
            let reader = self.starts.reader(&self.engine, partition, &batch);
            let changes = changes_of(batch, &layout::prefix(partition), &reader)?;
            size_bytes += self.add(&mut write, changes);
            if reader.touches() {
                readers.push(reader);
            }
        }
        if !no_room {
            self.engine.space.reserve(size_bytes)?;
        }
        for reader in &readers {
            self.starts.announce(reader);
        }
        write.commit().map_err(write_error)?;
        for reader in readers {
            self.starts.advance(reader);
        }
        self.engine.flusher.written(size_bytes);
        Ok(())
    }

    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(self.engine.view(partition)))
    }

    fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        // A read without a snapshot would see a batch that is only half applied.
        self.engine.document(&self.engine.database.snapshot(), partition, table, key)
    }

    fn find(
        &self,
        partition: PartitionId,
        keys: &[(TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Result<Findings, StoreError> {
        if names.is_empty() {
            let snapshot = self.engine.database.snapshot();
            let document =
                |(table, key): &(_, _)| self.engine.document(&snapshot, partition, *table, key);
            let documents = keys.iter().map(document).collect::<Result<_, _>>()?;
            return Ok(Findings { documents, ..Findings::default() });
        }
        let (view, start) = self.starts.view(&self.engine, partition);
        let documents = keys.iter().map(|(table, key)| view.get(*table, key));
        Ok(Findings {
            documents: documents.collect::<Result<_, _>>()?,
            remembered: names.iter().map(|name| view.remembered(name)).collect::<Result<_, _>>()?,
            remembered_bytes: view.remembered_bytes()?,
            first_expiry: view.first_expiry_from(start)?,
        })
    }

    fn remove(&self, partition: PartitionId) -> Result<(), StoreError> {
        self.remove_entries(partition).map_err(|error| match error {
            // A partition that cannot even be removed cannot be built anew in this store.
            StoreError::Damaged { why } if !self.is_marked => self.condemn(why),
            StoreError::Damaged { .. } | StoreError::Full { .. } | StoreError::Failed { .. } => {
                error
            }
        })
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
        if let Some(installer) = FjallInstaller::go_on(&self.engine, partition, name)? {
            return Ok(Box::new(installer));
        }
        self.remove(partition)?;
        Ok(Box::new(FjallInstaller::begin(&self.engine, partition, name)?))
    }

    fn has_room(&self) -> bool {
        self.engine.space.has_room()
    }

    fn check_space(&self) -> Result<(), StoreError> {
        self.engine.space.reserve(0)
    }

    fn sync(&self) -> Result<(), StoreError> {
        sync_log(&self.directory, &self.engine.database).inspect_err(|error| {
            self.engine.flusher.refuse(error.clone());
        })
    }

    fn usage(&self) -> StoreUsage {
        usage::measure(&self.directory, &self.engine.database, &self.engine.entries)
    }
}

#[cfg(test)]
mod tests;
