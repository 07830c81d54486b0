//! One state of one partition, as a snapshot of the engine.

use crate::errors::store_error;
use crate::layout::{self, PREFIX_BYTES};
use bytes::Bytes;
use cortado_model::{
    DocumentKey, Entry, EntryKey, EntryRange, PartitionId, Remembered, RememberedKey, Scn, Space,
    StoredDocument, TableId, WallMillis, successor,
};
use cortado_store::encoding::{
    bookmark_scn, expiring, parse_bytes, parse_document, parse_remembered,
};
use cortado_store::{EntryIterator, Expiring, StoreError, View};
use fjall::{Guard, Keyspace, Readable, Slice, Snapshot};
use std::ops::Range;

/// The entries of one partition at one moment. Holds on to what later batches replace.
pub(crate) struct FjallView {
    snapshot: Snapshot,
    entries: Keyspace,
    prefix: [u8; PREFIX_BYTES],
}

impl FjallView {
    pub(crate) fn new(snapshot: Snapshot, entries: Keyspace, partition: PartitionId) -> FjallView {
        FjallView { snapshot, entries, prefix: layout::prefix(partition) }
    }

    /// How far a snapshot has been installed, if one is being.
    pub(crate) fn progress(&self) -> Result<Option<Bytes>, StoreError> {
        self.value(EntryKey::InstallProgress)
    }

    /// Every stored key of the partition, prefix included.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Result<Slice, StoreError>> {
        let whole = self.prefix.to_vec()..layout::end(&self.prefix);
        self.range(whole).map(|found| found.key().map_err(store_error))
    }

    /// Up to `count_max` answers that expire from `from` on and before `before`, in this order.
    pub(crate) fn expiring(
        &self,
        from: WallMillis,
        before: WallMillis,
        count_max: usize,
    ) -> Result<Vec<Expiring>, StoreError> {
        let at = |expires| EntryKey::RememberedByExpiry { expires, key: &[] }.behind(&self.prefix);
        let found = self.range(at(from)..at(before)).take(count_max).map(|found| {
            let Entry { key, value } = self.entry(found)?;
            expiring(&key, &value)
        });
        found.collect()
    }

    /// When the first answer expires, of those that expire from `from` on.
    pub(crate) fn first_expiry_from(
        &self,
        from: WallMillis,
    ) -> Result<Option<WallMillis>, StoreError> {
        let first = self.expiring(from, WallMillis(u64::MAX), 1)?;
        Ok(first.first().map(|first| first.expires))
    }

    /// The bookmarks from `from` on and below `below`.
    pub(crate) fn bookmarks(&self, from: Scn, below: Scn) -> Result<Vec<Scn>, StoreError> {
        let at = |scn| EntryKey::Bookmark { scn }.behind(&self.prefix);
        let found = self.range(at(from)..at(below)).map(|found| {
            let key = found.key().map_err(store_error)?;
            bookmark_scn(&key[PREFIX_BYTES..])
        });
        found.collect()
    }

    fn range(&self, keys: Range<Vec<u8>>) -> impl DoubleEndedIterator<Item = Guard> + use<> {
        // An inverted range is empty, not an error.
        let keys = (keys.start < keys.end).then_some(keys);
        let range = keys.map(|keys| self.snapshot.range(&self.entries, keys));
        range.into_iter().flatten()
    }

    fn value(&self, key: EntryKey<'_>) -> Result<Option<Bytes>, StoreError> {
        let found = self.snapshot.get(&self.entries, key.behind(&self.prefix));
        Ok(found.map_err(store_error)?.map(Bytes::from))
    }

    /// An entry without the partition's prefix.
    fn entry(&self, found: Guard) -> Result<Entry, StoreError> {
        let (key, value) = found.into_inner().map_err(store_error)?;
        Ok(Entry { key: Bytes::from(key).slice(PREFIX_BYTES..), value: value.into() })
    }
}

impl View for FjallView {
    fn checkpoint(&self) -> Result<Option<Bytes>, StoreError> {
        self.value(EntryKey::Checkpoint)
    }

    fn get(&self, table: TableId, key: &DocumentKey) -> Result<Option<StoredDocument>, StoreError> {
        let value = self.value(EntryKey::Document { table, key: key.as_bytes() })?;
        value.map(parse_document).transpose()
    }

    fn scan<'a>(&'a self, range: &EntryRange) -> EntryIterator<'a> {
        let Some(keys) = range.keys(&self.prefix) else { return Box::new(std::iter::empty()) };
        let found = self.range(keys);
        if range.descending {
            Box::new(found.rev().map(|found| self.entry(found)))
        } else {
            Box::new(found.map(|found| self.entry(found)))
        }
    }

    fn remembered(&self, key: &RememberedKey) -> Result<Option<Remembered>, StoreError> {
        let value = self.value(EntryKey::Remembered { key: key.as_bytes() })?;
        value.map(parse_remembered).transpose()
    }

    fn remembered_bytes(&self) -> Result<u64, StoreError> {
        let value = self.value(EntryKey::RememberedBytes)?;
        value.map_or(Ok(0), |value| parse_bytes(&value))
    }

    fn first_expiry(&self) -> Result<Option<WallMillis>, StoreError> {
        self.first_expiry_from(WallMillis(0))
    }

    fn bookmark(&self, scn: Scn) -> Result<Option<(Scn, Bytes)>, StoreError> {
        let first = EntryKey::Bookmark { scn: Scn::ZERO }.behind(&self.prefix);
        let behind = successor(&EntryKey::Bookmark { scn }.behind(&self.prefix));
        let Some(found) = self.range(first..behind).next_back() else { return Ok(None) };
        let Entry { key, value } = self.entry(found)?;
        Ok(Some((bookmark_scn(&key)?, value)))
    }

    fn entries<'a>(&'a self, after: Option<&[u8]>) -> EntryIterator<'a> {
        // The least key above `after`.
        let first = after.map_or(Vec::new(), |key| [key, &[0]].concat());
        let first = [&self.prefix[..], &first].concat();
        let own = [&self.prefix[..], &[Space::InstallProgress as u8]].concat();
        Box::new(self.range(first..own).map(|found| self.entry(found)))
    }
}

/// What there is of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// All of it.
    Whole,
    /// A part of a snapshot, which can be gone on with.
    Installing,
    /// What a crash left of a remove or an install.
    Leftovers,
}

/// The partitions of which any entry is there, ascending.
///
/// Two or three reads for each partition, however big it is.
pub(crate) fn partitions(
    snapshot: &Snapshot,
    entries: &Keyspace,
) -> Result<Vec<(PartitionId, Content)>, StoreError> {
    let mut found = Vec::new();
    let mut from = Vec::new();
    while let Some(next) = snapshot.range(entries, from..).next() {
        let key = next.key().map_err(store_error)?;
        let Some(partition) = layout::partition_of(&key) else {
            let why = format!("a key of {} bytes without partition", key.len());
            return Err(StoreError::Damaged { why });
        };
        let prefix = layout::prefix(partition);
        let has = |key: EntryKey<'_>| {
            snapshot.contains_key(entries, key.behind(&prefix)).map_err(store_error)
        };
        let content = if has(EntryKey::Checkpoint)? {
            Content::Whole
        } else if has(EntryKey::InstallProgress)? {
            Content::Installing
        } else {
            Content::Leftovers
        };
        found.push((partition, content));
        // Above everything of this partition, and at or below everything of the next.
        from = layout::end(&prefix);
    }
    Ok(found)
}
