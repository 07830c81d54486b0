//! `find`: some documents and what is remembered, all of one state.

use super::Subject;
use super::samples::*;
use crate::Store;
use bytes::Bytes;
use cortado_model::{
    Batch, DocumentKey, Findings, Remembered, RememberedKey, StoredDocument, TableId, WallMillis,
};
use std::sync::mpsc::channel;

#[track_caller]
fn find(store: &dyn Store, keys: &[(TableId, DocumentKey)], names: &[RememberedKey]) -> Findings {
    ok(store.find(HOME, keys, names))
}

fn documents(documents: Vec<Option<StoredDocument>>) -> Findings {
    Findings { documents, ..Findings::default() }
}

/// One answer for each key, in the order asked: what is there, and that nothing is.
pub fn a_find_answers_in_the_order_asked(subject: &mut dyn Subject) {
    let other_table = TableId(TABLE.0 + 1);
    let store = subject.store();
    let at = |path: &str| (TABLE, key(path));
    assert_eq!(find(store, &[at("a"), at("b")], &[]), documents(vec![None, None]));
    assert_eq!(find(store, &[], &[]), Findings::default());

    let mut batch = puts(1, &["a", "b", "c"]);
    batch.documents.push((other_table, key("a"), Some(document(2, "other"))));
    apply(store, HOME, batch);
    apply(store, partition(7, 2), puts(9, &["missing"]));
    let keys = [at("c"), at("missing"), (other_table, key("a")), at("a"), at("c")];
    let want = vec![
        Some(document(1, "c")),
        None,
        Some(document(2, "other")),
        Some(document(1, "a")),
        Some(document(1, "c")),
    ];
    assert_eq!(find(store, &keys, &[]), documents(want));
    for (table, key) in &keys {
        let alone = find(store, &[(*table, key.clone())], &[]);
        assert_eq!(alone, documents(vec![ok(store.get(HOME, *table, key))]));
    }
    assert_eq!(find(store, &[], &[]), Findings::default());
}

/// With a name it tells what is remembered, under it and altogether; without one it does not.
pub fn a_find_with_a_name_tells_what_is_remembered(subject: &mut dyn Subject) {
    let name = |number: u64| remembered_key(&format!("key-{number}"));
    let remember = |numbers: &[u64]| numbers.iter().map(|n| (name(*n), answer(*n))).collect();
    let keys = [(TABLE, key("a"))];
    let check = |store: &dyn Store, number, want: Option<u64>| {
        let found = find(store, &keys, &[name(number)]);
        assert_eq!(found.remembered, [want.map(answer)]);
        let view = view(store, HOME);
        assert_eq!(found.documents, [ok(view.get(TABLE, &keys[0].1))]);
        assert_eq!(found.remembered_bytes, ok(view.remembered_bytes()));
        assert_eq!(found.first_expiry, ok(view.first_expiry()));
        let without = find(store, &keys, &[]);
        assert_eq!(without, documents(found.documents), "only what was asked for");
        assert_eq!(find(store, &[], &[name(number)]).remembered, [want.map(answer)]);
    };
    check(subject.store(), 1, None);
    apply(subject.store(), HOME, Batch { remember: remember(&[1, 2, 3]), ..puts(1, &["a"]) });
    check(subject.store(), 1, Some(1));
    check(subject.store(), 4, None);
    let several = find(subject.store(), &keys, &[3, 4, 1, 3].map(name));
    assert_eq!(several.remembered, [Some(3), None, Some(1), Some(3)].map(|n| n.map(answer)));
    // The first goes; then one comes that expires before all others.
    let forget_before = Some(answer(2).expires);
    apply(subject.store(), HOME, Batch { forget_before, ..batch(2) });
    check(subject.store(), 1, None);
    check(subject.store(), 2, Some(2));
    let short = Remembered { expires: WallMillis(7), ..answer(8) };
    apply(subject.store(), HOME, Batch { remember: vec![(name(8), short)], ..batch(3) });
    assert_eq!(find(subject.store(), &[], &[name(9)]).first_expiry, Some(WallMillis(7)));
    subject.reopen();
    check(subject.store(), 3, Some(3));
    ok(subject.store().remove(HOME));
    check(subject.store(), 3, None);
}

/// How many batches are applied while others find.
const BATCHES: u64 = 300;

/// Batch `sequence`: two documents, an answer, and forgetting all but the last three answers.
fn joined(sequence: u64) -> Batch {
    let mut batch = batch(sequence);
    for path in ["first", "last"] {
        batch.documents.push((TABLE, key(path), Some(document(sequence, "v"))));
    }
    let times = (WallMillis(sequence), WallMillis(1_000 + sequence));
    let answer = Bytes::copy_from_slice(&sequence.to_be_bytes());
    let remembered = Remembered { time: times.0, expires: times.1, answer };
    batch.remember.push((remembered_key("same"), remembered));
    batch.forget_before = Some(WallMillis(1_000 + sequence - sequence.min(2)));
    batch
}

/// Checks that all of an answer is what one batch of [`joined`] left, and answers which; 0 before
/// the first.
#[track_caller]
fn check_joined(found: &Findings, answer_bytes: u64) -> u64 {
    let [Some(first), last] = &found.documents[..] else {
        let nothing = Findings { remembered: vec![None, None], ..documents(vec![None, None]) };
        assert_eq!(*found, nothing);
        return 0;
    };
    assert_eq!(Some(first), last.as_ref(), "documents of two states");
    let sequence = first.head.scn.sequence.0;
    let [Some(remembered), None] = &found.remembered[..] else {
        panic!("each batch brings one answer, not {:?}", found.remembered);
    };
    assert_eq!(remembered.answer[..], sequence.to_be_bytes(), "an answer of another state");
    assert_eq!(found.remembered_bytes, sequence.min(3) * answer_bytes, "at {sequence}");
    let oldest = 1_000 + sequence.saturating_sub(2).max(1);
    assert_eq!(found.first_expiry, Some(WallMillis(oldest)), "at {sequence}");
    sequence
}

/// Everything that a find tells is of one state, whatever is applied meanwhile.
pub fn a_find_is_of_one_state(subject: &mut dyn Subject) {
    let store = subject.store();
    let names = ["same", "other"].map(remembered_key);
    let keys = ["first", "last"].map(|path| (TABLE, key(path)));
    apply(store, partition(7, 2), joined(1));
    let other = ok(store.find(partition(7, 2), &[], &names));
    // A batch for each find, so that they go on beside one another until the end.
    let (begin, begun) = channel();
    std::thread::scope(|scope| {
        // Ends with this closure, on whatever way: the other thread must not wait for ever.
        let begin = begin;
        scope.spawn(move || {
            (1..=BATCHES).zip(begun).for_each(|(n, ())| apply(store, HOME, joined(n)));
        });
        let mut seen = 0;
        while seen < BATCHES {
            let goes_on = begin.send(()).is_ok();
            seen = check_joined(&find(store, &keys, &names), other.remembered_bytes);
            assert!(goes_on || seen == BATCHES, "a batch was refused");
            let without = find(store, &keys, &[]).documents;
            assert_eq!(without[0], without[1], "documents of two states");
        }
    });
}
