//! Where the oldest entries of a partition begin, so that finding them stays short.
//!
//! A removed entry leaves a trace that the engine steps over until a compaction drops it. A search
//! for the oldest entries from the beginning of their space would step over all that were ever
//! removed, in every batch again. Start reading at [`Starts`].

use crate::engine::Engine;
use crate::view::FjallView;
use cortado_model::{Batch, Generation, PartitionId, RememberedKey, Scn, WallMillis};
use cortado_store::{Expiring, StoreError, StoredEntries, View};
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// Below these, a partition has no entry. Nothing known is the beginning of each space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Start {
    expiry: WallMillis,
    bookmark: Scn,
}

impl Start {
    /// SCNs never go back in a partition, and expiries only by a short time-to-live.
    fn lower(&mut self, added: Start) {
        self.expiry = self.expiry.min(added.expiry);
        self.bookmark = self.bookmark.min(added.bookmark);
    }
}

/// The start of each partition, as far as this process has found out.
#[derive(Default)]
pub(crate) struct Starts(Mutex<BTreeMap<PartitionId, Start>>);

impl Starts {
    /// What `batch` needs to know of `partition`; hand it back by [`advance`](Self::advance).
    pub(crate) fn reader<'a>(
        &self,
        engine: &'a Engine,
        partition: PartitionId,
        batch: &Batch,
    ) -> Reader<'a> {
        let touches = !batch.remember.is_empty()
            || batch.forget_before.is_some()
            || !batch.bookmarks.is_empty()
            || batch.trim_bookmarks_below.is_some();
        let start = touches.then(|| self.lock().get(&partition).copied().unwrap_or_default());
        let expiry = batch.remember.iter().map(|(_, remembered)| remembered.expires).min();
        let bookmark = batch.bookmarks.iter().map(|(scn, _)| *scn).min();
        let added = Start {
            expiry: expiry.unwrap_or(WallMillis(u64::MAX)),
            bookmark: bookmark.unwrap_or(Scn::opening(Generation::MAX)),
        };
        Reader { engine, partition, start: Cell::new(start), added, view: OnceCell::new() }
    }

    /// What there is of `partition` now, and a time before which no answer in it expires.
    pub(crate) fn view(&self, engine: &Engine, partition: PartitionId) -> (FjallView, WallMillis) {
        // Under the lock: a start that a later batch has raised would be too high for this view.
        let starts = self.lock();
        let view = engine.view(partition);
        (view, starts.get(&partition).copied().unwrap_or_default().expiry)
    }

    /// A batch is about to become visible: lowers the start to what it adds.
    pub(crate) fn announce(&self, reader: &Reader<'_>) {
        if let Some(start) = self.lock().get_mut(&reader.partition) {
            start.lower(reader.added);
        }
    }

    /// Takes over what was found out by a batch that is committed.
    pub(crate) fn advance(&self, reader: Reader<'_>) {
        if let Some(mut start) = reader.start.get() {
            start.lower(reader.added);
            self.lock().insert(reader.partition, start);
        }
    }

    /// Knows nothing about `partition` any more.
    pub(crate) fn reset(&self, partition: PartitionId) {
        self.lock().remove(&partition);
    }

    /// Where `partition` starts, as far as is known.
    #[cfg(test)]
    pub(crate) fn of(&self, partition: PartitionId) -> (WallMillis, Scn) {
        let start = self.lock().get(&partition).copied().unwrap_or_default();
        (start.expiry, start.bookmark)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartitionId, Start>> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

/// Reads for one batch, and finds out where the partition will start after it.
pub(crate) struct Reader<'a> {
    engine: &'a Engine,
    partition: PartitionId,
    /// `None` if the batch has nothing to do with it.
    start: Cell<Option<Start>>,
    /// The oldest of what the batch adds.
    added: Start,
    view: OnceCell<FjallView>,
}

impl Reader<'_> {
    /// Whether the batch moves where the partition starts.
    pub(crate) fn touches(&self) -> bool {
        self.start.get().is_some()
    }

    fn view(&self) -> &FjallView {
        self.view.get_or_init(|| self.engine.view(self.partition))
    }

    fn start(&self) -> Start {
        self.start.get().unwrap_or_default()
    }
}

impl StoredEntries for Reader<'_> {
    fn expired(&self, before: WallMillis, count_max: usize) -> Result<Vec<Expiring>, StoreError> {
        let start = self.start();
        let expired = self.view().expiring(start.expiry, before, count_max)?;
        // What was found will be gone; if there was more, some of it in the last one's millisecond.
        let expiry = match expired.last() {
            Some(last) if expired.len() == count_max => last.expires,
            Some(_) | None => start.expiry.max(before),
        };
        self.start.set(Some(Start { expiry, ..start }));
        Ok(expired)
    }

    fn expiry_of(&self, key: &RememberedKey) -> Result<Option<WallMillis>, StoreError> {
        Ok(self.view().remembered(key)?.map(|remembered| remembered.expires))
    }

    fn remembered_bytes(&self) -> Result<u64, StoreError> {
        self.view().remembered_bytes()
    }

    fn bookmarks_below(&self, scn: Scn) -> Result<Vec<Scn>, StoreError> {
        let start = self.start();
        self.start.set(Some(Start { bookmark: start.bookmark.max(scn), ..start }));
        self.view().bookmarks(start.bookmark, scn)
    }
}
