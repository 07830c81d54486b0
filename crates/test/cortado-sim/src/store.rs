//! A node's store of one partition: documents and checkpoint move together, and a crash loses a
//! suffix of what was applied, never a middle.
//!
//! Start reading at [`Store::apply`] and [`Store::crash`].

use crate::documents::{KeyNumber, ValueId, document_hash};
use bytes::Bytes;
use cortado_model::{DocumentKey, Etag, RememberedKey, Scn};
use cortado_replica::{Apply, Committed, FoldState, Idempotency};
use std::collections::{BTreeMap, VecDeque};

/// One partition on one node's disk.
#[derive(Clone, Debug)]
pub struct Store {
    image: Image,
    /// What takes back the batches that are not durable, oldest first.
    undo: VecDeque<Undo>,
    /// The checkpoint that survives a crash that loses all of those.
    durable: FoldState,
}

/// Documents, idempotency keys and the checkpoint that belongs to them: what a snapshot holds.
#[derive(Clone, Debug)]
pub struct Image {
    /// The checkpoint.
    pub state: FoldState,
    /// The last applied transaction.
    pub last_transaction: Scn,
    /// Sum of the hashes of all documents.
    pub digest: u64,
    documents: BTreeMap<DocumentKey, Document>,
    remembered: BTreeMap<RememberedKey, Remembered>,
}

#[derive(Clone, Debug)]
struct Document {
    etag: Etag,
    value: Bytes,
}

/// The use of an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Where its transaction stands.
    pub scn: Scn,
    /// Hash of the request.
    pub fingerprint: u128,
}

/// What a batch has replaced.
#[derive(Clone, Debug)]
struct Undo {
    state: FoldState,
    last_transaction: Scn,
    documents: Vec<(DocumentKey, Option<Document>)>,
    names: Vec<(RememberedKey, Option<Remembered>)>,
}

impl Store {
    /// A store without anything in it, before the log that `state` names begins.
    pub fn empty(state: FoldState) -> Store {
        let image = Image {
            state: state.clone(),
            last_transaction: Scn::ZERO,
            digest: 0,
            documents: BTreeMap::new(),
            remembered: BTreeMap::new(),
        };
        Store { image, undo: VecDeque::new(), durable: state }
    }

    /// Makes a batch and its checkpoint visible, both or neither.
    pub fn apply(&mut self, apply: &Apply) {
        let mut undo = self.image.undo_here();
        for committed in &apply.transactions {
            self.image.apply(committed, &mut undo);
        }
        self.image.state = apply.state.clone();
        self.undo.push_back(undo);
    }

    /// What a reader sees.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The checkpoint that survives any crash.
    pub fn durable(&self) -> &FoldState {
        &self.durable
    }

    /// Makes the oldest batches durable, until at most `undurable` are not.
    pub fn flush(&mut self, undurable: usize) {
        while self.undo.len() > undurable {
            self.undo.pop_front();
        }
        self.durable = self.undo.front().map_or(&self.image.state, |undo| &undo.state).clone();
    }

    /// Batches that are not durable.
    pub fn undurable(&self) -> usize {
        self.undo.len()
    }

    /// Loses the newest `lost` batches that are not durable; the rest becomes durable.
    pub fn crash(&mut self, lost: usize) {
        for _ in 0..lost {
            let Some(undo) = self.undo.pop_back() else { break };
            self.image.take_back(undo);
        }
        self.flush(0);
    }

    /// Replaces everything by a snapshot, durably.
    pub fn install(&mut self, image: Image) {
        self.image = image;
        self.undo.clear();
        self.flush(0);
    }

    /// For a planted bug: loses the documents of the newest `lost` batches, not their checkpoint.
    pub fn crash_torn(&mut self, lost: usize) {
        let state = self.image.state.clone();
        self.crash(lost);
        self.image.state = state;
        self.flush(0);
    }

    /// For a planted bug: which keys were used is not stored.
    pub fn forget_keys(&mut self) {
        self.image.remembered.clear();
    }

    /// For a planted bug: applies what the fold has not accepted, and says nothing about it.
    pub fn apply_unaccepted(&mut self, committed: &Committed) {
        let mut undo = self.image.undo_here();
        self.image.apply(committed, &mut undo);
        self.undo.push_back(undo);
    }
}

impl Image {
    /// What a document holds.
    pub fn value(&self, key: &DocumentKey) -> ValueId {
        self.documents
            .get(key)
            .map_or(ValueId::ABSENT, |document| ValueId::of_json(&document.value))
    }

    /// What every document holds.
    pub fn values(&self) -> BTreeMap<KeyNumber, ValueId> {
        let documents = self.documents.iter();
        documents.map(|(key, each)| (KeyNumber::of(key), ValueId::of_json(&each.value))).collect()
    }

    /// How an idempotency key was used.
    pub fn remembered(&self, name: &RememberedKey) -> Option<Remembered> {
        self.remembered.get(name).copied()
    }

    /// The state's hash from the documents themselves rather than from their changes.
    pub fn digest_anew(&self) -> u64 {
        let hashes = self.documents.iter().map(|(key, d)| document_hash(key, d.etag, &d.value));
        hashes.fold(0, u64::wrapping_add)
    }

    fn undo_here(&self) -> Undo {
        Undo {
            state: self.state.clone(),
            last_transaction: self.last_transaction,
            documents: Vec::new(),
            names: Vec::new(),
        }
    }

    fn apply(&mut self, committed: &Committed, undo: &mut Undo) {
        for change in &committed.transaction.changes {
            let new = change.document.as_ref().map(|document| {
                let (etag, value) = (document.head.etag, document.json());
                Document { etag, value }
            });
            let old = self.put(&change.key, new);
            undo.documents.push((change.key.clone(), old));
        }
        for Idempotency { name, fingerprint, .. } in &committed.transaction.idempotency {
            let use_of_key = Remembered { scn: committed.scn, fingerprint: *fingerprint };
            let old = self.remembered.insert(name.clone(), use_of_key);
            undo.names.push((name.clone(), old));
        }
        self.last_transaction = committed.scn;
    }

    fn put(&mut self, key: &DocumentKey, new: Option<Document>) -> Option<Document> {
        let hash = |document: &Document| document_hash(key, document.etag, &document.value);
        let added = new.as_ref().map_or(0, hash);
        let old = match new {
            Some(document) => self.documents.insert(key.clone(), document),
            None => self.documents.remove(key),
        };
        let removed = old.as_ref().map_or(0, hash);
        self.digest = self.digest.wrapping_add(added).wrapping_sub(removed);
        old
    }

    fn take_back(&mut self, undo: Undo) {
        for (key, old) in undo.documents.into_iter().rev() {
            self.put(&key, old);
        }
        for (name, old) in undo.names.into_iter().rev() {
            match old {
                Some(remembered) => self.remembered.insert(name, remembered),
                None => self.remembered.remove(&name),
            };
        }
        (self.state, self.last_transaction) = (undo.state, undo.last_transaction);
    }
}
