//! Snapshots: removing, and installing what another replica has.

use super::Subject;
use super::samples::*;
use crate::{MemoryStore, Store, StoreError, View, digest};
use bytes::Bytes;
use cortado_model::{
    Batch, Entry, EntryChange, EntryName, IndexId, PartitionId, Space, WallMillis,
};

const COPY: PartitionId = partition(7, 2);

/// A batch with an entry of each kind.
fn everything(sequence: u64, paths: &[&str]) -> Batch {
    let mut batch = puts(sequence, paths);
    batch.remember.push((remembered_key("k"), answer(sequence)));
    let place = Bytes::from_static(b"place");
    let names = [
        EntryName::Index { index: IndexId(1), place },
        EntryName::Expiry { time: WallMillis(sequence), table: TABLE, key: key("a") },
    ];
    let value = Some(Bytes::from_static(b"value"));
    batch.entries = names.map(|name| EntryChange { name, value: value.clone() }).to_vec();
    batch.bookmarks.push((scn(sequence), Bytes::from_static(b"state")));
    batch
}

fn install(
    store: &dyn Store,
    partition: PartitionId,
    entries: Vec<Result<Entry, StoreError>>,
) -> Result<(), StoreError> {
    store.install(partition, &mut entries.into_iter(), Bytes::from_static(b"77"))
}

/// Removing takes every kind of entry, can be repeated, and lets the partition begin anew.
pub fn a_removed_partition_is_empty(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, COPY, everything(1, &["stays"]));
    ok(store.remove(HOME));
    for sequence in [1, 2] {
        apply(store, HOME, everything(sequence, &["a", "b/c"]));
        for _ in 0..2 {
            ok(store.remove(HOME));
            assert_eq!(ok(store.partitions()), [COPY]);
            assert_eq!(ok(store.get(HOME, TABLE, &key("a"))), None);
            let view = view(store, HOME);
            assert_eq!(checkpoint(&*view), None);
            assert_eq!(entries(&*view), []);
        }
    }
    subject.reopen();
    let store = subject.store();
    assert_eq!(ok(store.partitions()), [COPY]);
    apply(store, HOME, puts(9, &["new"]));
    assert_eq!(paths(&*view(store, HOME), &whole(&[])), ["new"]);
    assert_eq!(paths(&*view(store, COPY), &whole(&[])), ["stays"]);
}

/// A snapshot carries a partition whole, from another implementation and back to it.
pub fn an_installed_snapshot_is_the_partition(subject: &mut dyn Subject) {
    let store = subject.store();
    let paths: Vec<String> = (0..2_000).map(|n| format!("p{n:04}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let other = MemoryStore::new();
    apply(&other, COPY, everything(1, &paths));
    // What the partition holds already must go.
    apply(store, HOME, everything(5, &["old", "p0001/old", "zzz"]));

    let source = view(&other, COPY);
    ok(store.install(HOME, &mut source.entries(None), Bytes::from_static(b"1")));
    subject.reopen();
    let store = subject.store();
    let installed = view(store, HOME);
    assert_eq!(checkpoint(&*installed), Some(1));
    assert_eq!(entries(&*installed), entries(&*source));
    let horizon = WallMillis(0);
    assert_eq!(
        ok(digest(installed.entries(None), horizon)),
        ok(digest(source.entries(None), horizon))
    );
    assert_eq!(ok(installed.bookmark(scn(9))).map(|found| found.0), Some(scn(1)));
    assert_eq!(ok(installed.remembered(&remembered_key("k"))), Some(answer(1)));

    // And it goes on: the next batch, and forgetting what came with the snapshot.
    let forget_before = Some(WallMillis(102));
    apply(store, HOME, Batch { forget_before, ..puts(2, &["p0001"]) });
    assert_eq!(ok(store.get(HOME, TABLE, &key("p0001"))), Some(document(2, "p0001")));
    assert_eq!(ok(view(store, HOME).remembered(&remembered_key("k"))), None);
    assert_eq!(ok(view(store, HOME).remembered_bytes()), 0);
    // An empty snapshot is one too.
    ok(store.install(HOME, &mut std::iter::empty(), Bytes::from_static(b"3")));
    assert_eq!(entries(&*view(store, HOME)), []);
    assert_eq!(checkpoint(&*view(store, HOME)), Some(3));
}

/// An install whose source breaks off leaves no checkpoint and no entry, now and after a restart.
pub fn a_broken_install_leaves_no_checkpoint(subject: &mut dyn Subject) {
    let other = MemoryStore::new();
    let paths: Vec<String> = (0..500).map(|n| format!("p{n:04}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    apply(&other, COPY, puts(1, &paths));
    let broken = || StoreError::Failed { why: String::from("the source went away") };
    for good in [0, 1, 499] {
        apply(subject.store(), HOME, puts(5, &["old"]));
        apply(subject.store(), COPY, puts(5, &["other"]));
        let source = entries(&*view(&other, COPY)).into_iter().take(good).map(Ok);
        let entries_then_error: Vec<_> = source.chain([Err(broken())]).collect();
        assert_eq!(install(subject.store(), HOME, entries_then_error), Err(broken()));
        for _ in 0..2 {
            let store = subject.store();
            assert_eq!(ok(store.partitions()), [COPY]);
            assert_eq!(checkpoint(&*view(store, HOME)), None);
            assert_eq!(entries(&*view(store, HOME)), []);
            assert_eq!(ok(store.get(HOME, TABLE, &key("old"))), None);
            subject.reopen();
        }
    }
    // It can be repeated.
    ok(subject.store().install(
        HOME,
        &mut view(&other, COPY).entries(None),
        Bytes::from_static(b"1"),
    ));
    assert_eq!(entries(&*view(subject.store(), HOME)).len(), 500);
}

/// Entries that come twice, backwards, of no known kind, or a checkpoint among them are refused.
pub fn a_snapshot_out_of_order_is_refused(subject: &mut dyn Subject) {
    let other = MemoryStore::new();
    apply(&other, COPY, puts(1, &["a", "b"]));
    let good = entries(&*view(&other, COPY));
    let [first, second] = [good[0].clone(), good[1].clone()];
    let alien =
        |key: &'static [u8]| Entry { key: Bytes::from_static(key), value: first.value.clone() };
    let torn = Entry { key: second.key.clone(), value: second.value.slice(..10) };
    let bad = [
        vec![second.clone(), first.clone()],
        vec![first.clone(), first.clone()],
        vec![first.clone(), alien(b"")],
        vec![first.clone(), alien(b"\x09key")],
        vec![first.clone(), alien(&[Space::Checkpoint as u8])],
        vec![first.clone(), alien(&[Space::InstallProgress as u8])],
        vec![first.clone(), alien(b"\x50short")],
        vec![first.clone(), alien(b"\x40no idempotency key")],
        vec![first.clone(), torn],
    ];
    for list in bad {
        let store = subject.store();
        let result = install(store, HOME, list.into_iter().map(Ok).collect());
        assert!(matches!(result, Err(StoreError::Damaged { .. })), "{result:?}");
        assert_eq!(checkpoint(&*view(store, HOME)), None);
        assert_eq!(entries(&*view(store, HOME)), []);
    }
}

/// A snapshot that breaks off goes on where it ended, after a restart too; nothing of it counts
/// before its end.
pub fn an_installation_goes_on_where_it_broke_off(subject: &mut dyn Subject) {
    let other = MemoryStore::new();
    let paths: Vec<String> = (0..4_000).map(|n| format!("p{n:04}/{}", "x".repeat(200))).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    apply(&other, COPY, everything(1, &paths));
    let source = view(&other, COPY);
    let all = entries(&*source);
    apply(subject.store(), HOME, puts(5, &["old"]));

    let mut installed = 0;
    for count in [1, 1_500, 3_000] {
        let store = subject.store();
        let mut installer = ok(store.installer(HOME, b"snapshot 1"));
        let after = installer.after().map(<[u8]>::to_vec);
        let done = all.iter().take_while(|entry| after.as_deref() >= Some(&entry.key[..])).count();
        assert!(done >= installed, "{done}: what was there is there");
        assert_eq!(after.as_deref(), done.checked_sub(1).map(|last| &all[last].key[..]));
        for entry in source.entries(after.as_deref()).take(count - done.min(count)) {
            ok(installer.put(ok(entry)));
        }
        installed = done;
        drop(installer);
        assert_eq!(ok(store.partitions()), []);
        assert_eq!(checkpoint(&*view(store, HOME)), None);
        assert_eq!(ok(store.get(HOME, TABLE, &key("old"))), None);
        subject.reopen();
    }
    assert!(installed > 0, "1,500 entries are enough to keep some of them");
    if let Some(crashed) = subject.after_crash() {
        finish_installation(&*crashed, &*source, &all);
    }
    finish_installation(subject.store(), &*source, &all);
    subject.reopen();
    assert_eq!(entries(&*view(subject.store(), HOME)), all);
    apply(subject.store(), HOME, puts(2, &["new"]));
    assert_eq!(checkpoint(&*view(subject.store(), HOME)), Some(2));
}

fn finish_installation(store: &dyn Store, source: &dyn View, all: &[Entry]) {
    let mut installer = ok(store.installer(HOME, b"snapshot 1"));
    let after = installer.after().map(<[u8]>::to_vec);
    for entry in source.entries(after.as_deref()) {
        ok(installer.put(ok(entry)));
    }
    ok(installer.finish(Bytes::from_static(b"1")));
    let installed = view(store, HOME);
    assert_eq!(checkpoint(&*installed), Some(1));
    assert_eq!(entries(&*installed), all);
}

/// What was installed of another snapshot, or before a remove, is not gone on from.
pub fn an_installation_of_another_snapshot_begins_anew(subject: &mut dyn Subject) {
    let other = MemoryStore::new();
    apply(&other, COPY, puts(1, &["a", "b"]));
    let good = entries(&*view(&other, COPY));
    let store = subject.store();
    let begin = |name: &[u8]| {
        let mut installer = ok(store.installer(HOME, name));
        assert_eq!(installer.after(), None);
        ok(installer.put(good[0].clone()));
    };
    begin(b"one");
    begin(b"other");
    ok(store.remove(HOME));
    begin(b"other");
    ok(store.remove(HOME));
    let installer = ok(store.installer(HOME, b"empty"));
    ok(installer.finish(Bytes::from_static(b"3")));
    assert_eq!((checkpoint(&*view(store, HOME)), entries(&*view(store, HOME))), (Some(3), vec![]));

    // Out of order, and of the sender's own.
    let mut installer = ok(store.installer(HOME, b"bad"));
    ok(installer.put(good[1].clone()));
    let refused = installer.put(good[0].clone());
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    drop(installer);
    assert_eq!(checkpoint(&*view(store, HOME)), None);
}
