//! Forgetting must stay short however much was forgotten before.

use super::*;
use cortado_model::{Remembered, RememberedKey};

fn remember(expires_ms: u64, name: &str) -> (RememberedKey, Remembered) {
    let (time, expires) = (WallMillis(0), WallMillis(expires_ms));
    let answer = Bytes::from_static(b"yes");
    (RememberedKey::new("r", name.as_bytes(), 0), Remembered { time, expires, answer })
}

/// Remembers one answer per batch and forgets those that expired 100 batches ago.
fn run(store: &FjallStore, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        let mut batch = batch(1, 10);
        batch.remember.push(remember(sequence, &format!("k{sequence}")));
        batch.forget_before = Some(WallMillis(sequence.saturating_sub(100)));
        batch.bookmarks.push((scn(sequence), Bytes::from_static(b"state")));
        batch.trim_bookmarks_below = Some(scn(sequence.saturating_sub(100)));
        store.apply_one(HOME, batch).unwrap();
    }
}

/// What is remembered and bookmarked, and where the store begins to look for it.
#[track_caller]
fn check(store: &FjallStore, from: u64, to: u64) {
    let view = store.engine.view(HOME);
    let all = view.expiring(WallMillis(0), WallMillis(u64::MAX), 1_000).unwrap();
    let times: Vec<u64> = all.into_iter().map(|found| found.expires.0).collect();
    assert_eq!(times, (from..=to).collect::<Vec<_>>());
    let bookmarks = view.bookmarks(Scn::ZERO, scn(u64::from(u32::MAX))).unwrap();
    assert_eq!(bookmarks, (from..=to).map(scn).collect::<Vec<_>>());
    let (expiry, bookmark) = store.starts.of(HOME);
    // The millisecond of the last one forgotten may be looked at once more.
    assert!((from - 1..=from).contains(&expiry.0), "{expiry:?}");
    assert_eq!(bookmark, scn(from));
    let name = RememberedKey::new("r", b"k", 0);
    let found = store.find(HOME, &[], &[name]).unwrap();
    assert_eq!(found.first_expiry, Some(WallMillis(from)));
}

#[test]
fn the_start_follows_what_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    run(&store, 1..=1_000);
    check(&store, 900, 1_000);
    // A new process finds out again.
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.starts.of(HOME), (WallMillis(0), Scn::ZERO));
    run(&store, 1_001..=1_002);
    check(&store, 902, 1_002);
}

#[test]
fn what_is_older_than_the_start_is_still_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    run(&store, 1..=300);
    let mut old = batch(1, 10);
    old.remember = vec![remember(5, "old"), remember(6, "older")];
    old.bookmarks = vec![(scn(7), Bytes::from_static(b"old"))];
    store.apply_one(HOME, old).unwrap();
    assert_eq!(store.starts.of(HOME), (WallMillis(5), scn(7)));
    run(&store, 301..=302);
    check(&store, 202, 302);
}

/// Between its commit and its end, a batch can be seen: a find must not look above what it brings.
#[test]
fn the_start_is_lowered_before_a_batch_can_be_seen() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    run(&store, 1..=300);
    let mut old = batch(1, 10);
    old.remember = vec![remember(5, "old")];
    let reader = store.starts.reader(&store.engine, HOME, &old);
    assert_eq!(store.starts.view(&store.engine, HOME).1, WallMillis(200));
    store.starts.announce(&reader);
    assert_eq!(store.starts.view(&store.engine, HOME).1, WallMillis(5));
    // If it fails then, nothing is wrong but that more is looked through, until the next one.
    run(&store, 301..=302);
    check(&store, 202, 302);
}

#[test]
fn a_new_partition_of_the_same_name_starts_anew() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    run(&store, 1..=300);
    store.remove(HOME).unwrap();
    assert_eq!(store.starts.of(HOME), (WallMillis(0), Scn::ZERO));
    run(&store, 1..=150);
    check(&store, 50, 150);
}

#[test]
fn a_tie_at_the_end_of_a_portion_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut many = batch(1, 10);
    many.remember = ["a", "b", "c"].map(|name| remember(7, name)).to_vec();
    store.apply_one(HOME, many).unwrap();
    for left in [2, 1, 0, 0] {
        let forget_before = Some(WallMillis(8));
        store.apply_one(HOME, Batch { forget_before, ..batch(2, 10) }).unwrap();
        let view = store.engine.view(HOME);
        let all = view.expiring(WallMillis(0), WallMillis(100), 10).unwrap();
        assert_eq!(all.len(), left);
    }
}
