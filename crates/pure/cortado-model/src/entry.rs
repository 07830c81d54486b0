//! Entries of a replica's store: a key and a value each, sorted by key.
//!
//! Every store keeps the same keys, so that a snapshot moves between them; docs/formats/store.md
//! describes their bytes. Start reading at [`EntryKey`].

use crate::{IndexId, Scn, TableId, WallMillis};
use alloc::vec::Vec;
use bytes::Bytes;

/// One entry of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// What [`EntryKey::append_to`] wrote.
    pub key: Bytes,
    /// What the space keeps under it.
    pub value: Bytes,
}

/// The first byte of an entry's key. Variants stand in key order, with room between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Space {
    /// Documents.
    Document = 0x10,
    /// Places in indexes.
    Index = 0x20,
    /// Documents that expire, by time.
    Expiry = 0x30,
    /// Answers by idempotency key.
    Remembered = 0x40,
    /// Idempotency keys by the time at which their answers expire.
    RememberedByExpiry = 0x48,
    /// What all remembered answers take.
    RememberedBytes = 0x4c,
    /// Fold states by SCN.
    Bookmark = 0x50,
    /// How far a snapshot has been installed. From here on, entries are the replica's own: no
    /// snapshot carries them.
    InstallProgress = 0xe0,
    /// The fold state after the newest batch. No space lies above, but only
    /// [`InstallProgress`](Space::InstallProgress) says where a snapshot ends.
    Checkpoint = 0xff,
}

impl Space {
    /// Every space, in key order.
    pub const ALL: [Space; 9] = [
        Space::Document,
        Space::Index,
        Space::Expiry,
        Space::Remembered,
        Space::RememberedByExpiry,
        Space::RememberedBytes,
        Space::Bookmark,
        Space::InstallProgress,
        Space::Checkpoint,
    ];

    /// Whether a snapshot carries entries of this space.
    pub fn is_in_snapshots(self) -> bool {
        self < Space::InstallProgress
    }

    fn from_byte(byte: u8) -> Option<Space> {
        Space::ALL.into_iter().find(|space| *space as u8 == byte)
    }
}

/// What an entry is, and its name in its partition.
///
/// Variants stand in key order. Numbers are big-endian, so that entries sort as what they name
/// does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKey<'a> {
    /// A document; its value is the [image](crate::StoredDocument::image).
    Document {
        /// The table.
        table: TableId,
        /// The document's key or a prefix of it, see [`as_bytes`](crate::DocumentKey::as_bytes).
        key: &'a [u8],
    },
    /// A place in an index; its value is what the driver gave.
    Index {
        /// The index.
        index: IndexId,
        /// The place; byte order is index order.
        place: &'a [u8],
    },
    /// A document that expires; its value is what the driver gave.
    Expiry {
        /// When: log time.
        time: WallMillis,
        /// The document's table.
        table: TableId,
        /// The document's key.
        key: &'a [u8],
    },
    /// The answer to an idempotency key.
    Remembered {
        /// A [`RememberedKey`](crate::RememberedKey).
        key: &'a [u8],
    },
    /// An idempotency key, to find those that expire first; its value is what it takes.
    RememberedByExpiry {
        /// When its answer expires: log time.
        expires: WallMillis,
        /// A [`RememberedKey`](crate::RememberedKey).
        key: &'a [u8],
    },
    /// What all remembered answers take; its value is that number.
    RememberedBytes,
    /// A bookmark; its value is what the driver gave.
    Bookmark {
        /// The position it marks.
        scn: Scn,
    },
    /// How far a snapshot has been installed; its value is the store's.
    InstallProgress,
    /// The fold state after the newest batch; its value is what the driver gave.
    Checkpoint,
}

impl<'a> EntryKey<'a> {
    /// The space that it lies in.
    pub fn space(self) -> Space {
        match self {
            EntryKey::Document { .. } => Space::Document,
            EntryKey::Index { .. } => Space::Index,
            EntryKey::Expiry { .. } => Space::Expiry,
            EntryKey::Remembered { .. } => Space::Remembered,
            EntryKey::RememberedByExpiry { .. } => Space::RememberedByExpiry,
            EntryKey::RememberedBytes => Space::RememberedBytes,
            EntryKey::Bookmark { .. } => Space::Bookmark,
            EntryKey::InstallProgress => Space::InstallProgress,
            EntryKey::Checkpoint => Space::Checkpoint,
        }
    }

    /// Writes the key behind what `bytes` holds already, such as the name of a partition.
    pub fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.push(self.space() as u8);
        match self {
            EntryKey::Document { table, key } => {
                bytes.extend_from_slice(&table.0.to_be_bytes());
                bytes.extend_from_slice(key);
            }
            EntryKey::Index { index, place } => {
                bytes.extend_from_slice(&index.0.to_be_bytes());
                bytes.extend_from_slice(place);
            }
            EntryKey::Expiry { time, table, key } => {
                bytes.extend_from_slice(&time.0.to_be_bytes());
                bytes.extend_from_slice(&table.0.to_be_bytes());
                bytes.extend_from_slice(key);
            }
            EntryKey::Remembered { key } => bytes.extend_from_slice(key),
            EntryKey::RememberedByExpiry { expires, key } => {
                bytes.extend_from_slice(&expires.0.to_be_bytes());
                bytes.extend_from_slice(key);
            }
            EntryKey::Bookmark { scn } => bytes.extend_from_slice(&scn.to_u64().to_be_bytes()),
            EntryKey::RememberedBytes | EntryKey::InstallProgress | EntryKey::Checkpoint => {}
        }
    }

    /// The key behind `prefix`, in a buffer of its own.
    pub fn behind(self, prefix: &[u8]) -> Vec<u8> {
        let name_bytes = match self {
            EntryKey::Document { key, .. }
            | EntryKey::Index { place: key, .. }
            | EntryKey::Expiry { key, .. }
            | EntryKey::Remembered { key }
            | EntryKey::RememberedByExpiry { key, .. } => key.len(),
            EntryKey::RememberedBytes
            | EntryKey::Bookmark { .. }
            | EntryKey::InstallProgress
            | EntryKey::Checkpoint => 0,
        };
        // A space and numbers of at most 12 bytes stand before the name.
        let mut bytes = Vec::with_capacity(prefix.len() + 13 + name_bytes);
        bytes.extend_from_slice(prefix);
        self.append_to(&mut bytes);
        bytes
    }

    /// Reads a key as [`append_to`](Self::append_to) wrote it, without what stood before it.
    ///
    /// `None` for bytes that no entry of this version has as its key.
    pub fn parse(bytes: &'a [u8]) -> Option<EntryKey<'a>> {
        let (space, rest) = bytes.split_first()?;
        match Space::from_byte(*space)? {
            Space::Document => {
                let (table, key) = number(rest)?;
                Some(EntryKey::Document { table: TableId(table), key })
            }
            Space::Index => {
                let (index, place) = number(rest)?;
                Some(EntryKey::Index { index: IndexId(index), place })
            }
            Space::Expiry => {
                let (time, rest) = time(rest)?;
                let (table, key) = number(rest)?;
                Some(EntryKey::Expiry { time, table: TableId(table), key })
            }
            Space::Remembered => Some(EntryKey::Remembered { key: rest }),
            Space::RememberedByExpiry => {
                let (expires, key) = time(rest)?;
                Some(EntryKey::RememberedByExpiry { expires, key })
            }
            Space::Bookmark => {
                let number = u64::from_be_bytes(rest.try_into().ok()?);
                Some(EntryKey::Bookmark { scn: Scn::from_u64(number)? })
            }
            Space::RememberedBytes => rest.is_empty().then_some(EntryKey::RememberedBytes),
            Space::InstallProgress => rest.is_empty().then_some(EntryKey::InstallProgress),
            Space::Checkpoint => rest.is_empty().then_some(EntryKey::Checkpoint),
        }
    }
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn time(bytes: &[u8]) -> Option<(WallMillis, &[u8])> {
    let (time, rest) = bytes.split_first_chunk()?;
    Some((WallMillis(u64::from_be_bytes(*time)), rest))
}

#[cfg(test)]
mod tests;
