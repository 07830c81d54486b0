//! Ranges of entries: two bounds, walked from either end.
//!
//! Start reading at [`EntryRange`].

use crate::{EntryKey, IndexId, TableId, WallMillis};
use alloc::vec::Vec;
use core::ops::{Bound, Range};

/// Some entries of one space, and from which end they are walked.
///
/// Prefix and bounds are names within [`within`](Self::within): encoded document keys of a table,
/// places of an index. Byte order is their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRange {
    /// What is walked.
    pub within: Within,
    /// What all names begin with; empty for everything.
    pub prefix: Vec<u8>,
    /// The lower end, whatever the direction.
    pub low: Bound<Vec<u8>>,
    /// The upper end, whatever the direction.
    pub high: Bound<Vec<u8>>,
    /// From the highest name down.
    pub descending: bool,
}

/// A part of a space in which names have an order that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// The documents of a table, by key.
    Documents(TableId),
    /// The places of an index.
    Index(IndexId),
    /// Documents that expire: by big-endian time, then table, then key.
    Expiry,
}

impl EntryRange {
    /// Everything in `within`, ascending.
    pub fn all(within: Within) -> EntryRange {
        let (low, high) = (Bound::Unbounded, Bound::Unbounded);
        EntryRange { within, prefix: Vec::new(), low, high, descending: false }
    }

    /// The documents of `table` whose encoded keys begin with `prefix`, ascending.
    pub fn documents(table: TableId, prefix: &[u8]) -> EntryRange {
        EntryRange { prefix: prefix.to_vec(), ..EntryRange::all(Within::Documents(table)) }
    }

    /// What expires before `time`, the earliest first.
    pub fn expired_before(time: WallMillis) -> EntryRange {
        let high = Bound::Excluded(time.0.to_be_bytes().to_vec());
        EntryRange { high, ..EntryRange::all(Within::Expiry) }
    }

    /// The rest of the range behind `name`, in the direction of the walk.
    pub fn after(mut self, name: &[u8]) -> EntryRange {
        let edge = if self.descending { &mut self.high } else { &mut self.low };
        *edge = Bound::Excluded(name.to_vec());
        self
    }

    /// The keys of the entries behind `before`, such as the name of a partition; `None` if there
    /// can be none.
    ///
    /// From the first key that belongs to the range to the first that does not.
    pub fn keys(&self, before: &[u8]) -> Option<Range<Vec<u8>>> {
        let head = self.within.head(before);
        let at = |name: &[u8]| [&head[..], name].concat();
        // The least key above that of `name`.
        let above = |name: &[u8]| [&head[..], name, &[0]].concat();
        let mut start = at(&self.prefix);
        let mut end = successor(&start);
        match &self.low {
            Bound::Unbounded => {}
            Bound::Included(name) => start = start.max(at(name)),
            Bound::Excluded(name) => start = start.max(above(name)),
        }
        match &self.high {
            Bound::Unbounded => {}
            Bound::Included(name) => end = end.min(above(name)),
            Bound::Excluded(name) => end = end.min(at(name)),
        }
        (start < end).then_some(start..end)
    }
}

impl Within {
    /// What the keys of all its entries begin with.
    fn head(self, before: &[u8]) -> Vec<u8> {
        match self {
            Within::Documents(table) => EntryKey::Document { table, key: &[] }.behind(before),
            Within::Index(index) => EntryKey::Index { index, place: &[] }.behind(before),
            Within::Expiry => [before, &[crate::Space::Expiry as u8]].concat(),
        }
    }
}

/// The least byte string above every one that begins with `prefix`.
///
/// `prefix` holds a byte below 255: the key of an entry in a range begins with such a space.
pub fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Within = Within::Documents(TableId(1));

    #[track_caller]
    fn check(low: Bound<&str>, high: Bound<&str>, prefix: &str, want: &[&str]) {
        let bytes = |bound: Bound<&str>| bound.map(|name| name.as_bytes().to_vec());
        let prefix = prefix.as_bytes().to_vec();
        let range =
            EntryRange { prefix, low: bytes(low), high: bytes(high), ..EntryRange::all(TABLE) };
        let keys = range.keys(b"P");
        let key = |name: &&&str| {
            let key = EntryKey::Document { table: TableId(1), key: name.as_bytes() }.behind(b"P");
            keys.as_ref().is_some_and(|keys| keys.contains(&key))
        };
        let found: Vec<_> =
            ["a", "a\0", "ab", "b", "ba", "c"].iter().filter(key).copied().collect();
        assert_eq!(found, want);
    }

    #[test]
    fn a_range_ends_where_its_bounds_say() {
        use Bound::{Excluded, Included, Unbounded};
        check(Unbounded, Unbounded, "", &["a", "a\0", "ab", "b", "ba", "c"]);
        check(Unbounded, Unbounded, "b", &["b", "ba"]);
        check(Included("ab"), Included("b"), "", &["ab", "b"]);
        check(Excluded("ab"), Excluded("b"), "", &[]);
        check(Excluded("a"), Excluded("c"), "", &["a\0", "ab", "b", "ba"]);
        check(Included("a"), Included("ba"), "b", &["b", "ba"]);
        check(Included("c"), Included("a"), "", &[]);
        check(Unbounded, Excluded("b"), "b", &[]);
    }

    #[test]
    fn a_walk_goes_on_behind_a_name() {
        let range = EntryRange::all(TABLE);
        assert_eq!(range.clone().after(b"x").low, Bound::Excluded(b"x".to_vec()));
        let downwards = EntryRange { descending: true, ..range };
        assert_eq!(downwards.after(b"x").high, Bound::Excluded(b"x".to_vec()));
    }

    #[test]
    fn what_expires_at_a_moment_has_not_expired_before_it() {
        let keys = EntryRange::expired_before(WallMillis(256)).keys(&[]).expect("some");
        let at = |time| {
            let key = EntryKey::Expiry { time: WallMillis(time), table: TableId(1), key: b"a\0" };
            keys.contains(&key.behind(&[]))
        };
        assert_eq!([0, 255, 256].map(at), [true, true, false]);
    }

    #[test]
    fn the_successor_is_above_everything_with_the_prefix() {
        let cases: [(&[u8], &[u8]); 4] =
            [(b"a", b"b"), (b"a\xff", b"b"), (b"\x01\xff\xff", b"\x02"), (b"a\xfe\xff", b"a\xff")];
        for (prefix, want) in cases {
            assert_eq!(successor(prefix), want);
        }
    }
}
