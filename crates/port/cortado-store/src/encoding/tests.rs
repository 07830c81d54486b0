//! The bytes as docs/formats/store.md has them.

use super::*;
use cortado_model::{DocumentHead, Etag, Generation, Sequence};
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn remembered() -> Remembered {
    let (time, expires) = (WallMillis(0x0102), WallMillis(0x0304));
    Remembered { time, expires, answer: Bytes::from_static(b"ok") }
}

#[test]
fn values_are_written_as_the_format_says() {
    let bytes = remembered_value(&remembered());
    assert_eq!(hex(&bytes), "02000000000000010200000000000003046f6b");
    assert_eq!(parse_remembered(bytes.into()), Ok(remembered()));

    let progress = progress_value(b"name", Some(b"key"));
    assert_eq!(hex(&progress), "02046e616d656b6579");
    let (name, after) = (Bytes::from_static(b"name"), Bytes::from_static(b"key"));
    assert_eq!(parse_progress(&progress), Ok((name.clone(), Some(after))));
    assert_eq!(parse_progress(&progress_value(b"name", None)), Ok((name, None)));

    assert_eq!(hex(&bytes_value(258)), "0000000000000102");
    assert_eq!(parse_bytes(&bytes_value(258)), Ok(258));
}

#[test]
fn a_document_is_kept_as_its_image() {
    let head = DocumentHead {
        schema_version: 7,
        etag: Etag(1),
        scn: Scn::new(Generation(5), Sequence(1042)),
        time: WallMillis(1),
        expires: None,
    };
    let document = StoredDocument::new(head, b"{}");
    let read = parse_document(document.image().clone());
    assert_eq!(read.as_ref(), Ok(&document));
    assert_eq!(read.unwrap().image().as_ptr(), document.image().as_ptr(), "no copy");
    assert!(matches!(parse_document(Bytes::new()), Err(StoreError::Damaged { .. })));
}

#[test]
fn torn_values_and_other_versions_are_damage() {
    let answer = Bytes::new();
    let mut bytes = remembered_value(&Remembered { answer, ..remembered() });
    for len in 0..bytes.len() {
        assert!(parse_remembered(Bytes::copy_from_slice(&bytes[..len])).is_err());
    }
    bytes[0] = 3;
    assert!(parse_remembered(bytes.into()).is_err());
    assert!(parse_bytes(&[0; 7]).is_err() && parse_bytes(&[0; 9]).is_err());
    for bytes in [&b""[..], b"\x02", b"\x02\x01", b"\x01\x00"] {
        assert!(parse_progress(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
    }
}

proptest! {
    /// Any bytes are read as values or refused, and what is read writes the same bytes.
    #[test]
    fn reading_a_value_is_total(mut bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Some(first) = bytes.first_mut() {
            *first %= 4;
        }
        let value = Bytes::from(bytes);
        if let Ok(document) = parse_document(value.clone()) {
            prop_assert_eq!(document.image(), &value);
        }
        if let Ok(remembered) = parse_remembered(value.clone()) {
            prop_assert_eq!(&remembered_value(&remembered), &value);
        }
        if let Ok((name, after)) = parse_progress(&value) {
            prop_assert_eq!(&progress_value(&name, after.as_deref()), &value);
        }
        if let Ok(bytes) = parse_bytes(&value) {
            prop_assert_eq!(bytes_value(bytes), value);
        }
    }

    /// Any entry is taken into a snapshot or refused.
    #[test]
    fn checking_an_entry_of_a_snapshot_is_total(
        space in any::<u8>(),
        key in proptest::collection::vec(any::<u8>(), 0..24),
        value in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let key = Bytes::from([&[space][..], &key].concat());
        let entry = Entry { key: key.clone(), value: value.into() };
        let _ = expiring(&key, &entry.value);
        let _ = bookmark_scn(&key);
        let _ = document_key(&key);
        if check_snapshot_entry(None, &entry).is_ok() {
            prop_assert!(EntryKey::parse(&key).is_some_and(|key| key.space().is_in_snapshots()));
        }
    }
}
