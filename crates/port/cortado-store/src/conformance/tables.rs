//! What a partition keeps beside documents: remembered answers and bookmarks.

use super::Subject;
use super::samples::*;
use crate::{Batch, Remembered, Store, View};
use bytes::Bytes;
use cortado_model::{Scn, WallMillis};

fn name(number: u64) -> Bytes {
    Bytes::from(format!("key-{number}"))
}

fn answer(number: u64) -> Bytes {
    Bytes::from(format!("answer-{number}"))
}

fn remember(sequence: u64, numbers: std::ops::Range<u64>) -> Batch {
    let remember = numbers.map(|n| (WallMillis(n), name(n), answer(n))).collect();
    Batch { remember, ..batch(sequence) }
}

fn forget(sequence: u64, before_ms: u64) -> Batch {
    Batch { forget_before: Some(WallMillis(before_ms)), ..batch(sequence) }
}

/// Which of the keys 0 to 99 a store still remembers.
fn remembered(store: &dyn Store) -> Vec<u64> {
    let view = view(store, HOME);
    let found: Vec<u64> = (0..100).filter(|n| ok(view.remembered(&name(*n))).is_some()).collect();
    let mut names: Vec<_> = found.iter().map(|n| name(*n)).collect();
    names.sort();
    let listed: Vec<_> = view.remembered_keys().map(ok).collect();
    assert_eq!(listed, names, "the list of keys is what can be looked up");
    found
}

/// An answer comes back with its time; the empty key and empty answers are keys and answers.
pub fn answers_are_remembered(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, HOME, remember(1, 10..12));
    let empty = (WallMillis(12), Bytes::new(), Bytes::new());
    apply(store, HOME, Batch { remember: vec![empty], ..batch(2) });
    subject.reopen();
    let view = view(subject.store(), HOME);
    let want = |n| Some(Remembered { time: WallMillis(n), answer: answer(n) });
    assert_eq!(ok(view.remembered(b"key-10")), want(10));
    assert_eq!(ok(view.remembered(b"key-11")), want(11));
    assert_eq!(ok(view.remembered(b"key-1")), None);
    let empty = Remembered { time: WallMillis(12), answer: Bytes::new() };
    assert_eq!(ok(view.remembered(b"")), Some(empty));
}

/// Old keys go, the oldest first, no more at once than twice what comes, and never a young one.
pub fn forgetting_is_bounded_and_oldest_first(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, HOME, remember(1, 0..10));
    // Nothing is old enough.
    apply(store, HOME, forget(2, 0));
    assert_eq!(remembered(store), (0..10).collect::<Vec<_>>());
    // A batch that remembers nothing forgets one.
    apply(store, HOME, forget(3, 8));
    assert_eq!(remembered(store), (1..10).collect::<Vec<_>>());
    // One that remembers two forgets up to four.
    let both = Batch { forget_before: Some(WallMillis(8)), ..remember(4, 20..22) };
    apply(store, HOME, both);
    let left: Vec<u64> = (5..10).chain(20..22).collect();
    assert_eq!(remembered(store), left);
    subject.reopen();
    // One by one, until only what is young enough is left.
    for sequence in 5..10 {
        apply(subject.store(), HOME, forget(sequence, 8));
    }
    assert_eq!(remembered(subject.store()), [8, 9, 20, 21]);
    let entries = entries(&*view(subject.store(), HOME)).len();
    assert_eq!(entries, 8, "each of the four by key and by time, and nothing else");
}

/// Forgetting the first time of a key that was remembered again leaves its second answer.
pub fn a_key_that_came_again_outlives_its_first_time(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, HOME, remember(1, 1..2));
    let again = vec![(WallMillis(50), name(1), answer(51))];
    apply(store, HOME, Batch { remember: again, ..batch(2) });
    apply(store, HOME, forget(3, 40));
    let second = Remembered { time: WallMillis(50), answer: answer(51) };
    assert_eq!(ok(view(store, HOME).remembered(&name(1))), Some(second));
    assert_eq!(entries(&*view(store, HOME)).len(), 2);

    // In one batch: what it remembers outlasts what it forgets.
    let again = vec![(WallMillis(90), name(1), answer(91))];
    let forget_before = Some(WallMillis(80));
    apply(store, HOME, Batch { remember: again, forget_before, ..batch(4) });
    let third = Remembered { time: WallMillis(90), answer: answer(91) };
    assert_eq!(ok(view(store, HOME).remembered(&name(1))), Some(third));
    assert_eq!(entries(&*view(store, HOME)).len(), 2);

    apply(store, HOME, forget(5, 100));
    assert_eq!(entries(&*view(store, HOME)), []);
}

fn mark(sequence: u64, marks: &[u64]) -> Batch {
    let bookmarks = marks.iter().map(|n| (scn(*n), answer(*n))).collect();
    Batch { bookmarks, ..batch(sequence) }
}

#[track_caller]
fn check_bookmark(view: &dyn View, at: Scn, want: Option<u64>) {
    assert_eq!(ok(view.bookmark(at)), want.map(|n| (scn(n), answer(n))));
}

/// The bookmark of a position is the last one at or before it.
pub fn bookmarks_are_found_from_above(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, HOME, mark(1, &[10, 20]));
    apply(store, HOME, mark(2, &[300]));
    let view = view(store, HOME);
    check_bookmark(&*view, Scn::ZERO, None);
    check_bookmark(&*view, scn(9), None);
    check_bookmark(&*view, scn(10), Some(10));
    check_bookmark(&*view, scn(19), Some(10));
    check_bookmark(&*view, scn(20), Some(20));
    check_bookmark(&*view, scn(299), Some(20));
    check_bookmark(&*view, scn(300), Some(300));
    check_bookmark(&*view, Scn::opening(cortado_model::Generation::MAX), Some(300));
}

/// Trimming drops the bookmarks below a position, those that the batch itself brings included.
pub fn bookmarks_are_trimmed(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, HOME, mark(1, &[10, 20, 30]));
    let trim_bookmarks_below = Some(scn(20));
    apply(store, HOME, Batch { trim_bookmarks_below, ..mark(2, &[15, 40]) });
    subject.reopen();
    let store = subject.store();
    let view_now = view(store, HOME);
    check_bookmark(&*view_now, scn(19), None);
    check_bookmark(&*view_now, scn(25), Some(20));
    check_bookmark(&*view_now, scn(99), Some(40));
    // Trimming lower than before, and everything.
    apply(store, HOME, Batch { trim_bookmarks_below: Some(scn(5)), ..mark(3, &[7]) });
    check_bookmark(&*view(store, HOME), scn(8), Some(7));
    apply(store, HOME, Batch { trim_bookmarks_below: Some(scn(100)), ..batch(4) });
    assert_eq!(entries(&*view(store, HOME)), []);
}
