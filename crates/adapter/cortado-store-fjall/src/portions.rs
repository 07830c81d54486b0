//! Long work in short batches, so that other partitions need not wait for all of it.

use crate::engine::Engine;
use crate::errors::write_error;
use crate::memtables::ENTRY_BYTES;
use bytes::Bytes;
use cortado_store::StoreError;
use fjall::OwnedWriteBatch;

/// Bytes of one batch. Others wait for its commit: so much is copied in well under a millisecond.
const PORTION_BYTES: usize = 256 << 10;

/// Writes in order, in batches of [`PORTION_BYTES`].
pub(crate) struct Portions<'a> {
    engine: &'a Engine,
    write: OwnedWriteBatch,
    size_bytes: usize,
}

impl Portions<'_> {
    pub(crate) fn new(engine: &Engine) -> Portions<'_> {
        Portions { engine, write: engine.new_write(0), size_bytes: 0 }
    }

    /// Adds an entry; the caller commits when the portion [is full](Self::is_full).
    pub(crate) fn put(&mut self, key: Vec<u8>, value: Bytes) -> Result<(), StoreError> {
        let size_bytes = key.len() + value.len();
        self.engine.space.reserve(size_bytes)?;
        self.write.insert(&self.engine.entries, key, value);
        self.size_bytes += size_bytes + ENTRY_BYTES;
        Ok(())
    }

    /// Removes a key, even when the disk is nearly full: removing is how it gets space again.
    pub(crate) fn remove(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        self.size_bytes += key.len() + ENTRY_BYTES;
        self.write.remove(&self.engine.entries, key);
        if self.is_full() { self.commit() } else { Ok(()) }
    }

    /// Whether it is time to [commit](Self::commit).
    pub(crate) fn is_full(&self) -> bool {
        self.size_bytes >= PORTION_BYTES
    }

    /// Makes visible what was written so far.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        self.engine.flusher.wait_for_room()?;
        let write = std::mem::replace(&mut self.write, self.engine.new_write(0));
        write.commit().map_err(write_error)?;
        self.engine.flusher.written(std::mem::take(&mut self.size_bytes));
        Ok(())
    }

    /// Makes the rest visible.
    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        self.commit()
    }
}
