//! The bytes of a partition's entries, the same in every store: docs/formats/store.md.
//!
//! Decides nothing about where an implementation puts them. Start reading at [`EntryKey`].

use crate::{Remembered, ScanRange, SnapshotEntry, StoreError, StoredDocument};
use bytes::Bytes;
use cortado_model::{DocumentKey, Etag, Scn, TableId, WallMillis};
use std::ops::{Bound, Range};

/// The first byte of a document's value: the version of its layout.
const DOCUMENT_VERSION: u8 = 1;
/// The first byte of a remembered answer: the version of its layout.
const REMEMBERED_VERSION: u8 = 1;
/// Version, etag, SCN, log time, schema version.
const DOCUMENT_HEAD_BYTES: usize = 1 + 8 + 8 + 8 + 4;
/// Version, log time.
const REMEMBERED_HEAD_BYTES: usize = 1 + 8;

/// The space of documents.
pub const SPACE_DOCUMENT: u8 = 1;
/// The space of answers by idempotency key.
pub const SPACE_REMEMBERED: u8 = 2;
/// The space of idempotency keys by time.
pub const SPACE_REMEMBERED_BY_TIME: u8 = 3;
/// The space of bookmarks.
pub const SPACE_BOOKMARK: u8 = 4;
/// The space of the one checkpoint; the last, so that every other entry sorts before it.
pub const SPACE_CHECKPOINT: u8 = 5;

/// What an entry of a partition is, and its name in there.
///
/// Variants stand in key order: first byte the space, numbers big-endian, so that entries sort as
/// what they name does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKey<'a> {
    /// A document; its value is [`document_value`].
    Document {
        /// The table.
        table: TableId,
        /// The document's key or a prefix of it, see [`DocumentKey::as_bytes`].
        key: &'a [u8],
    },
    /// The answer to an idempotency key; its value is [`remembered_value`].
    Remembered {
        /// The idempotency key.
        key: &'a [u8],
    },
    /// An idempotency key, to find the oldest; its value is empty.
    RememberedByTime {
        /// When it was remembered: log time.
        time: WallMillis,
        /// The idempotency key.
        key: &'a [u8],
    },
    /// A bookmark; its value is what the caller gave.
    Bookmark {
        /// The position it marks.
        scn: Scn,
    },
    /// The fold state after the newest batch; its value is what the caller gave.
    Checkpoint,
}

impl<'a> EntryKey<'a> {
    /// Writes the key behind what `bytes` holds already, such as the name of a partition.
    pub fn append_to(self, bytes: &mut Vec<u8>) {
        match self {
            EntryKey::Document { table, key } => {
                bytes.push(SPACE_DOCUMENT);
                bytes.extend_from_slice(&table.0.to_be_bytes());
                bytes.extend_from_slice(key);
            }
            EntryKey::Remembered { key } => {
                bytes.push(SPACE_REMEMBERED);
                bytes.extend_from_slice(key);
            }
            EntryKey::RememberedByTime { time, key } => {
                bytes.push(SPACE_REMEMBERED_BY_TIME);
                bytes.extend_from_slice(&time.0.to_be_bytes());
                bytes.extend_from_slice(key);
            }
            EntryKey::Bookmark { scn } => {
                bytes.push(SPACE_BOOKMARK);
                bytes.extend_from_slice(&scn.to_u64().to_be_bytes());
            }
            EntryKey::Checkpoint => bytes.push(SPACE_CHECKPOINT),
        }
    }

    /// The key behind `prefix`, in a buffer of its own.
    pub fn behind(self, prefix: &[u8]) -> Vec<u8> {
        let name_bytes = match self {
            EntryKey::Document { key, .. }
            | EntryKey::Remembered { key }
            | EntryKey::RememberedByTime { key, .. } => key.len(),
            EntryKey::Bookmark { .. } | EntryKey::Checkpoint => 0,
        };
        // A space and one number of at most 8 bytes stand before the name.
        let mut bytes = Vec::with_capacity(prefix.len() + 9 + name_bytes);
        bytes.extend_from_slice(prefix);
        self.append_to(&mut bytes);
        bytes
    }

    /// Reads a key as [`append_to`](Self::append_to) wrote it, without what stood before it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for bytes that no entry has as its key.
    pub fn parse(bytes: &'a [u8]) -> Result<EntryKey<'a>, StoreError> {
        let key = bytes.split_first().and_then(|(space, rest)| match *space {
            SPACE_DOCUMENT => {
                let (table, key) = rest.split_first_chunk()?;
                let table = TableId(u32::from_be_bytes(*table));
                Some(EntryKey::Document { table, key })
            }
            SPACE_REMEMBERED => Some(EntryKey::Remembered { key: rest }),
            SPACE_REMEMBERED_BY_TIME => {
                let (time, key) = rest.split_first_chunk()?;
                let time = WallMillis(u64::from_be_bytes(*time));
                Some(EntryKey::RememberedByTime { time, key })
            }
            SPACE_BOOKMARK => {
                let number = u64::from_be_bytes(rest.try_into().ok()?);
                Some(EntryKey::Bookmark { scn: Scn::from_u64(number)? })
            }
            SPACE_CHECKPOINT => rest.is_empty().then_some(EntryKey::Checkpoint),
            // Bytes are no enum of ours: every other value is damage.
            _ => None,
        });
        key.ok_or_else(|| damaged("key", bytes))
    }
}

/// Reads the document key of an entry key that lies in the space of documents.
///
/// # Errors
/// [`StoreError::Damaged`] for any other key.
pub fn document_key(bytes: &[u8]) -> Result<DocumentKey, StoreError> {
    let key = match EntryKey::parse(bytes)? {
        EntryKey::Document { key, .. } => DocumentKey::from_bytes(key.to_vec()),
        EntryKey::Remembered { .. }
        | EntryKey::RememberedByTime { .. }
        | EntryKey::Bookmark { .. }
        | EntryKey::Checkpoint => None,
    };
    key.ok_or_else(|| damaged("document key", bytes))
}

/// The value of a document's entry: 29 bytes of head, then the JSON.
pub fn document_value(document: &StoredDocument) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(DOCUMENT_HEAD_BYTES + document.value.len());
    bytes.push(DOCUMENT_VERSION);
    bytes.extend_from_slice(&document.etag.0.to_be_bytes());
    bytes.extend_from_slice(&document.scn.to_u64().to_be_bytes());
    bytes.extend_from_slice(&document.time.0.to_be_bytes());
    bytes.extend_from_slice(&document.schema_version.to_be_bytes());
    bytes.extend_from_slice(&document.value);
    bytes
}

/// Reads what [`document_value`] wrote; the JSON is a slice of `bytes`, not a new buffer.
///
/// # Errors
/// [`StoreError::Damaged`] for any other bytes.
pub fn parse_document(bytes: Bytes) -> Result<StoredDocument, StoreError> {
    let head = document_head(&bytes).ok_or_else(|| damaged("document", &bytes))?;
    let (etag, scn, time, schema_version) = head;
    let value = bytes.slice(DOCUMENT_HEAD_BYTES..);
    Ok(StoredDocument { etag, scn, time, schema_version, value })
}

fn document_head(bytes: &[u8]) -> Option<(Etag, Scn, WallMillis, u32)> {
    let (version, rest) = bytes.split_first()?;
    let (etag, rest) = rest.split_first_chunk()?;
    let (scn, rest) = rest.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let (schema_version, _) = rest.split_first_chunk()?;
    let scn = Scn::from_u64(u64::from_be_bytes(*scn))?;
    let etag = Etag(u64::from_be_bytes(*etag));
    let time = WallMillis(u64::from_be_bytes(*time));
    (*version == DOCUMENT_VERSION).then_some((etag, scn, time, u32::from_be_bytes(*schema_version)))
}

/// The value of a remembered answer's entry: 9 bytes of head, then the answer.
pub fn remembered_value(time: WallMillis, answer: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(REMEMBERED_HEAD_BYTES + answer.len());
    bytes.push(REMEMBERED_VERSION);
    bytes.extend_from_slice(&time.0.to_be_bytes());
    bytes.extend_from_slice(answer);
    bytes
}

/// Reads what [`remembered_value`] wrote; the answer is a slice of `bytes`.
///
/// # Errors
/// [`StoreError::Damaged`] for any other bytes.
pub fn parse_remembered(bytes: Bytes) -> Result<Remembered, StoreError> {
    let time = match bytes.split_first() {
        Some((&REMEMBERED_VERSION, rest)) => rest.first_chunk().copied(),
        Some(_) | None => None,
    };
    let time = time.ok_or_else(|| damaged("remembered answer", &bytes))?;
    let answer = bytes.slice(REMEMBERED_HEAD_BYTES..);
    Ok(Remembered { time: WallMillis(u64::from_be_bytes(time)), answer })
}

/// The entry keys of the documents of `range`, behind `prefix`; `None` if there can be none.
///
/// From the first key that belongs to it to the first that does not, whatever the direction.
pub fn scan_keys(range: &ScanRange, prefix: &[u8]) -> Option<Range<Vec<u8>>> {
    let document = |key| EntryKey::Document { table: range.table, key }.behind(prefix);
    let mut start = document(&range.prefix);
    let mut end = successor(&start);
    let from = match &range.from {
        Bound::Unbounded => None,
        Bound::Included(key) => Some((key, range.descending)),
        Bound::Excluded(key) => Some((key, !range.descending)),
    };
    if let Some((key, goes_behind)) = from {
        let mut edge = document(key.as_bytes());
        if goes_behind {
            // The least key above `edge`.
            edge.push(0);
        }
        if range.descending {
            end = end.min(edge);
        } else {
            start = start.max(edge);
        }
    }
    (start < end).then_some(start..end)
}

/// The least byte string above every one that begins with `prefix`.
///
/// `prefix` holds a byte below 255: an entry key begins with its space.
pub fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            break;
        }
    }
    bytes
}

/// Whether `next` may follow `previous` in a snapshot.
///
/// # Errors
/// [`StoreError::Damaged`] for an entry of no known format, a checkpoint, or one out of order.
pub fn check_snapshot_entry(
    previous: Option<&[u8]>,
    next: &SnapshotEntry,
) -> Result<(), StoreError> {
    match EntryKey::parse(&next.key)? {
        EntryKey::Document { .. } => {
            document_key(&next.key)?;
            document_head(&next.value).ok_or_else(|| damaged("document", &next.value))?;
        }
        EntryKey::Remembered { .. } => {
            parse_remembered(next.value.clone())?;
        }
        EntryKey::RememberedByTime { .. } | EntryKey::Bookmark { .. } => {}
        EntryKey::Checkpoint => return Err(damaged("snapshot: checkpoint among the entries", &[])),
    }
    if previous.is_some_and(|previous| previous >= &next.key[..]) {
        return Err(damaged("snapshot: entry out of order", &next.key));
    }
    Ok(())
}

/// Says what could not be read and how it begins.
fn damaged(what: &str, bytes: &[u8]) -> StoreError {
    let head = &bytes[..bytes.len().min(48)];
    StoreError::Damaged { why: format!("{what} of {} bytes: {}", bytes.len(), head.escape_ascii()) }
}

#[cfg(test)]
mod tests;
