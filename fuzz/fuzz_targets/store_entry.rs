//! Any bytes as an entry of a store: its key, and its value in each of the formats of values.
//!
//! The first byte says how many of the others are the key's.

#![no_main]

use bytes::Bytes;
use cortado_model::{Entry, EntryKey};
use cortado_store::encoding::{
    bookmark_scn, check_snapshot_entry, document_key, expiring, parse_bytes, parse_document,
    parse_progress, parse_remembered, progress_value, remembered_value,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((key_bytes, bytes)) = bytes.split_first() else { return };
    let (key, value) = bytes.split_at(bytes.len().min(usize::from(*key_bytes)));
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    if let Some(parsed) = EntryKey::parse(&key) {
        assert_eq!(parsed.behind(&[]), key, "a key has one spelling");
    }
    let _ = (document_key(&key), bookmark_scn(&key), expiring(&key, &value));
    let _ = (parse_document(value.clone()), parse_bytes(&value));
    if let Ok(remembered) = parse_remembered(value.clone()) {
        assert_eq!(remembered_value(&remembered), value, "it is written as it was read");
    }
    if let Ok((name, after)) = parse_progress(&value) {
        assert_eq!(progress_value(&name, after.as_deref()), value, "it is written as it was read");
    }
    let _ = check_snapshot_entry(None, &Entry { key, value });
});
