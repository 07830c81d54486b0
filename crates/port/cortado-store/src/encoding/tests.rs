//! The bytes as docs/formats/store.md has them, and that they sort as what they name.

use super::*;
use cortado_model::{Generation, Sequence};
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn scn() -> Scn {
    Scn::new(Generation(5), Sequence(1042))
}

#[track_caller]
fn check_key(key: EntryKey<'_>, want: &str) {
    let bytes = key.behind(b"P");
    assert_eq!(hex(&bytes[1..]), want);
    assert_eq!(EntryKey::parse(&bytes[1..]), Ok(key));
}

#[test]
fn keys_are_written_as_the_format_says() {
    check_key(EntryKey::Document { table: TableId(258), key: b"a\0b\0" }, "010000010261006200");
    check_key(EntryKey::Remembered { key: b"k" }, "026b");
    let by_time = EntryKey::RememberedByTime { time: WallMillis(258), key: b"k" };
    check_key(by_time, "0300000000000001026b");
    check_key(EntryKey::Bookmark { scn: scn() }, "040000050000000412");
    check_key(EntryKey::Checkpoint, "05");
}

#[test]
fn other_keys_are_damage() {
    let bad: [&[u8]; 8] =
        [b"", b"\0", b"\x01\0\0\0", b"\x03\0", b"\x04\0", b"\x05x", b"\x06", b"a"];
    for bytes in bad {
        assert!(matches!(EntryKey::parse(bytes), Err(StoreError::Damaged { .. })), "{bytes:?}");
    }
    // The top bit of an SCN is never set.
    assert!(EntryKey::parse(b"\x04\xff\0\0\0\0\0\0\0").is_err());
}

#[test]
fn values_are_written_as_the_format_says() {
    let document = StoredDocument {
        etag: Etag(0x0102),
        scn: scn(),
        time: WallMillis(0x0304),
        schema_version: 7,
        value: Bytes::from_static(b"{}"),
    };
    let bytes = document_value(&document);
    let want = concat!("01", "0000000000000102", "0000050000000412", "0000000000000304");
    assert_eq!(hex(&bytes), format!("{want}{}{}", "00000007", "7b7d"));
    assert_eq!(parse_document(bytes.into()), Ok(document));

    let bytes = remembered_value(WallMillis(0x0102), b"ok");
    assert_eq!(hex(&bytes), "0100000000000001026f6b");
    let want = Remembered { time: WallMillis(0x0102), answer: Bytes::from_static(b"ok") };
    assert_eq!(parse_remembered(bytes.into()), Ok(want));
}

#[test]
fn torn_values_and_other_versions_are_damage() {
    let document = document_value(&StoredDocument {
        etag: Etag(1),
        scn: scn(),
        time: WallMillis(1),
        schema_version: 1,
        value: Bytes::new(),
    });
    let remembered = remembered_value(WallMillis(1), b"");
    for len in 0..document.len() {
        assert!(parse_document(Bytes::copy_from_slice(&document[..len])).is_err());
    }
    for len in 0..remembered.len() {
        assert!(parse_remembered(Bytes::copy_from_slice(&remembered[..len])).is_err());
    }
    let newer = |mut bytes: Vec<u8>| {
        bytes[0] = 2;
        Bytes::from(bytes)
    };
    assert!(parse_document(newer(document)).is_err());
    assert!(parse_remembered(newer(remembered)).is_err());
}

#[test]
fn the_successor_is_above_everything_with_the_prefix() {
    let cases: [(&[u8], &[u8]); 4] =
        [(b"a", b"b"), (b"a\xff", b"b"), (b"\x01\xff\xff", b"\x02"), (b"a\xfe\xff", b"a\xff")];
    for (prefix, want) in cases {
        assert_eq!(successor(prefix), want);
    }
}

proptest! {
    /// Any bytes are read as a key or refused, and what is read writes the same bytes.
    #[test]
    fn reading_a_key_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
        if let Ok(key) = EntryKey::parse(&bytes) {
            prop_assert_eq!(key.behind(&[]), bytes);
        }
    }

    /// Any bytes are read as values or refused, and what is read writes the same bytes.
    #[test]
    fn reading_a_value_is_total(mut bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Some(first) = bytes.first_mut() {
            *first %= 3;
        }
        let value = Bytes::from(bytes);
        if let Ok(document) = parse_document(value.clone()) {
            prop_assert_eq!(&document_value(&document), &value);
        }
        if let Ok(remembered) = parse_remembered(value.clone()) {
            prop_assert_eq!(remembered_value(remembered.time, &remembered.answer), value);
        }
    }

    /// Entries sort by space, then by the number, then by the name.
    #[test]
    fn keys_sort_as_what_they_name(
        a in (1u8..=5, any::<u32>(), "[a-c\u{0}]{0,3}"),
        b in (1u8..=5, any::<u32>(), "[a-c\u{0}]{0,3}"),
    ) {
        let (rank_a, bytes_a) = ranked(&a);
        let (rank_b, bytes_b) = ranked(&b);
        prop_assert_eq!(rank_a.cmp(&rank_b), bytes_a.cmp(&bytes_b));
    }
}

/// What a key sorts by, and the key.
fn ranked((space, number, name): &(u8, u32, String)) -> ((u8, u32, &str), Vec<u8>) {
    let key = name.as_bytes();
    let scn = Scn::new(Generation(0), Sequence(u64::from(*number)));
    let (number, name, key) = match space {
        1 => (*number, &name[..], EntryKey::Document { table: TableId(*number), key }),
        2 => (0, &name[..], EntryKey::Remembered { key }),
        3 => {
            let time = WallMillis(u64::from(*number));
            (*number, &name[..], EntryKey::RememberedByTime { time, key })
        }
        4 => (*number, "", EntryKey::Bookmark { scn }),
        _ => (0, "", EntryKey::Checkpoint),
    };
    ((*space, number, name), key.behind(&[]))
}
