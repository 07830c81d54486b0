//! What is committed and may not be in what the store has shown: a write must be evaluated against
//! it all the same.
//!
//! Start reading at [`Recent`].

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use cortado_model::{Batch, DocumentKey, Remembered, RememberedKey, StoredDocument, TableId};

/// Changes from their commit until every look into the store is younger than their batch.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    documents: BTreeMap<TableId, BTreeMap<DocumentKey, Kept<Option<StoredDocument>>>>,
    names: BTreeMap<RememberedKey, Kept<Remembered>>,
    /// What each batch has brought, oldest first.
    batches: VecDeque<Brought>,
    /// All that they have brought.
    bytes: usize,
}

#[derive(Debug)]
struct Kept<T> {
    /// Of the batch that brought it last.
    batch: u64,
    value: T,
}

#[derive(Debug)]
struct Brought {
    batch: u64,
    bytes: usize,
    documents: Vec<(TableId, DocumentKey)>,
    names: Vec<RememberedKey>,
}

impl Recent {
    /// Keeps what `batch` changes, which is committed.
    ///
    /// * `number`: of the batch; never smaller than the one before.
    /// * `bytes`: of its payload.
    pub(crate) fn keep(&mut self, number: u64, batch: &Batch, bytes: usize) {
        let documents = batch.documents.iter().map(|(table, key, _)| (*table, key.clone()));
        let names = batch.remember.iter().map(|(name, _)| name.clone());
        let (documents, names) = (documents.collect(), names.collect());
        self.batches.push_back(Brought { batch: number, bytes, documents, names });
        self.bytes += bytes;
        for (table, key, document) in &batch.documents {
            let kept = Kept { batch: number, value: document.clone() };
            self.documents.entry(*table).or_default().insert(key.clone(), kept);
        }
        for (name, remembered) in &batch.remember {
            let kept = Kept { batch: number, value: remembered.clone() };
            self.names.insert(name.clone(), kept);
        }
    }

    /// The newest kept state of a document; `Some(None)`: it was removed.
    pub(crate) fn document(
        &self,
        table: TableId,
        key: &DocumentKey,
    ) -> Option<Option<&StoredDocument>> {
        self.documents.get(&table)?.get(key).map(|kept| kept.value.as_ref())
    }

    /// What is remembered under `name`.
    pub(crate) fn remembered(&self, name: &RememberedKey) -> Option<&Remembered> {
        self.names.get(name).map(|kept| &kept.value)
    }

    /// Bytes that are kept, at most: what was overwritten counts.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops what batches up to `number` have brought: a look at the store shows them now.
    pub(crate) fn drop_up_to(&mut self, number: u64) {
        while let Some(brought) = self.batches.pop_front_if(|brought| brought.batch <= number) {
            self.bytes -= brought.bytes;
            for (table, key) in brought.documents {
                if let Some(documents) = self.documents.get_mut(&table)
                    && documents.get(&key).is_some_and(|kept| kept.batch <= number)
                {
                    documents.remove(&key);
                }
            }
            for name in brought.names {
                if self.names.get(&name).is_some_and(|kept| kept.batch <= number) {
                    self.names.remove(&name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cortado_model::WallMillis;

    const TABLE: TableId = TableId(3);

    fn key() -> DocumentKey {
        DocumentKey::from_parts(&["cher"]).unwrap()
    }

    fn removal() -> Batch {
        Batch { documents: vec![(TABLE, key(), None)], ..Batch::default() }
    }

    #[test]
    fn a_change_is_kept_until_the_last_batch_that_brought_it_is_dropped() {
        let mut recent = Recent::default();
        recent.keep(1, &removal(), 5);
        recent.keep(2, &removal(), 6);
        assert_eq!(recent.bytes(), 11);
        recent.drop_up_to(1);
        assert_eq!(recent.bytes(), 6);
        assert_eq!(recent.document(TABLE, &key()), Some(None));
        assert_eq!(recent.document(TableId(4), &key()), None);
        recent.drop_up_to(2);
        assert_eq!(recent.document(TABLE, &key()), None);
    }

    #[test]
    fn a_name_is_kept_as_long() {
        let mut recent = Recent::default();
        let name = RememberedKey::new("cher", b"k", 0);
        let time = WallMillis(1);
        let remembered = Remembered { time, expires: time, answer: Bytes::new() };
        let remember = vec![(name.clone(), remembered.clone())];
        recent.keep(7, &Batch { remember, ..Batch::default() }, 1);
        recent.drop_up_to(6);
        assert_eq!(recent.remembered(&name), Some(&remembered));
        recent.drop_up_to(7);
        assert_eq!(recent.remembered(&name), None);
    }
}
