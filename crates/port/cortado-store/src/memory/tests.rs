//! The in-memory store against the suite, and the faults it can be told to have.

use super::*;
use crate::conformance::Subject;
use cortado_model::{DatabaseId, EntryChange, EntryName, Generation, IndexId, Sequence};

#[derive(Default)]
struct Memory(MemoryStore);

impl Subject for Memory {
    fn store(&self) -> &dyn Store {
        &self.0
    }

    fn reopen(&mut self) {
        self.0.crash(|_, _| 0);
    }

    fn after_crash(&self) -> Option<Box<dyn Store>> {
        let crashed = MemoryStore::new();
        crashed.state().partitions = self.0.state().partitions.clone();
        // Every partition keeps another part of what it could lose.
        crashed.crash(|partition, count| count / (partition.number as usize + 1));
        Some(Box::new(crashed))
    }
}

crate::conformance!(Memory::default());

const HOME: PartitionId = PartitionId { database: DatabaseId(1), number: 1 };
const OTHER: PartitionId = PartitionId { database: DatabaseId(1), number: 2 };

fn batch(sequence: u64) -> Batch {
    let scn = Scn::new(Generation(1), Sequence(sequence));
    let checkpoint = Bytes::from(sequence.to_string());
    Batch { bookmarks: vec![(scn, Bytes::new())], checkpoint, ..Batch::default() }
}

fn filled() -> MemoryStore {
    let store = MemoryStore::new();
    for sequence in 1..=5 {
        store.apply_one(HOME, batch(sequence)).unwrap();
        store.apply_one(OTHER, batch(sequence)).unwrap();
    }
    store
}

/// What is left: the checkpoint and the number of entries.
#[track_caller]
fn check(store: &MemoryStore, partition: PartitionId, want: Option<(&'static str, usize)>) {
    let view = store.view(partition).unwrap();
    let checkpoint = view.checkpoint().unwrap();
    let got = checkpoint.map(|checkpoint| (checkpoint, view.entries(None).count()));
    assert_eq!(got, want.map(|(text, count)| (Bytes::from_static(text.as_bytes()), count)));
}

#[test]
fn a_crash_goes_back_to_any_batch() {
    let store = filled();
    assert_eq!(store.steps_not_synced(HOME), 5);
    store.crash(|partition, count| if partition == HOME { 2 } else { count - 1 });
    check(&store, HOME, Some(("3", 3)));
    check(&store, OTHER, Some(("1", 1)));
    // What is left was on the disk.
    store.crash(|_, count| count);
    check(&store, HOME, Some(("3", 3)));
}

#[test]
fn a_crash_cannot_lose_what_was_synced() {
    let store = filled();
    store.sync().unwrap();
    store.apply_one(HOME, batch(6)).unwrap();
    store.crash(|_, _| usize::MAX);
    check(&store, HOME, Some(("5", 5)));
    check(&store, OTHER, Some(("5", 5)));
}

#[test]
fn a_crash_may_lose_everything() {
    let store = filled();
    store.crash(|_, count| count);
    check(&store, HOME, None);
    assert_eq!(store.partitions().unwrap(), []);
}

#[test]
fn a_crash_around_an_install_leaves_old_nothing_or_new() {
    for (lost, want) in [(0, Some(("9", 0))), (1, None), (2, Some(("5", 5)))] {
        let store = filled();
        store.install(HOME, &mut std::iter::empty(), Bytes::from_static(b"9")).unwrap();
        store.crash(|partition, _| if partition == HOME { lost } else { 0 });
        check(&store, HOME, want);
        check(&store, OTHER, Some(("5", 5)));
    }
}

#[test]
fn views_outlive_a_crash() {
    let store = filled();
    let view = store.view(HOME).unwrap();
    store.crash(|_, count| count);
    assert_eq!(view.checkpoint().unwrap(), Some(Bytes::from_static(b"5")));
    assert_eq!(view.entries(None).count(), 5);
}

#[test]
fn a_full_store_reads_and_recovers() {
    let store = filled();
    store.set_fault(Some(Fault::Full));
    let name = EntryName::Index { index: IndexId(1), place: Bytes::new() };
    let entries = vec![EntryChange { name, value: Some(Bytes::new()) }];
    let growing = Batch { entries, ..batch(6) };
    assert!(matches!(store.apply_one(HOME, growing.clone()), Err(StoreError::Full { .. })));
    assert!(matches!(store.check_space(), Err(StoreError::Full { .. })));
    assert!(matches!(store.remove(HOME), Err(StoreError::Full { .. })));
    assert!(matches!(store.sync(), Err(StoreError::Full { .. })));
    check(&store, HOME, Some(("5", 5)));
    store.set_fault(None);
    store.apply_one(HOME, batch(6)).unwrap();
    check(&store, HOME, Some(("6", 6)));
}

#[test]
fn a_failed_store_answers_nothing_until_it_is_opened_again() {
    let store = filled();
    store.set_fault_after(1, Fault::Failed);
    store.apply_one(HOME, batch(6)).unwrap();
    assert!(matches!(store.apply_one(HOME, batch(7)), Err(StoreError::Failed { .. })));
    assert!(matches!(store.view(HOME).err(), Some(StoreError::Failed { .. })));
    assert!(matches!(store.partitions(), Err(StoreError::Failed { .. })));
    store.crash(|_, _| 0);
    check(&store, HOME, Some(("6", 6)));
}

#[test]
fn an_install_that_fills_the_store_leaves_no_checkpoint() {
    let store = filled();
    store.set_fault_after(1, Fault::Full);
    let result = store.install(HOME, &mut std::iter::empty(), Bytes::from_static(b"9"));
    assert!(matches!(result, Err(StoreError::Full { .. })));
    check(&store, HOME, None);
}
