//! What a partition keeps beside documents: remembered answers and bookmarks.

use super::Subject;
use super::samples::*;
use crate::{Store, View};
use bytes::Bytes;
use cortado_model::{Batch, Remembered, RememberedKey, Scn, WallMillis};

fn name(number: u64) -> RememberedKey {
    remembered_key(&format!("key-{number:02}"))
}

fn remember(sequence: u64, numbers: std::ops::Range<u64>) -> Batch {
    let remember = numbers.map(|n| (name(n), answer(n))).collect();
    Batch { remember, ..batch(sequence) }
}

/// Forgets what was remembered before a moment: it expires 100 ms later.
fn forget(sequence: u64, before_ms: u64) -> Batch {
    Batch { forget_before: Some(WallMillis(100 + before_ms)), ..batch(sequence) }
}

/// Which of the keys 0 to 99 a store still remembers.
fn remembered(store: &dyn Store) -> Vec<u64> {
    let view = view(store, HOME);
    let found: Vec<u64> = (0..100).filter(|n| ok(view.remembered(&name(*n))).is_some()).collect();
    let first = found.first().map(|first| answer(*first).expires);
    assert_eq!(ok(view.first_expiry()), first);
    assert_eq!(ok(store.find(HOME, &[], &[name(0)])).first_expiry, first);
    found
}

/// An answer comes back with its times; an empty answer is one.
pub fn answers_are_remembered(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, HOME, remember(1, 10..12));
    let empty = Remembered { answer: Bytes::new(), ..answer(12) };
    apply(store, HOME, Batch { remember: vec![(name(12), empty.clone())], ..batch(2) });
    subject.reopen();
    let view = view(subject.store(), HOME);
    assert_eq!(ok(view.remembered(&name(10))), Some(answer(10)));
    assert_eq!(ok(view.remembered(&name(11))), Some(answer(11)));
    assert_eq!(ok(view.remembered(&name(1))), None);
    assert_eq!(ok(view.remembered(&name(12))), Some(empty));
}

/// The same idempotency key of another resource, or of another operation of a bulk, is another one.
pub fn an_answer_belongs_to_a_resource_and_an_operation(subject: &mut dyn Subject) {
    let store = subject.store();
    let names = [("a", "k", 0), ("a", "k", 1), ("b", "k", 0), ("a", "l", 0), ("ak", "k", 0)];
    let names =
        names.map(|(resource, key, index)| RememberedKey::new(resource, key.as_bytes(), index));
    for (sequence, name) in (1..).zip(&names) {
        assert_eq!(ok(view(store, HOME).remembered(name)), None);
        apply(store, HOME, Batch { remember: vec![(name.clone(), answer(sequence))], ..batch(1) });
    }
    let view = view(store, HOME);
    for (sequence, name) in (1..).zip(&names) {
        assert_eq!(ok(view.remembered(name)), Some(answer(sequence)));
    }
}

/// Old answers go, the oldest first, no more at once than twice what comes, and never a live one.
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
    let both = Batch { remember: remember(4, 20..22).remember, ..forget(4, 8) };
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
    assert_eq!(entries, 9, "each of the four by key and by expiry, and what they take");
}

/// Each answer lives for as long as it says itself, whenever it was given.
pub fn an_answer_has_a_time_to_live_of_its_own(subject: &mut dyn Subject) {
    let store = subject.store();
    let short = Remembered { expires: WallMillis(20), ..answer(9) };
    apply(store, HOME, remember(1, 1..3));
    apply(store, HOME, Batch { remember: vec![(name(9), short)], ..batch(2) });
    assert_eq!(ok(view(store, HOME).first_expiry()), Some(WallMillis(20)));
    apply(store, HOME, Batch { forget_before: Some(WallMillis(21)), ..batch(3) });
    assert_eq!(remembered(store), [1, 2]);
}

/// What answers take is known exactly: after replacing, forgetting and opening again.
pub fn the_bytes_of_answers_are_counted(subject: &mut dyn Subject) {
    let bytes = |subject: &dyn Subject| ok(view(subject.store(), HOME).remembered_bytes());
    let one = |key: &RememberedKey, answer: &Remembered| {
        // Both entries: spaces, two times the key, the expiry and the number; the value.
        (1 + 1 + 2 * key.as_bytes().len() + 8 + 8 + 17 + answer.answer.len()) as u64
    };
    apply(subject.store(), HOME, remember(1, 10..13));
    let each = one(&name(10), &answer(10));
    assert_eq!(bytes(subject), 3 * each);
    subject.reopen();
    assert_eq!(bytes(subject), 3 * each);
    // One goes, none comes; then two go, one comes.
    apply(subject.store(), HOME, forget(2, 11));
    assert_eq!(bytes(subject), 2 * each);
    let longer = Remembered { answer: Bytes::from_static(b"a longer answer"), ..answer(20) };
    let remember = vec![(name(20), longer.clone())];
    apply(subject.store(), HOME, Batch { remember, ..forget(3, 13) });
    assert_eq!(bytes(subject), one(&name(20), &longer));
    apply(subject.store(), HOME, forget(4, 21));
    assert_eq!(bytes(subject), 0);
}

/// Forgetting the first time of a key that was remembered again leaves its second answer.
pub fn a_key_that_came_again_outlives_its_first_time(subject: &mut dyn Subject) {
    let store = subject.store();
    apply(store, HOME, remember(1, 1..2));
    apply(store, HOME, Batch { remember: vec![(name(1), answer(50))], ..batch(2) });
    apply(store, HOME, forget(3, 40));
    assert_eq!(ok(view(store, HOME).remembered(&name(1))), Some(answer(50)));
    assert_eq!(entries(&*view(store, HOME)).len(), 3);

    // In one batch: what it remembers outlasts what it forgets.
    apply(store, HOME, Batch { remember: vec![(name(1), answer(90))], ..forget(4, 80) });
    assert_eq!(ok(view(store, HOME).remembered(&name(1))), Some(answer(90)));
    assert_eq!(entries(&*view(store, HOME)).len(), 3);

    apply(store, HOME, forget(5, 100));
    assert_eq!(ok(view(store, HOME).remembered(&name(1))), None);
    assert_eq!(ok(view(store, HOME).remembered_bytes()), 0);
}

fn state(number: u64) -> Bytes {
    Bytes::from(format!("state-{number}"))
}

fn mark(sequence: u64, marks: &[u64]) -> Batch {
    let bookmarks = marks.iter().map(|n| (scn(*n), state(*n))).collect();
    Batch { bookmarks, ..batch(sequence) }
}

#[track_caller]
fn check_bookmark(view: &dyn View, at: Scn, want: Option<u64>) {
    assert_eq!(ok(view.bookmark(at)), want.map(|n| (scn(n), state(n))));
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
