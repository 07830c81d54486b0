//! What one apply changes in the store of a replica.
//!
//! Start reading at [`Batch`].

use crate::{
    DocumentKey, EntryKey, IndexId, Remembered, RememberedKey, Scn, StoredDocument, TableId,
    WallMillis,
};
use alloc::vec::Vec;
use bytes::Bytes;

/// What becomes visible together, as a driver hands it to a store.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Documents in SCN order; a later one of the same key wins. `None` removes.
    pub documents: Vec<(TableId, DocumentKey, Option<StoredDocument>)>,
    /// Entries beside the documents, in order; a later one of the same name wins.
    pub entries: Vec<EntryChange>,
    /// Answers to repeat when their idempotency keys come again; a later one of the same key wins.
    pub remember: Vec<(RememberedKey, Remembered)>,
    /// Forget some answers that have [expired](Remembered::expires) before this log time, oldest
    /// first: at most twice as many as this batch remembers, or one, so that the table stays
    /// bounded and a batch short.
    pub forget_before: Option<WallMillis>,
    /// Fold states to find again by SCN, so that a change stream can start in the middle.
    pub bookmarks: Vec<(Scn, Bytes)>,
    /// Drop bookmarks below this SCN: the log below them was trimmed.
    pub trim_bookmarks_below: Option<Scn>,
    /// The fold state after the batch.
    pub checkpoint: Bytes,
}

impl Batch {
    /// Bytes of what clients have sent: of keys, documents, entries and answers.
    pub fn payload_bytes(&self) -> usize {
        let documents = self.documents.iter().map(|(_, key, document)| {
            key.as_bytes().len() + document.as_ref().map_or(0, |document| document.image().len())
        });
        let entries = self.entries.iter().map(|entry| {
            let name_bytes = match &entry.name {
                EntryName::Index { place, .. } => place.len(),
                EntryName::Expiry { key, .. } => key.as_bytes().len(),
            };
            name_bytes + entry.value.as_ref().map_or(0, Bytes::len)
        });
        let answers = self
            .remember
            .iter()
            .map(|(name, remembered)| name.as_bytes().len() + remembered.answer.len());
        documents.chain(entries).chain(answers).sum()
    }
}

/// Writes or removes one entry beside the documents. Stores keep it and know nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChange {
    /// Which entry.
    pub name: EntryName,
    /// Its new value; `None` removes.
    pub value: Option<Bytes>,
}

/// Names an entry that stands beside the documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryName {
    /// A place in an index; its value leads to the document.
    Index {
        /// The index.
        index: IndexId,
        /// The indexed value, and what makes the entry unique; byte order is index order.
        place: Bytes,
    },
    /// A document that expires.
    Expiry {
        /// When: log time.
        time: WallMillis,
        /// The document's table.
        table: TableId,
        /// The document.
        key: DocumentKey,
    },
}

impl EntryName {
    /// The key under which stores keep the entry.
    pub fn key(&self) -> EntryKey<'_> {
        match self {
            EntryName::Index { index, place } => EntryKey::Index { index: *index, place },
            EntryName::Expiry { time, table, key } => {
                EntryKey::Expiry { time: *time, table: *table, key: key.as_bytes() }
            }
        }
    }
}
