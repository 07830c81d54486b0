//! Entries beside the documents: in any space, with two bounds, in both directions.

use super::Subject;
use super::samples::*;
use crate::View;
use bytes::Bytes;
use cortado_model::{
    Batch, Entry, EntryChange, EntryName, EntryRange, IndexId, WallMillis, Within,
};
use std::ops::Bound;

const INDEX: IndexId = IndexId(256);

fn place(index: IndexId, place: &str, value: Option<&str>) -> EntryChange {
    let place = Bytes::copy_from_slice(place.as_bytes());
    change(EntryName::Index { index, place }, value)
}

fn expiry(time_ms: u64, path: &str, value: Option<&str>) -> EntryChange {
    change(EntryName::Expiry { time: WallMillis(time_ms), table: TABLE, key: key(path) }, value)
}

fn change(name: EntryName, value: Option<&str>) -> EntryChange {
    EntryChange { name, value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())) }
}

/// The entries that `changes` leave, if all of them write.
fn written(changes: &[EntryChange]) -> Vec<Entry> {
    let entry = |change: &EntryChange| Entry {
        key: change.name.key().behind(&[]).into(),
        value: change.value.clone().expect("the case writes it"),
    };
    changes.iter().map(entry).collect()
}

#[track_caller]
fn check(view: &dyn View, range: EntryRange, want: &[EntryChange]) {
    let mut want = written(want);
    assert_eq!(view.scan(&range).map(|found| ok(found)).collect::<Vec<_>>(), want);
    want.reverse();
    let downwards = EntryRange { descending: true, ..range };
    assert_eq!(view.scan(&downwards).map(|found| ok(found)).collect::<Vec<_>>(), want);
}

/// Entries of every space show with their batch, and each range stays within its space.
pub fn entries_of_any_space_are_kept(subject: &mut dyn Subject) {
    let places = ["a", "a\0", "ab", "b"].map(|name| place(INDEX, name, Some("document")));
    let neighbours = [place(IndexId(255), "a", Some("x")), place(IndexId(257), "a", Some("y"))];
    let expiries =
        [expiry(5, "b", Some("")), expiry(256, "a", Some("")), expiry(256, "c", Some(""))];
    let all = [&places[..], &neighbours, &expiries].concat();
    let mut shuffled = all.clone();
    shuffled.reverse();
    apply(subject.store(), HOME, Batch { entries: shuffled, ..puts(1, &["a", "b"]) });
    apply(subject.store(), partition(HOME.database.0, 99), Batch { entries: all, ..batch(1) });
    for _ in 0..2 {
        let view = view(subject.store(), HOME);
        check(&*view, EntryRange::all(Within::Index(INDEX)), &places);
        check(&*view, EntryRange::all(Within::Index(IndexId(255))), &neighbours[..1]);
        check(&*view, EntryRange::all(Within::Index(IndexId(1))), &[]);
        check(&*view, EntryRange::all(Within::Expiry), &expiries);
        check(&*view, EntryRange::expired_before(WallMillis(256)), &expiries[..1]);
        assert_eq!(paths(&*view, &whole(&[])), ["a", "b"]);
        drop(view);
        subject.reopen();
    }
}

/// `[a TO b]` and its kin, from either end, in an index as among documents.
pub fn a_range_of_entries_keeps_both_of_its_bounds(subject: &mut dyn Subject) {
    use Bound::{Excluded, Included, Unbounded};
    let places = ["a", "b", "ba", "bb", "c"].map(|name| place(INDEX, name, Some("document")));
    apply(subject.store(), HOME, Batch { entries: places.to_vec(), ..batch(1) });
    let view = view(subject.store(), HOME);
    let range = |low: Bound<&str>, high: Bound<&str>| EntryRange {
        low: low.map(|name| name.as_bytes().to_vec()),
        high: high.map(|name| name.as_bytes().to_vec()),
        ..EntryRange::all(Within::Index(INDEX))
    };
    check(&*view, range(Included("b"), Included("c")), &places[1..]);
    check(&*view, range(Excluded("b"), Excluded("c")), &places[2..4]);
    check(&*view, range(Unbounded, Included("ba")), &places[..3]);
    check(&*view, range(Excluded("c"), Unbounded), &[]);
    check(&*view, range(Included("c"), Included("a")), &[]);
    let prefix = b"b".to_vec();
    check(&*view, EntryRange { prefix, ..range(Excluded("b"), Unbounded) }, &places[2..4]);
}

/// Within a batch and across batches the later change of an entry wins.
pub fn a_later_change_of_an_entry_wins(subject: &mut dyn Subject) {
    let store = subject.store();
    let entries = vec![
        place(INDEX, "twice", Some("first")),
        place(INDEX, "gone", Some("first")),
        place(INDEX, "twice", Some("second")),
        place(INDEX, "gone", None),
        expiry(7, "a", Some("")),
    ];
    apply(store, HOME, Batch { entries, ..batch(1) });
    let range = || EntryRange::all(Within::Index(INDEX));
    check(&*view(store, HOME), range(), &[place(INDEX, "twice", Some("second"))]);
    let entries = vec![place(INDEX, "twice", None), expiry(7, "a", None), expiry(8, "a", None)];
    apply(store, HOME, Batch { entries, ..batch(2) });
    check(&*view(store, HOME), range(), &[]);
    assert_eq!(entries_left(&*view(store, HOME)), 0);
}

fn entries_left(view: &dyn View) -> usize {
    entries(view).len()
}
