//! The bytes as docs/formats/store.md has them, and that they sort as what they name.

use super::*;
use crate::{Generation, Sequence};
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn check_key(key: EntryKey<'_>, want: &str) {
    let bytes = key.behind(b"P");
    assert_eq!(hex(&bytes[1..]), want);
    assert_eq!(EntryKey::parse(&bytes[1..]), Some(key));
}

#[test]
fn keys_are_written_as_the_format_says() {
    let (table, index, time) = (TableId(258), IndexId(7), WallMillis(258));
    check_key(EntryKey::Document { table, key: b"a\0b\0" }, "100000010261006200");
    check_key(EntryKey::Index { index, place: b"x" }, "200000000778");
    check_key(EntryKey::Expiry { time, table, key: b"a\0" }, "300000000000000102000001026100");
    check_key(EntryKey::Remembered { key: b"r\0k\0\0\0" }, "4072006b000000");
    let by_expiry = EntryKey::RememberedByExpiry { expires: time, key: b"r\0k\0\0\0" };
    check_key(by_expiry, "48000000000000010272006b000000");
    check_key(EntryKey::RememberedBytes, "4c");
    let scn = Scn::new(Generation(5), Sequence(1042));
    check_key(EntryKey::Bookmark { scn }, "500000050000000412");
    check_key(EntryKey::InstallProgress, "e0");
    check_key(EntryKey::Checkpoint, "ff");
}

#[test]
fn other_keys_are_none() {
    let bad: [&[u8]; 12] = [
        b"",
        b"\0",
        b"\x01\0\0\0\0a",
        b"\x10\0\0\0",
        b"\x20\0",
        b"\x30\0\0\0\0\0\0\0\0\0\0\0",
        b"\x48\0",
        b"\x4cx",
        b"\x50\0",
        b"\xe0x",
        b"\xffx",
        b"a",
    ];
    for bytes in bad {
        assert_eq!(EntryKey::parse(bytes), None, "{bytes:?}");
    }
    // The top bit of an SCN is never set.
    assert_eq!(EntryKey::parse(b"\x50\xff\0\0\0\0\0\0\0"), None);
}

#[test]
fn a_snapshot_ends_before_what_is_the_replicas_own() {
    assert!(Space::ALL.is_sorted());
    let own = Space::ALL.into_iter().filter(|space| !space.is_in_snapshots());
    assert_eq!(own.collect::<Vec<_>>(), [Space::InstallProgress, Space::Checkpoint]);
}

proptest! {
    /// Any bytes are read as a key or refused, and what is read writes the same bytes.
    #[test]
    fn reading_a_key_is_total(
        space in prop::sample::select(&Space::ALL[..]),
        rest in proptest::collection::vec(any::<u8>(), 0..24),
        any_space in any::<u8>(),
    ) {
        for space in [space as u8, any_space] {
            let bytes = [&[space][..], &rest].concat();
            if let Some(key) = EntryKey::parse(&bytes) {
                prop_assert_eq!(key.behind(&[]), bytes);
            }
        }
    }

    /// Entries sort by space, then by the numbers, then by the name.
    #[test]
    fn keys_sort_as_what_they_name(
        a in (prop::sample::select(&Space::ALL[..]), any::<u32>(), "[a-c\u{0}]{0,3}"),
        b in (prop::sample::select(&Space::ALL[..]), any::<u32>(), "[a-c\u{0}]{0,3}"),
    ) {
        let (rank_a, bytes_a) = ranked(&a);
        let (rank_b, bytes_b) = ranked(&b);
        prop_assert_eq!(rank_a.cmp(&rank_b), bytes_a.cmp(&bytes_b));
    }
}

/// What a key sorts by, and the key.
fn ranked((space, number, name): &(Space, u32, String)) -> ((Space, u32, &str), Vec<u8>) {
    let key = name.as_bytes();
    let scn = Scn::new(Generation(0), Sequence(u64::from(*number)));
    let time = WallMillis(u64::from(*number));
    let (number, name, key) = match space {
        Space::Document => {
            (*number, &name[..], EntryKey::Document { table: TableId(*number), key })
        }
        Space::Index => {
            (*number, &name[..], EntryKey::Index { index: IndexId(*number), place: key })
        }
        Space::Expiry => {
            (*number, &name[..], EntryKey::Expiry { time, table: TableId(*number), key })
        }
        Space::Remembered => (0, &name[..], EntryKey::Remembered { key }),
        Space::RememberedByExpiry => {
            (*number, &name[..], EntryKey::RememberedByExpiry { expires: time, key })
        }
        Space::RememberedBytes => (0, "", EntryKey::RememberedBytes),
        Space::Bookmark => (*number, "", EntryKey::Bookmark { scn }),
        Space::InstallProgress => (0, "", EntryKey::InstallProgress),
        Space::Checkpoint => (0, "", EntryKey::Checkpoint),
    };
    ((*space, number, name), key.behind(&[]))
}
