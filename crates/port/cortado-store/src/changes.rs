//! What a batch does to the entries of its partition, the same in every store.
//!
//! Reads the store where the answer depends on it, and never writes. Start reading at
//! [`changes_of`].

use crate::encoding::{Expiring, bytes_value, remembered_value};
use bytes::Bytes;
use cortado_model::StoreError;
use cortado_model::{Batch, EntryKey, Remembered, RememberedKey, Scn, WallMillis};

/// A key to write, or to remove if it has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The partition's prefix, then the key of the entry.
    pub key: Vec<u8>,
    /// The new value; `None` removes.
    pub value: Option<Bytes>,
}

/// What [`changes_of`] has to know of the partition as it was before the batch.
pub trait StoredEntries {
    /// The `count_max` answers that expired first of those that did before `before`, in order.
    fn expired(&self, before: WallMillis, count_max: usize) -> Result<Vec<Expiring>, StoreError>;

    /// When the newest answer under `key` expires.
    fn expiry_of(&self, key: &RememberedKey) -> Result<Option<WallMillis>, StoreError>;

    /// What all remembered answers take.
    fn remembered_bytes(&self) -> Result<u64, StoreError>;

    /// Every bookmark below `scn`, ascending.
    fn bookmarks_below(&self, scn: Scn) -> Result<Vec<Scn>, StoreError>;
}

/// The entries that `batch` writes and removes, each key behind `prefix`.
///
/// A key may come twice: the later change wins, so write them in order.
///
/// # Errors
/// Those of `stored`, and [`StoreError::Damaged`] if what it holds contradicts itself.
pub fn changes_of(
    batch: Batch,
    prefix: &[u8],
    stored: &dyn StoredEntries,
) -> Result<Vec<KeyChange>, StoreError> {
    let count = batch.documents.len() + batch.entries.len() + batch.bookmarks.len();
    let list = Vec::with_capacity(count + 4 * batch.remember.len() + 3);
    let mut changes = Changes { prefix, list };
    for (table, key, document) in batch.documents {
        let key = EntryKey::Document { table, key: key.as_bytes() };
        changes.set(key, document.map(|document| document.image().clone()));
    }
    for change in batch.entries {
        changes.set(change.name.key(), change.value);
    }
    changes.remember(&batch.remember, batch.forget_before, stored)?;
    let below = batch.trim_bookmarks_below.unwrap_or(Scn::ZERO);
    if below > Scn::ZERO {
        for scn in stored.bookmarks_below(below)? {
            changes.set(EntryKey::Bookmark { scn }, None);
        }
    }
    for (scn, bookmark) in batch.bookmarks.into_iter().filter(|(scn, _)| *scn >= below) {
        changes.set(EntryKey::Bookmark { scn }, Some(bookmark));
    }
    changes.set(EntryKey::Checkpoint, Some(batch.checkpoint));
    Ok(changes.list)
}

struct Changes<'a> {
    prefix: &'a [u8],
    list: Vec<KeyChange>,
}

impl Changes<'_> {
    fn set(&mut self, key: EntryKey<'_>, value: Option<Bytes>) {
        self.list.push(KeyChange { key: key.behind(self.prefix), value });
    }

    /// Forgets and remembers, in this order: what a batch remembers must outlast it.
    fn remember(
        &mut self,
        remember: &[(RememberedKey, Remembered)],
        forget_before: Option<WallMillis>,
        stored: &dyn StoredEntries,
    ) -> Result<(), StoreError> {
        let mut forgotten_bytes = 0;
        if let Some(before) = forget_before {
            let count_max = (2 * remember.len()).max(1);
            for expired in stored.expired(before, count_max)? {
                forgotten_bytes += expired.bytes;
                self.forget(expired, stored)?;
            }
        }
        let mut added_bytes = 0;
        for (key, remembered) in remember {
            added_bytes += self.add(key, remembered);
        }
        if forgotten_bytes == added_bytes {
            return Ok(());
        }
        let before = stored.remembered_bytes()?;
        let Some(kept) = before.checked_sub(forgotten_bytes) else {
            let why = format!("{forgotten_bytes} bytes forgotten of {before} remembered");
            return Err(StoreError::Damaged { why });
        };
        self.set(EntryKey::RememberedBytes, Some(bytes_value(kept + added_bytes)));
        Ok(())
    }

    fn forget(&mut self, expired: Expiring, stored: &dyn StoredEntries) -> Result<(), StoreError> {
        let Expiring { expires, key, .. } = expired;
        // A key that came again later has moved on; its newer answer stays.
        if stored.expiry_of(&key)? == Some(expires) {
            self.set(EntryKey::Remembered { key: key.as_bytes() }, None);
        }
        self.set(EntryKey::RememberedByExpiry { expires, key: key.as_bytes() }, None);
        Ok(())
    }

    /// Writes an answer and answers what it takes: the bytes of both of its entries.
    fn add(&mut self, key: &RememberedKey, remembered: &Remembered) -> u64 {
        let expires = remembered.expires;
        let value = remembered_value(remembered);
        let by_key = EntryKey::Remembered { key: key.as_bytes() };
        let by_expiry = EntryKey::RememberedByExpiry { expires, key: key.as_bytes() };
        let keys = by_key.behind(&[]).len() + by_expiry.behind(&[]).len();
        let bytes = (keys + value.len() + size_of::<u64>()) as u64;
        self.set(by_key, Some(value.into()));
        self.set(by_expiry, Some(bytes_value(bytes)));
        bytes
    }
}
