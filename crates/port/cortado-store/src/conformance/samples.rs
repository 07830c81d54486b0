//! Keys, documents and batches for the cases, and how they look at a store.

use crate::{Batch, ScanRange, SnapshotEntry, Store, StoreError, StoredDocument, View};
use bytes::Bytes;
use cortado_model::{
    DatabaseId, DocumentKey, Etag, Generation, PartitionId, Scn, Sequence, TableId, WallMillis,
};
use std::ops::Bound;

/// The partition of most cases.
pub(super) const HOME: PartitionId = partition(7, 1);
/// The table of most cases.
pub(super) const TABLE: TableId = TableId(1);

pub(super) const fn partition(database: u32, number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(database), number }
}

pub(super) fn scn(sequence: u64) -> Scn {
    Scn::new(Generation(1), Sequence(sequence))
}

/// A key from parts written with slashes, `a/b`.
pub(super) fn key(path: &str) -> DocumentKey {
    let parts: Vec<&str> = path.split('/').collect();
    DocumentKey::from_parts(&parts).expect("the cases write valid keys")
}

/// A document whose every field follows from `sequence`.
pub(super) fn document(sequence: u64, value: &str) -> StoredDocument {
    StoredDocument {
        etag: Etag(sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        scn: scn(sequence),
        time: WallMillis(1_000 + sequence),
        schema_version: sequence as u32 + 3,
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

/// A batch at `sequence` whose checkpoint is that number in decimal.
pub(super) fn batch(sequence: u64) -> Batch {
    Batch { checkpoint: Bytes::from(sequence.to_string()), ..Batch::default() }
}

/// [`batch`] with a document under each path.
pub(super) fn puts(sequence: u64, paths: &[&str]) -> Batch {
    let documents = paths.iter().map(|path| (TABLE, key(path), Some(document(sequence, path))));
    Batch { documents: documents.collect(), ..batch(sequence) }
}

#[track_caller]
pub(super) fn ok<T>(result: Result<T, StoreError>) -> T {
    result.expect("the store works")
}

#[track_caller]
pub(super) fn apply(store: &dyn Store, partition: PartitionId, batch: Batch) {
    ok(store.apply(partition, batch));
}

#[track_caller]
pub(super) fn view(store: &dyn Store, partition: PartitionId) -> Box<dyn View> {
    ok(store.view(partition))
}

/// The number that the checkpoint of a view holds, `None` without checkpoint.
#[track_caller]
pub(super) fn checkpoint(view: &dyn View) -> Option<u64> {
    let bytes = ok(view.checkpoint())?;
    let text = std::str::from_utf8(&bytes).expect("the cases write decimal checkpoints");
    Some(text.parse().expect("the cases write decimal checkpoints"))
}

/// Everything below `prefix`, ascending, nothing skipped.
pub(super) fn whole(prefix: &[u8]) -> ScanRange {
    let prefix = prefix.to_vec();
    ScanRange { table: TABLE, prefix, from: Bound::Unbounded, descending: false }
}

/// The keys of a scan as paths.
#[track_caller]
pub(super) fn paths(view: &dyn View, range: &ScanRange) -> Vec<String> {
    view.scan(range).map(|found| path(&ok(found).0)).collect()
}

pub(super) fn path(key: &DocumentKey) -> String {
    key.parts().collect::<Vec<_>>().join("/")
}

#[track_caller]
pub(super) fn entries(view: &dyn View) -> Vec<SnapshotEntry> {
    view.entries().map(|entry| ok(entry)).collect()
}
