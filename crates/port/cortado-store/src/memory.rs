//! A store in memory, for tests and the simulator: it fails and loses what it is told to.
//!
//! Deterministic: no thread, no clock, no randomness of its own. Start reading at [`MemoryStore`].

use crate::changes::{KeyChange, StoredEntries, changes_of};
use crate::encoding::{
    Expiring, bookmark_scn, check_snapshot_entry, expiring, parse_bytes, parse_document,
    parse_progress, parse_remembered, progress_value,
};
use crate::{
    EntryIterator, Installer, Store, StoreError, StoreTraits, View, assert_distinct, needs_no_room,
};
use bytes::Bytes;
use cortado_model::{
    Batch, DocumentKey, Entry, EntryKey, EntryRange, Findings, PartitionId, Remembered,
    RememberedKey, Scn, Space, StoredDocument, TableId, WallMillis, successor,
};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

/// A whole store in memory.
///
/// What was applied since the last [`sync`](Store::sync) can be lost by a [`crash`](Self::crash),
/// for each partition back to any batch boundary. The first batch after a view was taken, while
/// that lives, costs a copy of the partition's map.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

/// What goes wrong, until told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `apply` of what needs room, `remove`, `install` and `sync` answer [`StoreError::Full`];
    /// reads go on.
    Full,
    /// [`has_room`](Store::has_room) answers no; everything works.
    Low,
    /// Everything answers [`StoreError::Failed`].
    Failed,
    /// Everything answers [`StoreError::Damaged`].
    Damaged,
}

impl MemoryStore {
    /// An empty store without fault.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Begins or ends a fault. Views that exist are not touched by it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
        self.state().writes_before_fault = 0;
    }

    /// Begins a fault after `count` further calls of `apply`, `remove` and `install` have worked.
    pub fn set_fault_after(&self, count: usize, fault: Fault) {
        self.state().fault = Some(fault);
        self.state().writes_before_fault = count;
    }

    /// How many steps of `partition` a crash could lose now.
    ///
    /// A batch is one step, so are a remove and each entry that an installer puts; an install is
    /// two, as it removes first.
    pub fn steps_not_synced(&self, partition: PartitionId) -> usize {
        self.state().partitions.get(&partition).map_or(0, |replica| replica.undo.len())
    }

    /// Loses the newest steps of each partition and ends every fault: a crash and a new start.
    ///
    /// * `lose`: asked for each partition with the number of its steps that can be lost; answers
    ///   how many are. More than there are is all of them.
    pub fn crash(&self, mut lose: impl FnMut(PartitionId, usize) -> usize) {
        let mut state = self.state();
        state.fault = None;
        for (partition, replica) in &mut state.partitions {
            let count = replica.undo.len();
            for _ in 0..lose(*partition, count).min(count) {
                replica.step_back();
            }
            // A half-done install or remove is finished by the new start, unless it can go on.
            let is_kept = [checkpoint_key(), progress_key()];
            if !is_kept.iter().any(|key| replica.entries.contains_key(key)) {
                replica.entries = Arc::default();
            }
            // What is left was read back from the disk.
            replica.undo.clear();
        }
        state.partitions.retain(|_, replica| !replica.entries.is_empty());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

type Entries = BTreeMap<Bytes, Bytes>;

#[derive(Default)]
struct State {
    partitions: BTreeMap<PartitionId, Replica>,
    fault: Option<Fault>,
    writes_before_fault: usize,
}

impl State {
    fn view(&self, partition: PartitionId) -> MemoryView {
        let replica = self.partitions.get(&partition);
        MemoryView(replica.map(|replica| Arc::clone(&replica.entries)).unwrap_or_default())
    }

    fn check_read(&self) -> Result<(), StoreError> {
        match self.fault {
            Some(fault) if self.writes_before_fault == 0 => match fault {
                Fault::Full | Fault::Low => Ok(()),
                Fault::Failed => Err(StoreError::Failed { why: String::from("told to") }),
                Fault::Damaged => Err(StoreError::Damaged { why: String::from("told to") }),
            },
            Some(_) | None => Ok(()),
        }
    }

    fn check_sync(&self) -> Result<(), StoreError> {
        self.check_read()?;
        match self.fault {
            Some(Fault::Full) if self.writes_before_fault == 0 => {
                Err(StoreError::Full { why: String::from("told to") })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// As [`check_write`](Self::check_write), for what a full store takes.
    fn check_urgent_write(&mut self) -> Result<(), StoreError> {
        match self.fault {
            Some(Fault::Full) => Ok(()),
            Some(_) | None => self.check_write(),
        }
    }

    fn check_write(&mut self) -> Result<(), StoreError> {
        self.check_sync()?;
        self.writes_before_fault = self.writes_before_fault.saturating_sub(1);
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Replica {
    entries: Arc<Entries>,
    /// How to get back from each step since the last sync, the newest last.
    undo: VecDeque<Undo>,
}

/// Steps of a partition that can be lost. Older ones count as synced, so that a long run without
/// a sync does not keep all of its history.
const UNDO_STEPS_MAX: usize = 4_096;

#[derive(Clone)]
enum Undo {
    /// Keys that a batch changed, with what they held before.
    Keys(Vec<(Bytes, Option<Bytes>)>),
    /// Everything, as it was before a remove or an install.
    All(Arc<Entries>),
}

impl Replica {
    /// Does what a batch does, in one step.
    fn change(&mut self, changes: Vec<KeyChange>) {
        let entries = Arc::make_mut(&mut self.entries);
        let mut changed = Vec::with_capacity(changes.len());
        for change in changes {
            let key = Bytes::from(change.key);
            changed.push((key.clone(), set(entries, key, change.value)));
        }
        self.remember_step(Undo::Keys(changed));
    }

    fn remember_step(&mut self, undo: Undo) {
        if self.undo.len() == UNDO_STEPS_MAX {
            self.undo.pop_front();
        }
        self.undo.push_back(undo);
    }

    fn step_back(&mut self) {
        match self.undo.pop_back() {
            None => {}
            Some(Undo::All(entries)) => self.entries = entries,
            Some(Undo::Keys(changed)) => {
                let entries = Arc::make_mut(&mut self.entries);
                // Backwards, since a key may have changed twice.
                for (key, before) in changed.into_iter().rev() {
                    set(entries, key, before);
                }
            }
        }
    }

    fn replace(&mut self, entries: Entries) {
        let before = std::mem::replace(&mut self.entries, Arc::new(entries));
        self.remember_step(Undo::All(before));
    }
}

/// Writes or removes one key and answers what it held.
fn set(entries: &mut Entries, key: Bytes, value: Option<Bytes>) -> Option<Bytes> {
    match value {
        Some(value) => entries.insert(key, value),
        None => entries.remove(&key),
    }
}

impl Store for MemoryStore {
    fn traits(&self) -> StoreTraits {
        // One lock guards all of it.
        StoreTraits { reads_inline: true, lanes: 1 }
    }

    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError> {
        let state = self.state();
        state.check_read()?;
        let replicas = state.partitions.iter();
        let replicas = replicas.filter(|(_, r)| r.entries.contains_key(&checkpoint_key()));
        Ok(replicas.map(|(partition, _)| *partition).collect())
    }

    fn apply(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        assert_distinct(&batches);
        let mut state = self.state();
        if batches.iter().all(|(partition, batch)| needs_no_room(*partition, batch)) {
            state.check_urgent_write()?;
        } else {
            state.check_write()?;
        }
        // All of it is computed before any of it is done.
        let mut computed = Vec::with_capacity(batches.len());
        for (partition, batch) in batches {
            computed.push((partition, changes_of(batch, &[], &state.view(partition))?));
        }
        for (partition, changes) in computed {
            state.partitions.entry(partition).or_default().change(changes);
        }
        Ok(())
    }

    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError> {
        let state = self.state();
        state.check_read()?;
        Ok(Box::new(state.view(partition)))
    }

    fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        let state = self.state();
        state.check_read()?;
        // Gone before the lock, so that no batch has to copy for its sake.
        state.view(partition).get(table, key)
    }

    fn find(
        &self,
        partition: PartitionId,
        keys: &[(TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Result<Findings, StoreError> {
        let state = self.state();
        state.check_read()?;
        state.view(partition).find(keys, names)
    }

    fn remove(&self, partition: PartitionId) -> Result<(), StoreError> {
        let mut state = self.state();
        state.check_write()?;
        if let Some(replica) = state.partitions.get_mut(&partition) {
            replica.replace(Entries::new());
        }
        Ok(())
    }

    fn install(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError> {
        self.remove(partition)?;
        let mut installed = Entries::new();
        for entry in entries {
            let entry = entry?;
            let last = installed.last_key_value().map(|(key, _)| &key[..]);
            check_snapshot_entry(last, &entry)?;
            installed.insert(entry.key, entry.value);
        }
        installed.insert(checkpoint_key(), checkpoint);
        let mut state = self.state();
        state.check_sync()?;
        state.partitions.entry(partition).or_default().replace(installed);
        Ok(())
    }

    fn installer<'a>(
        &'a self,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<Box<dyn Installer + 'a>, StoreError> {
        let mut state = self.state();
        state.check_write()?;
        let replica = state.partitions.entry(partition).or_default();
        let progress = replica.entries.get(&progress_key()).map(parse_progress).transpose()?;
        let after = match progress {
            Some((known, after)) if known == name => after,
            Some(_) | None => {
                let progress = (progress_key(), progress_value(name, None));
                replica.replace(Entries::from([progress]));
                None
            }
        };
        let name = Bytes::copy_from_slice(name);
        Ok(Box::new(MemoryInstaller { store: self, partition, name, after }))
    }

    fn has_room(&self) -> bool {
        self.state().fault != Some(Fault::Low)
    }

    fn check_space(&self) -> Result<(), StoreError> {
        self.state().check_sync()
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        state.check_sync()?;
        for replica in state.partitions.values_mut() {
            replica.undo.clear();
        }
        Ok(())
    }
}

struct MemoryInstaller<'a> {
    store: &'a MemoryStore,
    partition: PartitionId,
    name: Bytes,
    after: Option<Bytes>,
}

impl MemoryInstaller<'_> {
    /// Changes some keys in one step.
    fn change(&self, changes: [(Bytes, Option<Bytes>); 2]) -> Result<(), StoreError> {
        let mut state = self.store.state();
        state.check_write()?;
        let replica = state.partitions.entry(self.partition).or_default();
        let entries = Arc::make_mut(&mut replica.entries);
        let before = changes.map(|(key, value)| (key.clone(), set(entries, key, value)));
        replica.remember_step(Undo::Keys(before.to_vec()));
        Ok(())
    }
}

impl Installer for MemoryInstaller<'_> {
    fn after(&self) -> Option<&[u8]> {
        self.after.as_deref()
    }

    fn put(&mut self, entry: Entry) -> Result<(), StoreError> {
        check_snapshot_entry(self.after(), &entry)?;
        let progress = progress_value(&self.name, Some(&entry.key));
        self.after = Some(entry.key.clone());
        self.change([(entry.key, Some(entry.value)), (progress_key(), Some(progress))])
    }

    fn finish(self: Box<Self>, checkpoint: Bytes) -> Result<(), StoreError> {
        self.change([(progress_key(), None), (checkpoint_key(), Some(checkpoint))])
    }
}

fn progress_key() -> Bytes {
    EntryKey::InstallProgress.behind(&[]).into()
}

fn checkpoint_key() -> Bytes {
    EntryKey::Checkpoint.behind(&[]).into()
}

/// The entries of one partition at one moment.
struct MemoryView(Arc<Entries>);

impl MemoryView {
    fn entry(&self, key: EntryKey<'_>) -> Option<Bytes> {
        self.0.get(&key.behind(&[])[..]).cloned()
    }

    /// The entries from one's key up to, not including, another's.
    fn range(
        &self,
        from: EntryKey<'_>,
        below: EntryKey<'_>,
    ) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let range = Bytes::from(from.behind(&[]))..Bytes::from(below.behind(&[]));
        // An inverted range would panic.
        let range = (range.start < range.end).then_some(range);
        range.into_iter().flat_map(|range| self.0.range(range))
    }

    /// Answers in the order in which they expire, those that do before `before`.
    fn expiring(&self, before: WallMillis) -> impl Iterator<Item = Result<Expiring, StoreError>> {
        let at = |expires| EntryKey::RememberedByExpiry { expires, key: &[] };
        self.range(at(WallMillis(0)), at(before)).map(|(key, value)| expiring(key, value))
    }
}

impl View for MemoryView {
    fn checkpoint(&self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.entry(EntryKey::Checkpoint))
    }

    fn get(&self, table: TableId, key: &DocumentKey) -> Result<Option<StoredDocument>, StoreError> {
        let value = self.entry(EntryKey::Document { table, key: key.as_bytes() });
        value.map(parse_document).transpose()
    }

    fn scan<'a>(&'a self, range: &EntryRange) -> EntryIterator<'a> {
        let Some(keys) = range.keys(&[]) else { return Box::new(std::iter::empty()) };
        let found = self.0.range(Bytes::from(keys.start)..Bytes::from(keys.end)).map(entry_of);
        if range.descending { Box::new(found.rev()) } else { Box::new(found) }
    }

    fn remembered(&self, key: &RememberedKey) -> Result<Option<Remembered>, StoreError> {
        let value = self.entry(EntryKey::Remembered { key: key.as_bytes() });
        value.map(parse_remembered).transpose()
    }

    fn remembered_bytes(&self) -> Result<u64, StoreError> {
        self.entry(EntryKey::RememberedBytes).map_or(Ok(0), |value| parse_bytes(&value))
    }

    fn first_expiry(&self) -> Result<Option<WallMillis>, StoreError> {
        let first = self.expiring(WallMillis(u64::MAX)).next().transpose()?;
        Ok(first.map(|first| first.expires))
    }

    fn bookmark(&self, scn: Scn) -> Result<Option<(Scn, Bytes)>, StoreError> {
        let first = EntryKey::Bookmark { scn: Scn::ZERO };
        let behind = successor(&EntryKey::Bookmark { scn }.behind(&[]));
        let range = Bytes::from(first.behind(&[]))..Bytes::from(behind);
        let Some((key, value)) = self.0.range(range).next_back() else { return Ok(None) };
        Ok(Some((bookmark_scn(key)?, value.clone())))
    }

    fn entries<'a>(&'a self, after: Option<&[u8]>) -> EntryIterator<'a> {
        let after =
            after.map_or(Bound::Unbounded, |key| Bound::Excluded(Bytes::copy_from_slice(key)));
        let found = self.0.range((after, Bound::Unbounded));
        let own = [Space::InstallProgress as u8];
        Box::new(found.take_while(move |(key, _)| key[..] < own[..]).map(entry_of))
    }
}

impl StoredEntries for MemoryView {
    fn expired(&self, before: WallMillis, count_max: usize) -> Result<Vec<Expiring>, StoreError> {
        self.expiring(before).take(count_max).collect()
    }

    fn expiry_of(&self, key: &RememberedKey) -> Result<Option<WallMillis>, StoreError> {
        Ok(View::remembered(self, key)?.map(|remembered| remembered.expires))
    }

    fn remembered_bytes(&self) -> Result<u64, StoreError> {
        View::remembered_bytes(self)
    }

    fn bookmarks_below(&self, scn: Scn) -> Result<Vec<Scn>, StoreError> {
        let found = self.range(EntryKey::Bookmark { scn: Scn::ZERO }, EntryKey::Bookmark { scn });
        found.map(|(key, _)| bookmark_scn(key)).collect()
    }
}

fn entry_of((key, value): (&Bytes, &Bytes)) -> Result<Entry, StoreError> {
    Ok(Entry { key: key.clone(), value: value.clone() })
}

#[cfg(test)]
mod tests;
