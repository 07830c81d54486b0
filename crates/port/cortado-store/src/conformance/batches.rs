//! Batches: atomic, in order, in their partition only.

use super::Subject;
use super::samples::*;
use bytes::Bytes;
use cortado_model::{Batch, EntryRange, PartitionId, TableId};

/// A partition that was never written to has no checkpoint and no entry, and is not listed.
pub fn an_unknown_partition_is_empty(subject: &mut dyn Subject) {
    let store = subject.store();
    assert_eq!(ok(store.partitions()), []);
    assert_eq!(ok(store.get(HOME, TABLE, &key("a"))), None);
    let view = view(store, HOME);
    assert_eq!(ok(view.checkpoint()), None);
    assert_eq!(ok(view.get(TABLE, &key("a"))), None);
    assert_eq!(ok(view.remembered(&remembered_key("k"))), None);
    assert_eq!((ok(view.remembered_bytes()), ok(view.first_expiry())), (0, None));
    assert_eq!(ok(view.bookmark(scn(9))), None);
    assert_eq!(paths(&*view, &whole(&[])), [""; 0]);
    assert_eq!(entries(&*view), []);
}

/// Every part of a batch is visible after `apply`, none was before.
pub fn a_batch_shows_whole(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut batch = puts(1, &["a", "b/c"]);
    batch.remember.push((remembered_key("k"), answer(5)));
    batch.bookmarks.push((scn(1), Bytes::from_static(b"state")));
    let before = view(store, HOME);
    apply(store, HOME, batch);
    assert_eq!(entries(&*before), []);

    let view = view(store, HOME);
    assert_eq!(checkpoint(&*view), Some(1));
    assert_eq!(ok(view.get(TABLE, &key("a"))), Some(document(1, "a")));
    assert_eq!(ok(view.get(TABLE, &key("b/c"))), Some(document(1, "b/c")));
    assert_eq!(ok(view.get(TABLE, &key("b"))), None);
    assert_eq!(ok(store.get(HOME, TABLE, &key("b/c"))), Some(document(1, "b/c")));
    assert_eq!(ok(store.get(HOME, TABLE, &key("b"))), None);
    assert_eq!(ok(view.remembered(&remembered_key("k"))), Some(answer(5)));
    assert_eq!(ok(view.bookmark(scn(1))), Some((scn(1), Bytes::from_static(b"state"))));
    assert_eq!(ok(store.partitions()), [HOME]);
}

/// A batch writes a key, removes it, writes it again: what it did last stays.
pub fn within_a_batch_the_later_change_wins(subject: &mut dyn Subject) {
    let store = subject.store();
    let put = |path, sequence, value| (TABLE, key(path), Some(document(sequence, value)));
    let remove = |path| (TABLE, key(path), None);
    let documents = vec![
        put("twice", 1, "first"),
        put("gone", 1, "first"),
        remove("back"),
        put("twice", 2, "second"),
        remove("gone"),
        put("back", 3, "here"),
    ];
    apply(store, HOME, Batch { documents, ..batch(3) });
    // The same must hold of what is read back from the disk.
    for _ in 0..2 {
        let view = view(subject.store(), HOME);
        assert_eq!(ok(view.get(TABLE, &key("twice"))), Some(document(2, "second")));
        assert_eq!(ok(view.get(TABLE, &key("gone"))), None);
        assert_eq!(ok(view.get(TABLE, &key("back"))), Some(document(3, "here")));
        assert_eq!(paths(&*view, &whole(&[])), ["back", "twice"]);
        drop(view);
        subject.reopen();
    }
}

/// A later batch replaces and removes what an earlier one wrote.
pub fn later_batches_overwrite(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, HOME, puts(1, &["a", "b", "c"]));
    apply(store, HOME, puts(2, &["b"]));
    apply(store, HOME, Batch { documents: vec![(TABLE, key("a"), None)], ..batch(3) });
    // Removing what is not there changes nothing.
    apply(store, HOME, Batch { documents: vec![(TABLE, key("a"), None)], ..batch(4) });
    let view = view(store, HOME);
    assert_eq!(ok(view.get(TABLE, &key("a"))), None);
    assert_eq!(ok(store.get(HOME, TABLE, &key("a"))), None);
    assert_eq!(ok(view.get(TABLE, &key("b"))), Some(document(2, "b")));
    assert_eq!(ok(view.get(TABLE, &key("c"))), Some(document(1, "c")));
    assert_eq!(checkpoint(&*view), Some(4));
}

/// A view shows the moment at which it was taken, whatever happens after.
pub fn views_do_not_change(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, HOME, puts(1, &["a", "b"]));
    let old = view(store, HOME);
    let old_entries = entries(&*old);
    let range = whole(&[]);
    let mut running = old.documents(&range);
    assert_eq!(running.next().map(|found| ok(found).0), Some(key("a")));

    let documents = vec![(TABLE, key("a"), None), (TABLE, key("ab"), Some(document(2, "ab")))];
    apply(store, HOME, Batch { documents, ..batch(2) });
    for sequence in 3..200 {
        apply(store, HOME, puts(sequence, &["b"]));
    }
    assert_eq!(running.next().map(|found| ok(found)), Some((key("b"), document(1, "b"))));
    assert!(running.next().is_none());
    drop(running);
    assert_eq!(checkpoint(&*old), Some(1));
    assert_eq!(ok(old.get(TABLE, &key("a"))), Some(document(1, "a")));
    assert_eq!(entries(&*old), old_entries);

    ok(store.remove(HOME));
    assert_eq!(entries(&*old), old_entries);
    assert_eq!(entries(&*view(store, HOME)), []);
}

/// Names that are prefixes of each other, as text or as bytes, do not mix partitions up.
pub fn partitions_do_not_see_each_other(subject: &mut dyn Subject) {
    let names = [(1, 0), (1, 1), (1, 10), (1, 255), (1, 256), (1, u32::MAX), (2, 0), (2, 1)];
    let names = names.into_iter().chain([(256, 1), (u32::MAX, u32::MAX)]);
    let partitions: Vec<PartitionId> = names.map(|(db, number)| partition(db, number)).collect();
    for (sequence, partition) in (1..).zip(&partitions) {
        let mut batch = puts(sequence, &["same"]);
        batch.bookmarks.push((scn(sequence), Bytes::from_static(b"b")));
        batch.remember.push((remembered_key("k"), answer(sequence)));
        apply(subject.store(), *partition, batch);
    }
    subject.reopen();
    let store = subject.store();
    assert_eq!(ok(store.partitions()), partitions);
    for (sequence, partition) in (1..).zip(&partitions) {
        let view = view(store, *partition);
        assert_eq!(checkpoint(&*view), Some(sequence));
        assert_eq!(ok(view.get(TABLE, &key("same"))), Some(document(sequence, "same")));
        assert_eq!(ok(view.bookmark(scn(99))).map(|found| found.0), Some(scn(sequence)));
        assert_eq!(ok(view.remembered(&remembered_key("k"))), Some(answer(sequence)));
        let what = "one document, one bookmark, one answer twice and what answers take";
        assert_eq!(entries(&*view).len(), 5, "{what}");
    }
    // Each still goes alone.
    ok(store.remove(partitions[2]));
    let left: Vec<_> = partitions.iter().copied().filter(|p| *p != partitions[2]).collect();
    assert_eq!(ok(store.partitions()), left);
    assert_eq!(entries(&*view(store, partitions[2])), []);
    assert!(left.iter().all(|partition| entries(&*view(store, *partition)).len() == 5));
}

/// The same key in two tables is two documents, and a scan stays in its table.
pub fn tables_do_not_see_each_other(subject: &mut dyn Subject) {
    let store = subject.store();
    let tables = [TableId(0), TableId(1), TableId(256), TableId(u32::MAX)];
    let put = |(sequence, table)| (table, key("a"), Some(document(sequence, "a")));
    let documents = (1..).zip(tables).map(put).collect();
    apply(store, HOME, Batch { documents, ..batch(1) });
    let view = view(store, HOME);
    for (sequence, table) in (1..).zip(tables) {
        let want = document(sequence, "a");
        assert_eq!(ok(view.get(table, &key("a"))), Some(want.clone()));
        for descending in [false, true] {
            let range = EntryRange { descending, ..EntryRange::documents(table, &[]) };
            let found: Vec<_> = view.documents(&range).map(|found| ok(found)).collect();
            assert_eq!(found, [(key("a"), want.clone())]);
        }
    }
    assert_eq!(ok(view.get(TableId(2), &key("a"))), None);
}

/// A document of the largest size, the longest key and an empty value are kept as they are.
pub fn big_documents_come_back_whole(subject: &mut dyn Subject) {
    let long = format!("{}/{}", "x".repeat(512), "y".repeat(512));
    let big = "0123456789abcdef".repeat(1 << 16);
    let put = |path: &str, value: &str| (TABLE, key(path), Some(document(1, value)));
    let documents = vec![put("big", &big), put(&long, "long"), put("empty", "")];
    apply(subject.store(), HOME, Batch { documents, ..batch(1) });
    subject.reopen();
    let store = subject.store();
    assert_eq!(ok(store.get(HOME, TABLE, &key("big"))), Some(document(1, &big)));
    assert_eq!(ok(store.get(HOME, TABLE, &key(&long))), Some(document(1, "long")));
    assert_eq!(ok(store.get(HOME, TABLE, &key("empty"))), Some(document(1, "")));
}
