//! Calls of `apply` with the batches of several partitions.

use super::Subject;
use super::samples::*;
use crate::{MemoryStore, Store, StoreError};
use bytes::Bytes;
use cortado_model::{Batch, EntryKey, PartitionId, WallMillis};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How the store may be called makes sense, and stays.
pub fn traits_hold(subject: &mut dyn Subject) {
    let traits = subject.store().traits();
    assert!(traits.lanes > 0, "no thread may apply: {traits:?}");
    apply(subject.store(), HOME, puts(1, &["a"]));
    subject.reopen();
    assert_eq!(subject.store().traits(), traits);
}

/// Batch `sequence` of a partition, with something of everything that a batch may hold.
fn rich(number: u32, sequence: u64) -> Batch {
    let own = format!("own/{sequence}");
    let mut batch = puts(sequence, &["common", &own]);
    batch.documents.push((TABLE, key(&format!("own/{}", sequence - 1)), None));
    batch.remember.push((remembered_key(&format!("k{number}-{sequence}")), answer(sequence)));
    // Of those that were remembered, two are old enough from the third batch on.
    batch.forget_before = Some(WallMillis(98 + sequence));
    batch.bookmarks.push((scn(sequence), Bytes::from(format!("state {number}"))));
    batch.trim_bookmarks_below = Some(scn(sequence - 1));
    batch
}

/// One call leaves of each partition what a call for each of them would, and shows all of it.
pub fn batches_of_many_partitions_show_with_their_call(subject: &mut dyn Subject) {
    let ids = (0..40).map(|n| partition(1 + n % 3, n * 7 % 40));
    let partitions: Vec<PartitionId> = ids.collect();
    let one_by_one = MemoryStore::new();
    let check = |store: &dyn Store| {
        for partition in &partitions {
            let (got, want) = (view(store, *partition), view(&one_by_one, *partition));
            assert_eq!(checkpoint(&*got), checkpoint(&*want), "{partition}");
            assert_eq!(entries(&*got), entries(&*want), "{partition}");
        }
    };
    for sequence in 1..=4 {
        let store = subject.store();
        let before = view(store, partitions[0]);
        let known = entries(&*before);
        // Not all of them every time.
        let some =
            partitions.iter().filter(|p| !(u64::from(p.number) + sequence).is_multiple_of(4));
        let batches = some.map(|partition| (*partition, rich(partition.number, sequence)));
        let batches: Vec<_> = batches.collect();
        for (partition, batch) in batches.clone() {
            apply(&one_by_one, partition, batch);
        }
        ok(store.apply(batches));
        check(store);
        assert_eq!(entries(&*before), known, "a view of before does not change");
    }
    subject.reopen();
    check(subject.store());
    assert_eq!(ok(subject.store().partitions()), ok(one_by_one.partitions()));
}

/// A call without batches changes nothing.
pub fn a_call_without_batches_changes_nothing(subject: &mut dyn Subject) {
    let store = subject.store();
    ok(store.apply(Vec::new()));
    assert_eq!(ok(store.partitions()), []);
    apply(store, HOME, puts(1, &["a"]));
    ok(store.apply(Vec::new()));
    assert_eq!((ok(store.partitions()), checkpoint(&*view(store, HOME))), (vec![HOME], Some(1)));
}

/// A partition that remembers an answer whose bytes are not counted: no batch can forget it.
fn install_contradiction(store: &dyn Store, partition: PartitionId) {
    let other = MemoryStore::new();
    let remember = vec![(remembered_key("k"), answer(1))];
    apply(&other, partition, Batch { remember, ..batch(1) });
    let counted = EntryKey::RememberedBytes.behind(&[]);
    let source = view(&other, partition);
    let mut without =
        source.entries(None).filter(|entry| entry.as_ref().is_ok_and(|entry| entry.key != counted));
    ok(store.install(partition, &mut without, Bytes::from_static(b"1")));
}

/// If one batch of a call cannot be applied, none of them is, wherever it stands.
pub fn a_refused_call_shows_none_of_its_batches(subject: &mut dyn Subject) {
    let (new, guilty) = (partition(7, 3), partition(7, 2));
    install_contradiction(subject.store(), guilty);
    apply(subject.store(), HOME, puts(1, &["a"]));
    let state = |store: &dyn Store| {
        let of = |partition| {
            let view = view(store, partition);
            (checkpoint(&*view), entries(&*view))
        };
        (ok(store.partitions()), of(HOME), of(new), of(guilty))
    };
    let before = state(subject.store());
    for place in 0..3 {
        let forget_before = Some(WallMillis(500));
        let mut batches = vec![(HOME, puts(2, &["b"])), (new, puts(2, &["b"]))];
        batches.insert(place, (guilty, Batch { forget_before, ..puts(2, &["b"]) }));
        let refused = subject.store().apply(batches);
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
        assert_eq!(state(subject.store()), before);
        subject.reopen();
        assert_eq!(state(subject.store()), before);
    }
    // The others are none the worse for it.
    let store = subject.store();
    ok(store.apply(vec![(HOME, puts(2, &["b"])), (new, puts(2, &["b"]))]));
    assert_eq!(ok(store.partitions()), [HOME, guilty, new]);
    assert_eq!(paths(&*view(store, HOME), &whole(&[])), ["a", "b"]);
    assert_eq!(paths(&*view(store, new), &whole(&[])), ["b"]);
}

/// A partition that comes twice in a call is a defect of the caller, and nothing is applied.
pub fn a_partition_comes_once_in_a_call(subject: &mut dyn Subject) {
    let store = subject.store();
    let other = partition(7, 2);
    let batches = vec![(HOME, puts(1, &["a"])), (other, puts(1, &["a"])), (HOME, puts(2, &["b"]))];
    let called = catch_unwind(AssertUnwindSafe(|| store.apply(batches)));
    assert!(called.is_err(), "two batches of one partition: {called:?}");
    assert_eq!(ok(store.partitions()), []);
    assert_eq!(entries(&*view(store, HOME)), []);
    // And it goes on.
    ok(store.apply(vec![(HOME, puts(1, &["a"])), (other, puts(1, &["a"]))]));
    assert_eq!(ok(store.partitions()), [HOME, other]);
}
