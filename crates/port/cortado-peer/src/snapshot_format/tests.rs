//! A snapshot arrives whole, however it is cut, or not at all.

use super::*;
use cortado_model::limits::DOCUMENT_BYTES_MAX;
use cortado_model::{
    Batch, ClusterUuid, DocumentHead, DocumentKey, Etag, Generation, LogId, PartitionUuid,
    Remembered, RememberedKey, Sequence, StoredDocument, TableId, WallMillis,
};
use cortado_replica::{Genesis, PartitionIdentity, ReplicaSet};
use cortado_store::{MemoryStore, Store};
use proptest::prelude::*;

const PARTITION: PartitionId = PartitionId { database: DatabaseId(3), number: 1 };

fn fold() -> FoldState {
    let identity = PartitionIdentity {
        partition: PartitionUuid(7),
        cluster: ClusterUuid(7),
        database: PARTITION.database,
        number: 1,
    };
    let genesis = Genesis::new(identity, ReplicaSet::default());
    let mut fold = FoldState::before(genesis, LogId::UNKNOWN);
    fold.last = Scn::new(Generation(2), Sequence(40));
    fold.position.offset = LogOffset(57);
    fold
}

/// A replica with documents of all sizes up to the largest, an answer and a bookmark.
fn replica() -> MemoryStore {
    let store = MemoryStore::new();
    let small = (0..200).map(|number| number * number);
    let large = [CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES, DOCUMENT_BYTES_MAX];
    store.apply_one(PARTITION, batch(small.chain(large))).unwrap();
    store
}

/// Documents of these sizes, an answer and a bookmark.
fn batch(sizes: impl Iterator<Item = usize>) -> Batch {
    let documents = sizes.enumerate().map(|(number, value_bytes)| {
        let key = DocumentKey::from_parts(&["r".to_owned(), format!("{number:03}")]).unwrap();
        let head = DocumentHead {
            schema_version: 0,
            etag: Etag(number as u64),
            scn: Scn::ZERO,
            time: WallMillis(5),
            expires: None,
        };
        let document = StoredDocument::new(head, &vec![b'x'; value_bytes]);
        (TableId(1), key, Some(document))
    });
    let documents = documents.collect();
    let (time, expires) = (WallMillis(5), WallMillis(6));
    let remembered = Remembered { time, expires, answer: Bytes::from_static(b"answer") };
    let remember = vec![(RememberedKey::new("r", b"k", 0), remembered)];
    let bookmarks = vec![(Scn::new(Generation(2), Sequence(1)), fold().encode())];
    let checkpoint = fold().encode();
    Batch { documents, remember, bookmarks, checkpoint, ..Batch::default() }
}

fn write(store: &MemoryStore, sink: impl FnMut(Bytes) -> bool) -> Result<bool, StoreError> {
    let view = store.view(PARTITION).unwrap();
    let checkpoint = view.checkpoint().unwrap().unwrap();
    write_snapshot(PARTITION, &checkpoint, view.entries(None), sink)
}

fn snapshot_of(store: &MemoryStore) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = write(store, |chunk| {
        bytes.extend_from_slice(&chunk);
        true
    });
    assert_eq!(written, Ok(true));
    bytes
}

fn install(chunks: impl Iterator<Item = Bytes>) -> Result<MemoryStore, StoreError> {
    let (name, mut entries) = SnapshotReader::open(chunks)?;
    assert_eq!((name.partition, name.scn, name.offset), (PARTITION, fold().last, LogOffset(57)));
    let store = MemoryStore::new();
    store.install(PARTITION, &mut entries, name.checkpoint)?;
    Ok(store)
}

fn entries(store: &MemoryStore) -> Vec<Entry> {
    store.view(PARTITION).unwrap().entries(None).map(Result::unwrap).collect()
}

#[test]
fn a_snapshot_arrives_however_it_is_cut() {
    let origin = replica();
    let bytes = snapshot_of(&origin);
    for chunk_bytes in [1, 7, 4_096, bytes.len()] {
        let chunks = bytes.chunks(chunk_bytes).map(Bytes::copy_from_slice);
        let copy = install(chunks).unwrap();
        assert_eq!(entries(&copy), entries(&origin));
        let checkpoint = copy.view(PARTITION).unwrap().checkpoint().unwrap().unwrap();
        assert_eq!(FoldState::decode(&checkpoint).unwrap(), fold());
    }
}

/// A snapshot of version 1 as it was when that was released. The file never changes: a build that
/// cannot read it can copy nothing from the one before.
#[test]
fn the_bytes_of_version_1_do_not_change() {
    let golden = include_str!("../../testdata/snapshot-v1.hex").trim();
    let pairs = golden.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    let origin = MemoryStore::new();
    origin.apply_one(PARTITION, batch([3].into_iter())).unwrap();
    let hex: String = snapshot_of(&origin).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden);
    let copy = install(std::iter::once(bytes.into())).unwrap();
    assert_eq!(entries(&copy), entries(&origin));
}

#[track_caller]
fn check_refused(bytes: &[u8]) {
    let Err(error) = install(bytes.chunks(50_000).map(Bytes::copy_from_slice)) else {
        panic!("installed")
    };
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let bytes = snapshot_of(&replica());
    for cut in [0, 3, 31, 40, 1_000, bytes.len() / 2, bytes.len() - 17, bytes.len() - 1] {
        check_refused(&bytes[..cut]);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    check_refused(&longer);
    // A bit of a value, of the count, of the checksum: nothing else would notice.
    for place in [bytes.len() / 2, bytes.len() - 20, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        check_refused(&damaged);
    }
}

#[test]
fn a_sink_that_has_gone_away_ends_the_writer() {
    let mut chunks = 0;
    let written = write(&replica(), |_| {
        chunks += 1;
        chunks < 3
    });
    assert_eq!((written, chunks), (Ok(false), 3));
}

proptest! {
    /// No bytes panic, with or without the beginning of a snapshot, and none of them is whole.
    #[test]
    fn reading_a_snapshot_is_total(
        begun in 0_usize..400,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let store = MemoryStore::new();
        let batch = Batch { checkpoint: fold().encode(), ..Batch::default() };
        store.apply_one(PARTITION, batch).unwrap();
        let whole = snapshot_of(&store);
        let begun = &whole[..begun.min(whole.len() - 1)];
        let chunks = [begun, &bytes].map(Bytes::copy_from_slice);
        if let Ok((_, entries)) = SnapshotReader::open(chunks.into_iter()) {
            let last = entries.last();
            prop_assert!(matches!(last, Some(Err(_))) || bytes == whole[begun.len()..]);
        }
    }
}
