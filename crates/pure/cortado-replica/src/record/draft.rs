//! Writes before they have a place: what the leader encodes as soon as SCN and time are known.
//!
//! Head and JSON of a document are written into the record and never copied again: what the leader
//! applies are slices of it. Start reading at [`encode_draft`].

use super::frame::FrameWriter;
use super::transaction::{
    CHANGE_BYTES, get_image, idempotency_bytes, put_before, put_change, put_document,
    put_idempotency, put_index,
};
use super::{
    Body, ChainHash, Change, Header, Idempotency, IndexChange, Kind, Record, Transaction, etag_of,
};
use alloc::vec::Vec;
use bytes::{BufMut, Bytes};
use core::ops::Range;
use cortado_model::{
    DocumentHead, DocumentKey, PartitionUuid, StoredDocument, TableId, WallMillis,
};

/// A transaction with everything decided but its place.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// What becomes of which documents: at most 1,000, none twice.
    pub changes: Vec<DraftChange>,
    /// Under which keys its answer is remembered.
    pub idempotency: Vec<Idempotency>,
}

/// A change before its etag.
#[derive(Clone, Debug)]
pub struct DraftChange {
    /// The table.
    pub table: TableId,
    /// The document.
    pub key: DocumentKey,
    /// The new value, `None` for a removal.
    pub value: Option<DraftValue>,
    /// The state before, where the table keeps it.
    pub before: Option<StoredDocument>,
    /// What becomes of entries of the table's indexes.
    pub index: Vec<IndexChange>,
}

/// A document's new value.
#[derive(Clone, Debug)]
pub struct DraftValue {
    /// The table's schema that it was checked against; 0 for none.
    pub schema_version: u32,
    /// Log time from which on it counts as deleted; `None` for never.
    pub expires: Option<WallMillis>,
    /// A JSON object.
    pub json: Bytes,
}

/// Where the images of one change stand in the record.
struct Images {
    document: Option<Range<usize>>,
    before: Option<Range<usize>>,
}

/// Writes `draft` as the record of `partition` that stands at `header` and follows `previous`.
///
/// * `level`: the partition's feature level.
pub(crate) fn encode_draft(
    (partition, level): (PartitionUuid, u16),
    header: Header,
    draft: Draft,
    previous: ChainHash,
) -> (Bytes, ChainHash, Record) {
    let etag = etag_of(partition, header.scn);
    let bytes = draft_bytes(&draft);
    let mut frame = FrameWriter::new((partition, level), &header, Kind::TRANSACTION, bytes);
    put_idempotency(&mut frame.out, &draft.idempotency);
    // At most 1,000 changes.
    frame.out.put_u32_le(draft.changes.len() as u32);
    let mut images = Vec::with_capacity(draft.changes.len());
    for change in &draft.changes {
        let mut at = Images { document: None, before: None };
        put_change(&mut frame.out, change.table, &change.key, |out| {
            at.document = change.value.as_ref().map(|value| {
                let DraftValue { schema_version, expires, json } = value;
                let (schema_version, expires) = (*schema_version, *expires);
                let (scn, time) = (header.scn, header.time);
                let head = DocumentHead { schema_version, etag, scn, time, expires };
                put_document(out, &head, json)
            });
            at.before = change.before.as_ref().map(|before| put_before(out, before));
            put_index(out, &change.index);
        });
        images.push(at);
    }
    let (bytes, chain) = frame.finish(previous);
    let image = |range| get_image(bytes.slice(range)).expect("its head was just written");
    let changes = draft.changes.into_iter().zip(images).map(|(change, at)| Change {
        table: change.table,
        key: change.key,
        document: at.document.map(image),
        before: at.before.map(image),
        index: change.index,
    });
    let changes = changes.collect();
    let transaction = Transaction { changes, idempotency: draft.idempotency };
    (bytes, chain, Record { header, body: Body::Transaction(transaction) })
}

/// About how many bytes the body needs.
fn draft_bytes(draft: &Draft) -> usize {
    let changes = draft.changes.iter().map(|change| {
        let value = change.value.as_ref().map_or(0, |value| value.json.len());
        let before = change.before.as_ref().map_or(0, |before| before.image().len());
        let entries = change.index.iter().map(|index| 16 + index.entry.len()).sum::<usize>();
        CHANGE_BYTES + change.key.as_bytes().len() + value + before + entries
    });
    64 + idempotency_bytes(&draft.idempotency) + changes.sum::<usize>()
}
