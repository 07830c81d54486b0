//! One state of one partition, as a snapshot of the engine.

use crate::errors::store_error;
use crate::layout::{self, PREFIX_BYTES};
use bytes::Bytes;
use cortado_model::{DocumentKey, PartitionId, Scn, TableId, WallMillis};
use cortado_store::encoding::{
    EntryKey, SPACE_CHECKPOINT, document_key, parse_document, parse_remembered, scan_keys,
    successor,
};
use cortado_store::{
    DocumentIterator, Remembered, ScanRange, SnapshotEntry, StoreError, StoredDocument, View,
};
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

    /// Every stored key of the partition but its checkpoint, prefix included.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Result<Slice, StoreError>> {
        self.range(self.whole()).map(|found| found.key().map_err(store_error))
    }

    /// Up to `count_max` idempotency keys remembered from `from` on and before `before`.
    pub(crate) fn oldest_remembered(
        &self,
        from: WallMillis,
        before: WallMillis,
        count_max: usize,
    ) -> Result<Vec<(WallMillis, Bytes)>, StoreError> {
        let at = |time| EntryKey::RememberedByTime { time, key: &[] }.behind(&self.prefix);
        let mut oldest = Vec::new();
        for found in self.range(at(from)..at(before)).take(count_max) {
            let key = self.entry_key(found.key().map_err(store_error)?);
            if let EntryKey::RememberedByTime { time, key: name } = EntryKey::parse(&key)? {
                oldest.push((time, key.slice_ref(name)));
            }
        }
        Ok(oldest)
    }

    /// When an idempotency key was remembered last.
    pub(crate) fn remembered_time(&self, key: &[u8]) -> Result<Option<WallMillis>, StoreError> {
        Ok(self.remembered(key)?.map(|remembered| remembered.time))
    }

    /// The bookmarks from `from` on and below `below`.
    pub(crate) fn bookmarks(&self, from: Scn, below: Scn) -> Result<Vec<Scn>, StoreError> {
        let at = |scn| EntryKey::Bookmark { scn }.behind(&self.prefix);
        let mut bookmarks = Vec::new();
        for found in self.range(at(from)..at(below)) {
            let key = self.entry_key(found.key().map_err(store_error)?);
            bookmarks.extend(bookmark_scn(&key)?);
        }
        Ok(bookmarks)
    }

    /// All stored keys of the partition but its checkpoint.
    fn whole(&self) -> Range<Vec<u8>> {
        self.prefix.to_vec()..EntryKey::Checkpoint.behind(&self.prefix)
    }

    fn range(&self, keys: Range<Vec<u8>>) -> impl DoubleEndedIterator<Item = Guard> + use<> {
        // An inverted range is empty, not an error.
        let keys = (keys.start < keys.end).then_some(keys);
        let range = keys.map(|keys| self.snapshot.range(&self.entries, keys));
        range.into_iter().flatten()
    }

    fn entry(&self, key: EntryKey<'_>) -> Result<Option<Bytes>, StoreError> {
        let found = self.snapshot.get(&self.entries, key.behind(&self.prefix));
        Ok(found.map_err(store_error)?.map(Bytes::from))
    }

    /// A stored key without the partition's prefix.
    fn entry_key(&self, key: Slice) -> Bytes {
        Bytes::from(key).slice(PREFIX_BYTES..)
    }

    fn document(&self, found: Guard) -> Result<(DocumentKey, StoredDocument), StoreError> {
        let (key, value) = found.into_inner().map_err(store_error)?;
        Ok((document_key(&key[PREFIX_BYTES..])?, parse_document(value.into())?))
    }
}

impl View for FjallView {
    fn checkpoint(&self) -> Result<Option<Bytes>, StoreError> {
        self.entry(EntryKey::Checkpoint)
    }

    fn get(&self, table: TableId, key: &DocumentKey) -> Result<Option<StoredDocument>, StoreError> {
        let value = self.entry(EntryKey::Document { table, key: key.as_bytes() })?;
        value.map(parse_document).transpose()
    }

    fn scan<'a>(&'a self, range: &ScanRange) -> DocumentIterator<'a> {
        let Some(keys) = scan_keys(range, &self.prefix) else {
            return Box::new(std::iter::empty());
        };
        let found = self.range(keys);
        match range.descending {
            false => Box::new(found.map(|found| self.document(found))),
            true => Box::new(found.rev().map(|found| self.document(found))),
        }
    }

    fn remembered(&self, key: &[u8]) -> Result<Option<Remembered>, StoreError> {
        self.entry(EntryKey::Remembered { key })?.map(parse_remembered).transpose()
    }

    fn remembered_keys<'a>(&'a self) -> Box<dyn Iterator<Item = Result<Bytes, StoreError>> + 'a> {
        let first = EntryKey::Remembered { key: &[] }.behind(&self.prefix);
        let behind = EntryKey::RememberedByTime { time: WallMillis(0), key: &[] };
        Box::new(self.range(first..behind.behind(&self.prefix)).map(|found| {
            let key = self.entry_key(found.key().map_err(store_error)?);
            match EntryKey::parse(&key)? {
                EntryKey::Remembered { key: name } => Ok(key.slice_ref(name)),
                EntryKey::Document { .. }
                | EntryKey::RememberedByTime { .. }
                | EntryKey::Bookmark { .. }
                | EntryKey::Checkpoint => {
                    let why = "an entry stands among remembered answers".to_owned();
                    Err(StoreError::Damaged { why })
                }
            }
        }))
    }

    fn bookmark(&self, scn: Scn) -> Result<Option<(Scn, Bytes)>, StoreError> {
        let first = EntryKey::Bookmark { scn: Scn::ZERO }.behind(&self.prefix);
        let behind = successor(&EntryKey::Bookmark { scn }.behind(&self.prefix));
        let Some(found) = self.range(first..behind).next_back() else { return Ok(None) };
        let (key, value) = found.into_inner().map_err(store_error)?;
        let scn = bookmark_scn(&self.entry_key(key))?;
        Ok(scn.map(|scn| (scn, value.into())))
    }

    fn entries<'a>(&'a self) -> Box<dyn Iterator<Item = Result<SnapshotEntry, StoreError>> + 'a> {
        Box::new(self.range(self.whole()).map(|found| {
            let (key, value) = found.into_inner().map_err(store_error)?;
            Ok(SnapshotEntry { key: self.entry_key(key), value: value.into() })
        }))
    }
}

/// The position of a bookmark; `None` for the key of anything else.
fn bookmark_scn(key: &[u8]) -> Result<Option<Scn>, StoreError> {
    match EntryKey::parse(key)? {
        EntryKey::Bookmark { scn } => Ok(Some(scn)),
        EntryKey::Document { .. }
        | EntryKey::Remembered { .. }
        | EntryKey::RememberedByTime { .. }
        | EntryKey::Checkpoint => Ok(None),
    }
}

/// The partitions of which any entry is there, ascending, and whether their checkpoint is.
///
/// Two reads for each partition, however big it is.
pub(crate) fn partitions(
    snapshot: &Snapshot,
    entries: &Keyspace,
) -> Result<Vec<(PartitionId, bool)>, StoreError> {
    let mut found = Vec::new();
    let mut from = Vec::new();
    while let Some(next) = snapshot.range(entries, from..).next() {
        let key = next.key().map_err(store_error)?;
        let Some(partition) = layout::partition_of(&key) else {
            let why = format!("a key of {} bytes without partition", key.len());
            return Err(StoreError::Damaged { why });
        };
        let prefix = layout::prefix(partition);
        let checkpoint = EntryKey::Checkpoint.behind(&prefix);
        let has_checkpoint = snapshot.contains_key(entries, checkpoint).map_err(store_error)?;
        found.push((partition, has_checkpoint));
        // Above everything of this partition, and at or below everything of the next.
        from = [&prefix[..], &[SPACE_CHECKPOINT + 1]].concat();
    }
    Ok(found)
}
