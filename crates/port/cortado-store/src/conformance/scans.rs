//! Ranges of documents: prefixes, bounds, both directions, pages.

use super::Subject;
use super::samples::*;
use crate::View;
use cortado_model::{EntryRange, TableId};
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
        assert_eq!(paths(&*view, &EntryRange { descending: true, ..range }), backwards);
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
            let range = EntryRange { descending, ..whole(prefix) };
            let want = paths(&*view, &range);
            for page_documents in 1..=want.len() + 1 {
                assert_eq!(in_pages(&*view, &range, page_documents), want);
            }
        }
    }
}

fn in_pages(view: &dyn View, range: &EntryRange, page_documents: usize) -> Vec<String> {
    let mut range = range.clone();
    let mut found = Vec::new();
    loop {
        let page: Vec<_> = view.documents(&range).take(page_documents).map(|f| ok(f).0).collect();
        let Some(last) = page.last() else { return found };
        range = range.after(last.as_bytes());
        found.extend(page.iter().map(path));
    }
}

/// A scan that is given up early costs nothing, and the next one starts anew.
pub fn a_scan_is_lazy_and_repeatable(subject: &mut dyn Subject) {
    let view = filled(subject);
    for _ in 0..3 {
        let range = whole(&[]);
        let mut scan = view.documents(&range);
        let (first, stored) = ok(scan.next().expect("there are documents"));
        assert_eq!((path(&first), stored), (String::from("a"), document(2, "a")));
    }
    let range = EntryRange { low: bound(Bound::Included("a/b")), ..whole(&[]) };
    assert_eq!(paths(&*view, &range)[..2], ["a/b", "a/b/c"]);
    let downwards =
        EntryRange { high: bound(Bound::Included("a/b")), descending: true, ..whole(&[]) };
    assert_eq!(paths(&*view, &downwards)[..2], ["a/b", "a/a"]);
}

fn bound(path: Bound<&str>) -> Bound<Vec<u8>> {
    path.map(|path| key(path).as_bytes().to_vec())
}

/// Two bounds hold at once, whatever the direction; outside the prefix, on a missing key or the
/// wrong way round they are no error.
pub fn a_range_keeps_both_of_its_bounds(subject: &mut dyn Subject) {
    use Bound::{Excluded, Included, Unbounded};
    let view = filled(subject);
    let check = |prefix: &[u8], low: Bound<&str>, high: Bound<&str>, want: &[&str]| {
        let range = EntryRange { low: bound(low), high: bound(high), ..whole(prefix) };
        assert_eq!(paths(&*view, &range), want);
        let mut backwards = want.to_vec();
        backwards.reverse();
        assert_eq!(paths(&*view, &EntryRange { descending: true, ..range }), backwards);
    };
    check(b"", Included("a/b"), Included("b"), &["a/b", "a/b/c", "a/é", "ab", "b"]);
    check(b"", Excluded("a/b"), Excluded("b"), &["a/b/c", "a/é", "ab"]);
    check(b"", Included("a/b"), Included("a/b"), &["a/b"]);
    check(b"", Included("a/b"), Excluded("a/b"), &[]);
    check(b"", Included("b"), Included("a"), &[]);
    check(b"a\0", Excluded("a"), Excluded("z"), &["a/a", "a/b", "a/b/c", "a/é"]);
    check(b"a\0b\0", Included("z"), Unbounded, &[]);
    check(b"a\0b\0", Unbounded, Included("a"), &[]);
    check(b"a\0b\0", Included("A"), Unbounded, &["a/b", "a/b/c"]);
    check(b"a\0b\0", Unbounded, Included("z"), &["a/b", "a/b/c"]);
    check(b"a\0b\0", Excluded("a/b/c"), Unbounded, &[]);
    check(b"a\0b\0", Unbounded, Excluded("a/b"), &[]);
    check(b"a\0", Included("a/aa"), Unbounded, &["a/b", "a/b/c", "a/é"]);
    check(b"a\0", Unbounded, Excluded("a/aa"), &["a", "a/a"]);
}
