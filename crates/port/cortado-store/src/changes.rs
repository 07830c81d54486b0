//! What a batch does to the entries of its partition, the same in every store.
//!
//! Reads the store where the answer depends on it, and never writes. Start reading at
//! [`changes_of`].

use crate::encoding::{EntryKey, document_value, remembered_value};
use crate::{Batch, StoreError};
use bytes::Bytes;
use cortado_model::{Scn, WallMillis};

/// A key to write, or to remove if it has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChange {
    /// The partition's prefix, then the key of the entry.
    pub key: Vec<u8>,
    /// The new value; `None` removes.
    pub value: Option<Bytes>,
}

/// What [`changes_of`] has to know of the partition as it was before the batch.
pub trait StoredEntries {
    /// The `count_max` oldest idempotency keys remembered before `before`, oldest first.
    fn oldest_remembered(
        &self,
        before: WallMillis,
        count_max: usize,
    ) -> Result<Vec<(WallMillis, Bytes)>, StoreError>;

    /// When an idempotency key was remembered last.
    fn remembered_time(&self, key: &[u8]) -> Result<Option<WallMillis>, StoreError>;

    /// Every bookmark below `scn`, ascending.
    fn bookmarks_below(&self, scn: Scn) -> Result<Vec<Scn>, StoreError>;
}

/// The entries that `batch` writes and removes, each key behind `prefix`.
///
/// A key may come twice: the later change wins, so write them in order.
///
/// # Errors
/// Those of `stored`.
pub fn changes_of(
    batch: Batch,
    prefix: &[u8],
    stored: &dyn StoredEntries,
) -> Result<Vec<EntryChange>, StoreError> {
    let count = batch.documents.len() + 4 * batch.remember.len() + batch.bookmarks.len() + 2;
    let mut changes = Changes { prefix, list: Vec::with_capacity(count) };
    for (table, key, document) in &batch.documents {
        let key = EntryKey::Document { table: *table, key: key.as_bytes() };
        match document {
            Some(document) => changes.write(key, document_value(document).into()),
            None => changes.remove(key),
        }
    }
    // Forgetting comes first: what this batch remembers must outlast it.
    if let Some(before) = batch.forget_before {
        let count_max = (2 * batch.remember.len()).max(1);
        changes.forget(before, count_max, stored)?;
    }
    for (time, key, answer) in &batch.remember {
        changes.write(EntryKey::Remembered { key }, remembered_value(*time, answer).into());
        changes.write(EntryKey::RememberedByTime { time: *time, key }, Bytes::new());
    }
    let below = batch.trim_bookmarks_below.unwrap_or(Scn::ZERO);
    if below > Scn::ZERO {
        for scn in stored.bookmarks_below(below)? {
            changes.remove(EntryKey::Bookmark { scn });
        }
    }
    for (scn, bookmark) in batch.bookmarks.into_iter().filter(|(scn, _)| *scn >= below) {
        changes.write(EntryKey::Bookmark { scn }, bookmark);
    }
    changes.write(EntryKey::Checkpoint, batch.checkpoint);
    Ok(changes.list)
}

struct Changes<'a> {
    prefix: &'a [u8],
    list: Vec<EntryChange>,
}

impl Changes<'_> {
    fn write(&mut self, key: EntryKey<'_>, value: Bytes) {
        self.list.push(EntryChange { key: key.behind(self.prefix), value: Some(value) });
    }

    fn remove(&mut self, key: EntryKey<'_>) {
        self.list.push(EntryChange { key: key.behind(self.prefix), value: None });
    }

    fn forget(
        &mut self,
        before: WallMillis,
        count_max: usize,
        stored: &dyn StoredEntries,
    ) -> Result<(), StoreError> {
        for (time, key) in stored.oldest_remembered(before, count_max)? {
            self.remove(EntryKey::RememberedByTime { time, key: &key });
            // A key that came again later has moved on; its newer answer stays.
            if stored.remembered_time(&key)? == Some(time) {
                self.remove(EntryKey::Remembered { key: &key });
            }
        }
        Ok(())
    }
}
