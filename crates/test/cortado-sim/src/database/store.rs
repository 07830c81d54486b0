//! A node's store of one partition: documents, remembered answers and the checkpoint move together,
//! and a crash loses a suffix of what was applied, never a middle.
//!
//! Start reading at [`Store::apply`] and [`Store::crash`].

use crate::database::documents::{KeyNumber, ValueId, document_hash, remembered_hash};
use bytes::Bytes;
use cortado_model::{
    Batch, DocumentKey, Findings, LogOffset, Remembered, RememberedKey, Scn, StoredDocument,
    TableId, WallMillis,
};
use cortado_replica::{Committed, FoldState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One partition on one node's disk.
#[derive(Clone, Debug, Default)]
pub struct Store {
    image: Image,
    /// What takes back the batches that are not durable, oldest first.
    undo: VecDeque<Undo>,
    /// The checkpoint that survives a crash that loses all of those.
    durable: Reached,
    /// What the newest batch has replaced: for a planted bug.
    newest: Vec<(DocumentKey, Option<StoredDocument>)>,
}

/// How far a checkpoint reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The last record that it covers.
    pub last: Scn,
    /// The first offset that it does not cover.
    pub offset: LogOffset,
}

/// Documents, remembered answers and the checkpoint that belongs to them: what a snapshot holds.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// How far the checkpoint reaches; nowhere without one.
    pub reached: Reached,
    /// The encoded fold state.
    pub checkpoint: Option<Bytes>,
    /// The last applied transaction.
    pub last_transaction: Scn,
    /// Sum of the hashes of all documents.
    pub digest: u64,
    documents: BTreeMap<DocumentKey, StoredDocument>,
    remembered: BTreeMap<RememberedKey, Remembered>,
    by_expiry: BTreeSet<(WallMillis, RememberedKey)>,
    bookmarks: BTreeMap<Scn, Bytes>,
}

/// What a batch has replaced.
#[derive(Clone, Debug)]
struct Undo {
    reached: Reached,
    checkpoint: Option<Bytes>,
    last_transaction: Scn,
    documents: Vec<(DocumentKey, Option<StoredDocument>)>,
    names: Vec<(RememberedKey, Option<Remembered>)>,
    bookmarks: Vec<(Scn, Option<Bytes>)>,
}

impl Store {
    /// Makes a batch and its checkpoint visible, both or neither.
    ///
    /// * `last_transaction`: the last one that the batch covers.
    pub fn apply(&mut self, batch: &Batch, last_transaction: Scn) {
        let mut undo = self.image.undo_here();
        self.image.apply(batch, &mut undo);
        self.image.last_transaction = last_transaction;
        self.newest.clone_from(&undo.documents);
        self.undo.push_back(undo);
    }

    /// What a reader sees.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// How far the checkpoint reaches that survives any crash.
    pub fn durable(&self) -> Reached {
        self.durable
    }

    /// Makes the oldest batches durable, until at most `undurable` are not.
    pub fn flush(&mut self, undurable: usize) {
        while self.undo.len() > undurable {
            self.undo.pop_front();
        }
        self.durable = self.undo.front().map_or(self.image.reached, |undo| undo.reached);
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
        self.newest.clear();
        self.flush(0);
    }

    /// Replaces everything by a snapshot, durably; by nothing, to begin with.
    pub fn install(&mut self, image: Image) {
        *self = Store { image, ..Store::default() };
        self.flush(0);
    }

    /// For a planted bug: loses the documents of the newest `lost` batches, not their checkpoint.
    pub fn crash_torn(&mut self, lost: usize) {
        let (reached, checkpoint) = (self.image.reached, self.image.checkpoint.clone());
        self.crash(lost);
        (self.image.reached, self.image.checkpoint) = (reached, checkpoint);
        self.flush(0);
    }

    /// For a planted bug: which keys were used is not stored.
    pub fn forget_keys(&mut self) {
        self.image.remembered.clear();
        self.image.by_expiry.clear();
    }

    /// For a planted bug: applies what the fold has not accepted, and says nothing about it.
    pub fn apply_unaccepted(&mut self, committed: &Committed) {
        let mut undo = self.image.undo_here();
        for change in &committed.transaction.changes {
            let old = self.image.put(&change.key, change.document.clone());
            undo.documents.push((change.key.clone(), old));
        }
        self.image.last_transaction = committed.scn;
        self.undo.push_back(undo);
    }

    /// For a planted bug: what the store showed before the newest batch.
    pub fn found_late(&self, keys: &[(TableId, DocumentKey)]) -> Vec<Option<StoredDocument>> {
        let document = |key: &DocumentKey| {
            let replaced = self.newest.iter().find(|(other, _)| other == key);
            replaced.map_or_else(|| self.image.document(key), |(_, old)| old.clone())
        };
        keys.iter().map(|(_, key)| document(key)).collect()
    }
}

impl Image {
    /// What every document holds.
    pub fn values(&self) -> BTreeMap<KeyNumber, ValueId> {
        let documents = self.documents.iter();
        documents.map(|(key, each)| (KeyNumber::of(key), ValueId::of_json(&each.json()))).collect()
    }

    /// What a write is evaluated against.
    pub fn found(&self, keys: &[(TableId, DocumentKey)], names: &[RememberedKey]) -> Findings {
        let documents = keys.iter().map(|(_, key)| self.document(key)).collect();
        if names.is_empty() {
            return Findings { documents, ..Findings::default() };
        }
        Findings {
            documents,
            remembered: names.iter().map(|name| self.remembered.get(name).cloned()).collect(),
            remembered_bytes: 100 * self.remembered.len() as u64,
            first_expiry: self.by_expiry.first().map(|(expires, _)| *expires),
        }
    }

    /// The last bookmark at or before `scn`.
    pub fn bookmark(&self, scn: Scn) -> Option<(Scn, Bytes)> {
        let (scn, state) = self.bookmarks.range(..=scn).next_back()?;
        Some((*scn, state.clone()))
    }

    /// How many bookmarks there are.
    pub fn bookmarks(&self) -> usize {
        self.bookmarks.len()
    }

    /// Sum of the hashes of what is remembered at `time`, and when the first of it expires.
    pub fn remembered_at(&self, time: WallMillis) -> (u64, Option<WallMillis>) {
        let live = self.remembered.iter().filter(|(_, remembered)| remembered.expires >= time);
        let sum = live.map(|(name, remembered)| remembered_hash(name, remembered));
        let mut expiries = self.by_expiry.iter().map(|(expires, _)| *expires);
        (sum.fold(0, u64::wrapping_add), expiries.find(|expires| *expires >= time))
    }

    /// The documents' hash from the documents themselves rather than from their changes.
    pub fn digest_anew(&self) -> u64 {
        let hashes = self.documents.iter().map(|(key, document)| document_hash(key, document));
        hashes.fold(0, u64::wrapping_add)
    }

    fn document(&self, key: &DocumentKey) -> Option<StoredDocument> {
        self.documents.get(key).cloned()
    }

    fn undo_here(&self) -> Undo {
        Undo {
            reached: self.reached,
            checkpoint: self.checkpoint.clone(),
            last_transaction: self.last_transaction,
            documents: Vec::new(),
            names: Vec::new(),
            bookmarks: Vec::new(),
        }
    }

    fn apply(&mut self, batch: &Batch, undo: &mut Undo) {
        for (_, key, document) in &batch.documents {
            let old = self.put(key, document.clone());
            undo.documents.push((key.clone(), old));
        }
        for (name, remembered) in &batch.remember {
            let old = self.remember(name, Some(remembered.clone()));
            undo.names.push((name.clone(), old));
        }
        if let Some(time) = batch.forget_before {
            self.forget(time, (2 * batch.remember.len()).max(1), undo);
        }
        for (scn, state) in &batch.bookmarks {
            undo.bookmarks.push((*scn, self.bookmarks.insert(*scn, state.clone())));
        }
        if let Some(below) = batch.trim_bookmarks_below {
            let kept = self.bookmarks.split_off(&below);
            let dropped = std::mem::replace(&mut self.bookmarks, kept);
            undo.bookmarks.extend(dropped.into_iter().map(|(scn, state)| (scn, Some(state))));
        }
        self.checkpoint = Some(batch.checkpoint.clone());
        let state = FoldState::decode(&batch.checkpoint);
        let state = state.expect("a driver stores what it can read");
        self.reached = Reached { last: state.agreed(), offset: state.position.offset };
    }

    /// Forgets what has expired before `time`, the oldest first.
    fn forget(&mut self, time: WallMillis, answers_max: usize, undo: &mut Undo) {
        for _ in 0..answers_max {
            let Some((expires, name)) = self.by_expiry.first().cloned() else { return };
            if expires >= time {
                return;
            }
            let old = self.remember(&name, None);
            undo.names.push((name, old));
        }
    }

    fn put(&mut self, key: &DocumentKey, new: Option<StoredDocument>) -> Option<StoredDocument> {
        let hash = |document: &StoredDocument| document_hash(key, document);
        let added = new.as_ref().map_or(0, hash);
        let old = match new {
            Some(document) => self.documents.insert(key.clone(), document),
            None => self.documents.remove(key),
        };
        let removed = old.as_ref().map_or(0, hash);
        self.digest = self.digest.wrapping_add(added).wrapping_sub(removed);
        old
    }

    fn remember(&mut self, name: &RememberedKey, new: Option<Remembered>) -> Option<Remembered> {
        let expires = new.as_ref().map(|remembered| remembered.expires);
        let old = match new {
            Some(remembered) => self.remembered.insert(name.clone(), remembered),
            None => self.remembered.remove(name),
        };
        if let Some(old) = &old {
            self.by_expiry.remove(&(old.expires, name.clone()));
        }
        if let Some(expires) = expires {
            self.by_expiry.insert((expires, name.clone()));
        }
        old
    }

    fn take_back(&mut self, undo: Undo) {
        for (key, old) in undo.documents.into_iter().rev() {
            self.put(&key, old);
        }
        for (name, old) in undo.names.into_iter().rev() {
            self.remember(&name, old);
        }
        for (scn, old) in undo.bookmarks.into_iter().rev() {
            match old {
                Some(state) => self.bookmarks.insert(scn, state),
                None => self.bookmarks.remove(&scn),
            };
        }
        (self.reached, self.checkpoint) = (undo.reached, undo.checkpoint);
        self.last_transaction = undo.last_transaction;
    }
}
