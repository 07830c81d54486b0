//! Keys, documents and batches for the cases, and how they look at a store.

use crate::{Store, StoreError, View};
use bytes::Bytes;
use cortado_model::{
    Batch, DatabaseId, DocumentHead, DocumentKey, Entry, EntryRange, Etag, Generation, PartitionId,
    Remembered, RememberedKey, Scn, Sequence, StoredDocument, TableId, WallMillis,
};

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
    let head = DocumentHead {
        schema_version: sequence as u32 + 3,
        etag: Etag(sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        scn: scn(sequence),
        time: WallMillis(1_000 + sequence),
        expires: sequence.is_multiple_of(3).then_some(WallMillis(90_000 + sequence)),
    };
    StoredDocument::new(head, value.as_bytes())
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
    ok(store.apply_one(partition, batch));
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

/// The name of what was sent to one resource under an idempotency key.
pub(super) fn remembered_key(key: &str) -> RememberedKey {
    RememberedKey::new("resource", key.as_bytes(), 0)
}

/// An answer that was given at `sequence` and expires 100 ms later.
pub(super) fn answer(sequence: u64) -> Remembered {
    let answer = Bytes::from(format!("answer-{sequence}"));
    Remembered { time: WallMillis(sequence), expires: WallMillis(100 + sequence), answer }
}

/// Everything below `prefix`, ascending, nothing skipped.
pub(super) fn whole(prefix: &[u8]) -> EntryRange {
    EntryRange::documents(TABLE, prefix)
}

/// The keys of a range of documents as paths.
#[track_caller]
pub(super) fn paths(view: &dyn View, range: &EntryRange) -> Vec<String> {
    view.documents(range).map(|found| path(&ok(found).0)).collect()
}

pub(super) fn path(key: &DocumentKey) -> String {
    key.parts().collect::<Vec<_>>().join("/")
}

#[track_caller]
pub(super) fn entries(view: &dyn View) -> Vec<Entry> {
    view.entries(None).map(|entry| ok(entry)).collect()
}
