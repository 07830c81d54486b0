//! One number for the state of a partition, to compare replicas by.
//!
//! Start reading at [`digest`].

use crate::encoding::{EntryKey, parse_remembered};
use crate::{SnapshotEntry, StoreError};
use cortado_model::WallMillis;
use xxhash_rust::xxh3::Xxh3;

/// Hashes the documents and the remembered answers of [`View::entries`](crate::View::entries).
///
/// Equal for replicas of one partition at one SCN. Left out is what may differ between them:
/// bookmarks, and answers remembered before `forgotten_before`, which replicas forget at different
/// moments. Give the horizon that belongs to the SCN: its log time less the retention.
///
/// # Errors
/// What the entries bring, or [`StoreError::Damaged`] for one that is none.
///
/// Source: docs/formats/store.md, "Digest".
pub fn digest(
    entries: impl Iterator<Item = Result<SnapshotEntry, StoreError>>,
    forgotten_before: WallMillis,
) -> Result<u128, StoreError> {
    let mut hasher = Xxh3::new();
    for entry in entries {
        let entry = entry?;
        let counts = match EntryKey::parse(&entry.key)? {
            EntryKey::Document { .. } => true,
            EntryKey::Remembered { .. } => {
                parse_remembered(entry.value.clone())?.time >= forgotten_before
            }
            EntryKey::RememberedByTime { .. }
            | EntryKey::Bookmark { .. }
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
    Ok(hasher.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::remembered_value;
    use bytes::Bytes;
    use cortado_model::{Scn, TableId};

    const HORIZON: WallMillis = WallMillis(100);

    fn entry(key: EntryKey<'_>, value: &[u8]) -> SnapshotEntry {
        let value = Bytes::copy_from_slice(value);
        SnapshotEntry { key: key.behind(&[]).into(), value }
    }

    fn document(key: &[u8], value: &[u8]) -> SnapshotEntry {
        entry(EntryKey::Document { table: TableId(1), key }, value)
    }

    fn remembered(time_ms: u64) -> SnapshotEntry {
        let value = remembered_value(WallMillis(time_ms), b"answer");
        entry(EntryKey::Remembered { key: b"k" }, &value)
    }

    #[track_caller]
    fn check(left: &[SnapshotEntry], right: &[SnapshotEntry], want_equal: bool) {
        let digest = |list: &[SnapshotEntry]| digest(list.iter().cloned().map(Ok), HORIZON);
        assert_eq!(digest(left).unwrap() == digest(right).unwrap(), want_equal);
    }

    #[test]
    fn documents_and_live_answers_count() {
        let base = [document(b"a\0", b"1")];
        check(&base, &base, true);
        check(&base, &[document(b"a\0", b"2")], false);
        check(&base, &[document(b"b\0", b"1")], false);
        check(&base, &[], false);
        // Not even bytes that would read the same without their lengths.
        check(&[document(b"a\0", b"bc")], &[document(b"a\0b", b"c")], false);
        check(&[remembered(100)], &[], false);
        check(&[remembered(100)], &[remembered(101)], false);
    }

    #[test]
    fn what_may_differ_between_replicas_does_not_count() {
        check(&[remembered(99)], &[], true);
        let by_time = EntryKey::RememberedByTime { time: WallMillis(100), key: b"k" };
        check(&[entry(by_time, b"")], &[], true);
        check(&[entry(EntryKey::Bookmark { scn: Scn::ZERO }, b"x")], &[], true);
    }

    #[test]
    fn an_error_on_the_way_is_no_digest() {
        let failed = StoreError::Failed { why: String::from("disk") };
        assert_eq!(digest([Err(failed.clone())].into_iter(), HORIZON), Err(failed));
        let alien = SnapshotEntry { key: Bytes::from_static(b"\x09"), value: Bytes::new() };
        assert!(matches!(
            digest([Ok(alien)].into_iter(), HORIZON),
            Err(StoreError::Damaged { .. })
        ));
    }

    #[test]
    fn the_digest_of_a_known_state_never_changes() {
        // Replicas of different releases compare digests, so this number is part of the format.
        let state = [document(b"a\0", b"1"), remembered(100)];
        let got = digest(state.into_iter().map(Ok), HORIZON).unwrap();
        assert_eq!(format!("{got:032x}"), "12862d07cc15257c60dee568a6471d34");
    }
}
