//! One number for the state of a partition, to compare replicas by.
//!
//! Start reading at [`digest`].

use crate::encoding::{parse_key, parse_remembered};
use cortado_model::StoreError;
use cortado_model::{Entry, EntryKey, WallMillis};
use xxhash_rust::xxh3::Xxh3;

/// What a state of a partition hashes to, and what else is found on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digested {
    /// Equal for replicas of one partition at one SCN.
    pub digest: u128,
    /// The first of the answers that count to expire: later log times hash to something else.
    pub first_expiry: Option<WallMillis>,
    /// Of the keys and values of all entries, whether they count or not.
    pub bytes: u64,
}

/// Hashes documents, index entries, expiries and remembered answers of
/// [`View::entries`](crate::View::entries).
///
/// Left out is what may differ between replicas: bookmarks, and answers that expired before `time`,
/// which they forget at different moments.
///
/// * `time`: the log time that belongs to the SCN.
///
/// # Errors
/// What the entries bring, or [`StoreError::Damaged`] for a malformed one.
///
/// Source: docs/formats/store.md, "Digest".
pub fn digest(
    entries: impl Iterator<Item = Result<Entry, StoreError>>,
    time: WallMillis,
) -> Result<Digested, StoreError> {
    let mut hasher = Xxh3::new();
    let (mut first_expiry, mut bytes) = (None::<WallMillis>, 0);
    for entry in entries {
        let entry = entry?;
        bytes += (entry.key.len() + entry.value.len()) as u64;
        let counts = match parse_key(&entry.key)? {
            EntryKey::Document { .. } | EntryKey::Index { .. } | EntryKey::Expiry { .. } => true,
            EntryKey::Remembered { .. } => {
                let expires = parse_remembered(entry.value.clone())?.expires;
                let counts = expires >= time;
                if counts {
                    first_expiry = Some(first_expiry.map_or(expires, |first| first.min(expires)));
                }
                counts
            }
            EntryKey::RememberedByExpiry { .. }
            | EntryKey::RememberedBytes
            | EntryKey::Bookmark { .. }
            | EntryKey::InstallProgress
            | EntryKey::Checkpoint => false,
        };
        if counts {
            // Lengths first, so that no byte can move from one field to the next unseen.
            hasher.update(&(entry.key.len() as u64).to_be_bytes());
            hasher.update(&entry.key);
            hasher.update(&(entry.value.len() as u64).to_be_bytes());
            hasher.update(&entry.value);
        }
    }
    Ok(Digested { digest: hasher.digest128(), first_expiry, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{bytes_value, remembered_value};
    use bytes::Bytes;
    use cortado_model::{IndexId, Remembered, Scn, TableId};

    const TIME: WallMillis = WallMillis(100);

    fn entry(key: EntryKey<'_>, value: &[u8]) -> Entry {
        Entry { key: key.behind(&[]).into(), value: Bytes::copy_from_slice(value) }
    }

    fn document(key: &[u8], value: &[u8]) -> Entry {
        entry(EntryKey::Document { table: TableId(1), key }, value)
    }

    fn remembered(expires_ms: u64) -> Entry {
        let (time, expires) = (WallMillis(50), WallMillis(expires_ms));
        let answer = Bytes::from_static(b"answer");
        let value = remembered_value(&Remembered { time, expires, answer });
        entry(EntryKey::Remembered { key: b"r\0k\0\0\0" }, &value)
    }

    #[track_caller]
    fn check(left: &[Entry], right: &[Entry], want_equal: bool) {
        let digest = |list: &[Entry]| digest(list.iter().cloned().map(Ok), TIME).unwrap().digest;
        assert_eq!(digest(left) == digest(right), want_equal);
    }

    #[test]
    fn documents_their_indexes_and_live_answers_count() {
        let base = [document(b"a\0", b"1")];
        check(&base, &base, true);
        check(&base, &[document(b"a\0", b"2")], false);
        check(&base, &[document(b"b\0", b"1")], false);
        check(&base, &[], false);
        // Not even bytes that would read the same without their lengths.
        check(&[document(b"a\0", b"bc")], &[document(b"a\0b", b"c")], false);
        check(&[remembered(100)], &[], false);
        check(&[remembered(100)], &[remembered(101)], false);
        let index = EntryKey::Index { index: IndexId(1), place: b"x" };
        check(&[entry(index, b"a\0")], &[], false);
        let expiry = EntryKey::Expiry { time: WallMillis(1), table: TableId(1), key: b"a\0" };
        check(&[entry(expiry, b"")], &[], false);
    }

    #[test]
    fn what_may_differ_between_replicas_does_not_count() {
        check(&[remembered(99)], &[], true);
        let key = b"r\0k\0\0\0";
        let by_expiry = EntryKey::RememberedByExpiry { expires: WallMillis(100), key };
        check(&[entry(by_expiry, &bytes_value(1))], &[], true);
        check(&[entry(EntryKey::RememberedBytes, &bytes_value(1))], &[], true);
        check(&[entry(EntryKey::Bookmark { scn: Scn::ZERO }, b"x")], &[], true);
    }

    #[test]
    fn the_first_answer_to_expire_and_all_bytes_are_found() {
        let state = [document(b"a\0", b"1"), remembered(99), remembered(102), remembered(101)];
        let bytes = state.iter().map(|entry| (entry.key.len() + entry.value.len()) as u64).sum();
        let found = digest(state.into_iter().map(Ok), TIME).unwrap();
        assert_eq!((found.first_expiry, found.bytes), (Some(WallMillis(101)), bytes));
        let found = digest(std::iter::empty(), TIME).unwrap();
        assert_eq!((found.first_expiry, found.bytes), (None, 0));
    }

    #[test]
    fn an_error_on_the_way_is_no_digest() {
        let failed = StoreError::Failed { why: String::from("disk") };
        assert_eq!(digest([Err(failed.clone())].into_iter(), TIME), Err(failed));
        let alien = Entry { key: Bytes::from_static(b"\x09"), value: Bytes::new() };
        assert!(matches!(digest([Ok(alien)].into_iter(), TIME), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn the_digest_of_a_known_state_never_changes() {
        // Replicas of different releases compare digests, so this number is part of the format.
        let state = [document(b"a\0", b"1"), remembered(100)];
        let got = digest(state.into_iter().map(Ok), TIME).unwrap().digest;
        assert_eq!(format!("{got:032x}"), "17cf3659f0411929f3c2f64e36dd7e1e");
    }
}
