//! Scans: prefixes, bounds, both directions, pages.

use super::Subject;
use super::samples::*;
use crate::{ScanRange, View};
use cortado_model::TableId;
use std::ops::Bound;

/// In key order. `ab` and `a/b` share their first letter but not their first part.
const PATHS: [&str; 9] = ["a", "a/a", "a/b", "a/b/c", "a/é", "ab", "b", "b/a", "日本/東京"];

fn filled(subject: &mut dyn Subject) -> Box<dyn View> {
    let store = subject.store();
    let mut shuffled = PATHS;
    shuffled.reverse();
    apply(store, HOME, puts(1, &shuffled[..4]));
    apply(store, HOME, puts(2, &shuffled[4..]));
    // Neighbours that a scan must not step into.
    let mut others = puts(3, &PATHS);
    others.documents.iter_mut().for_each(|change| change.0 = TableId(TABLE.0 + 1));
    apply(store, HOME, others);
    apply(store, partition(HOME.database.0, HOME.number + 1), puts(1, &PATHS));
    view(store, HOME)
}

/// A scan shows what its prefix covers, in key order or against it.
pub fn a_scan_walks_a_prefix_both_ways(subject: &mut dyn Subject) {
    let view = filled(subject);
    let check = |prefix: &[u8], want: &[&str]| {
        let range = whole(prefix);
        assert_eq!(paths(&*view, &range), want);
        let mut backwards = want.to_vec();
        backwards.reverse();
        assert_eq!(paths(&*view, &ScanRange { descending: true, ..range }), backwards);
    };
    check(b"", &PATHS);
    check(b"a\0", &["a", "a/a", "a/b", "a/b/c", "a/é"]);
    check(b"a\0b\0", &["a/b", "a/b/c"]);
    // A prefix is bytes: it may end within a part.
    check(b"a", &["a", "a/a", "a/b", "a/b/c", "a/é", "ab"]);
    check("日".as_bytes(), &["日本/東京"]);
    check(b"c", &[]);
    check(b"\xff\xff", &[]);
}

/// Going on behind the last key of a page, with any size of page, shows every document once.
pub fn pages_join_without_gap_or_overlap(subject: &mut dyn Subject) {
    let view = filled(subject);
    for prefix in [&b""[..], b"a\0", b"a\0b\0", b"b\0"] {
        for descending in [false, true] {
            let range = ScanRange { descending, ..whole(prefix) };
            let want = paths(&*view, &range);
            for page_documents in 1..=want.len() + 1 {
                assert_eq!(in_pages(&*view, &range, page_documents), want);
            }
        }
    }
}

fn in_pages(view: &dyn View, range: &ScanRange, page_documents: usize) -> Vec<String> {
    let mut range = range.clone();
    let mut found = Vec::new();
    loop {
        let page: Vec<_> = view.scan(&range).take(page_documents).map(|f| ok(f).0).collect();
        let Some(last) = page.last() else { return found };
        range.from = Bound::Excluded(last.clone());
        found.extend(page.iter().map(path));
    }
}

/// A scan that is given up early costs nothing, and the next one starts anew.
pub fn a_scan_is_lazy_and_repeatable(subject: &mut dyn Subject) {
    let view = filled(subject);
    for _ in 0..3 {
        let range = whole(&[]);
        let mut scan = view.scan(&range);
        let (first, stored) = ok(scan.next().expect("there are documents"));
        assert_eq!((path(&first), stored), (String::from("a"), document(2, "a")));
    }
    let from = Bound::Included(key("a/b"));
    let range = ScanRange { from, ..whole(&[]) };
    assert_eq!(paths(&*view, &range)[..2], ["a/b", "a/b/c"]);
    assert_eq!(paths(&*view, &ScanRange { descending: true, ..range })[..2], ["a/b", "a/a"]);
}

/// Bounds outside the prefix, on a missing key, or against the direction are no error.
pub fn an_empty_range_has_no_documents(subject: &mut dyn Subject) {
    let view = filled(subject);
    let check = |prefix: &[u8], from: Bound<&str>, descending: bool, want: &[&str]| {
        let from = match from {
            Bound::Included(path) => Bound::Included(key(path)),
            Bound::Excluded(path) => Bound::Excluded(key(path)),
            Bound::Unbounded => Bound::Unbounded,
        };
        assert_eq!(paths(&*view, &ScanRange { from, descending, ..whole(prefix) }), want);
    };
    check(b"a\0b\0", Bound::Included("z"), false, &[]);
    check(b"a\0b\0", Bound::Included("a"), true, &[]);
    check(b"a\0b\0", Bound::Included("A"), false, &["a/b", "a/b/c"]);
    check(b"a\0b\0", Bound::Included("z"), true, &["a/b/c", "a/b"]);
    check(b"a\0b\0", Bound::Excluded("a/b/c"), false, &[]);
    check(b"a\0b\0", Bound::Excluded("a/b"), true, &[]);
    check(b"a\0", Bound::Included("a/aa"), false, &["a/b", "a/b/c", "a/é"]);
    check(b"a\0", Bound::Excluded("a/aa"), true, &["a/a", "a"]);
}
