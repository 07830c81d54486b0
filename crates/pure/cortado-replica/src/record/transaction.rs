//! Transactions as bytes: changes and idempotency entries of parts that a later build can add to.
//!
//! A part that is not known is passed over, unless its tag says that it must not be.
//! Start reading at [`put_transaction`]; the bytes are described in docs/formats/record.md.

use super::decode_error::{DecodeError, Need};
use super::field::{get, get_bytes, put_bytes, put_sized};
use super::{Change, Idempotency, IndexAction, IndexChange, Transaction};
use alloc::vec::Vec;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use core::ops::Range;
use cortado_model::{
    DOCUMENT_HEAD_BYTES, DocumentHead, DocumentKey, ImageError, RememberedKey, Scn, StoredDocument,
    TableId, WallMillis,
};

/// The bit of a part's tag that says: who does not know this part cannot read the record.
const CRITICAL: u8 = 0x80;

/// Parts of a change.
const DOCUMENT: u8 = CRITICAL | 1;
const BEFORE: u8 = 2;
const INDEX_ADD: u8 = CRITICAL | 3;
const INDEX_REMOVE: u8 = CRITICAL | 4;

/// Parts of an idempotency entry.
const TTL: u8 = CRITICAL | 1;

impl Transaction {
    /// Whether every document that it writes says that it was written there and then.
    pub(crate) fn is_at(&self, scn: Scn, time: WallMillis) -> bool {
        let mut documents = self.changes.iter().filter_map(|change| change.document.as_ref());
        documents.all(|document| (document.head.scn, document.head.time) == (scn, time))
    }
}

pub(super) fn put_transaction(out: &mut BytesMut, transaction: &Transaction) {
    put_idempotency(out, &transaction.idempotency);
    // At most 1,000 changes.
    out.put_u32_le(transaction.changes.len() as u32);
    for change in &transaction.changes {
        put_change(out, change.table, &change.key, |out| {
            if let Some(document) = &change.document {
                put_part(out, DOCUMENT, |out| out.put_slice(document.image()));
            }
            if let Some(before) = &change.before {
                put_part(out, BEFORE, |out| out.put_slice(before.image()));
            }
            put_index(out, &change.index);
        });
    }
}

/// Writes a change; `parts` writes its parts. What is no value is a removal.
pub(super) fn put_change(
    out: &mut BytesMut,
    table: TableId,
    key: &DocumentKey,
    parts: impl FnOnce(&mut BytesMut),
) {
    put_sized(out, |out| {
        out.put_u32_le(table.0);
        put_bytes(out, key.as_bytes());
        parts(out);
    });
}

/// Writes a new value, its head first; answers where the image stands in `out`.
pub(super) fn put_document(out: &mut BytesMut, head: &DocumentHead, json: &[u8]) -> Range<usize> {
    let mut range = 0..0;
    put_part(out, DOCUMENT, |out| {
        range.start = out.len();
        head.write(out);
        out.put_slice(json);
        range.end = out.len();
    });
    range
}

/// Writes the value that was there before.
pub(super) fn put_before(out: &mut BytesMut, before: &StoredDocument) -> Range<usize> {
    let mut range = 0..0;
    put_part(out, BEFORE, |out| {
        range.start = out.len();
        out.put_slice(before.image());
        range.end = out.len();
    });
    range
}

/// Writes what becomes of index entries.
pub(super) fn put_index(out: &mut BytesMut, changes: &[IndexChange]) {
    for change in changes {
        let tag = match change.action {
            IndexAction::Add => INDEX_ADD,
            IndexAction::Remove => INDEX_REMOVE,
        };
        put_part(out, tag, |out| {
            out.put_u32_le(change.index);
            out.put_slice(&change.entry);
        });
    }
}

pub(super) fn put_idempotency(out: &mut BytesMut, entries: &[Idempotency]) {
    out.put_u32_le(entries.len() as u32);
    for entry in entries {
        put_sized(out, |out| {
            put_bytes(out, entry.name.as_bytes());
            out.put_u128_le(entry.fingerprint);
            // At most 1,000 operations.
            out.put_u32_le(entry.statuses.len() as u32);
            entry.statuses.iter().for_each(|status| out.put_u16_le(*status));
            if let Some(ttl_ms) = entry.ttl_ms {
                put_part(out, TTL, |out| out.put_u32_le(ttl_ms));
            }
        });
    }
}

/// About how many bytes a transaction needs.
pub(super) fn transaction_bytes(transaction: &Transaction) -> usize {
    let image = |document: &Option<StoredDocument>| {
        document.as_ref().map_or(0, |document| document.image().len())
    };
    let changes = transaction.changes.iter().map(|change| {
        let entries = change.index.iter().map(|index| 16 + index.entry.len()).sum::<usize>();
        32 + change.key.as_bytes().len() + image(&change.document) + image(&change.before) + entries
    });
    64 + idempotency_bytes(&transaction.idempotency) + changes.sum::<usize>()
}

/// About how many bytes idempotency entries need.
pub(super) fn idempotency_bytes(entries: &[Idempotency]) -> usize {
    let bytes = entries.iter();
    bytes.map(|entry| 64 + entry.name.as_bytes().len() + 2 * entry.statuses.len()).sum()
}

/// About how many bytes a change needs besides key, document and index entries.
pub(super) const CHANGE_BYTES: usize = 32 + DOCUMENT_HEAD_BYTES;

pub(super) fn get_transaction(input: &mut Bytes) -> Result<Transaction, DecodeError> {
    let count = get(input, Bytes::try_get_u32_le)?;
    let mut idempotency = Vec::new();
    for _ in 0..count {
        idempotency.push(get_idempotency(&mut get_bytes(input)?)?);
    }
    let count = get(input, Bytes::try_get_u32_le)?;
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.push(get_change(&mut get_bytes(input)?)?);
    }
    Ok(Transaction { changes, idempotency })
}

fn get_change(input: &mut Bytes) -> Result<Change, DecodeError> {
    let table = TableId(get(input, Bytes::try_get_u32_le)?);
    let key = DocumentKey::from_bytes(get_bytes(input)?.to_vec())
        .ok_or(DecodeError::Damaged("a key has no parts"))?;
    let mut change = Change { table, key, document: None, before: None, index: Vec::new() };
    while input.has_remaining() {
        let (tag, mut part) = get_part(input)?;
        match tag {
            DOCUMENT => change.document = Some(get_image(part)?),
            BEFORE => change.before = Some(get_image(part)?),
            INDEX_ADD | INDEX_REMOVE => {
                let action = match tag {
                    INDEX_ADD => IndexAction::Add,
                    _ => IndexAction::Remove,
                };
                let index = get(&mut part, Bytes::try_get_u32_le)?;
                change.index.push(IndexChange { index, action, entry: part });
            }
            unknown => pass_over(unknown)?,
        }
    }
    Ok(change)
}

fn get_idempotency(input: &mut Bytes) -> Result<Idempotency, DecodeError> {
    let name = RememberedKey::from_bytes(get_bytes(input)?)
        .ok_or(DecodeError::Damaged("an idempotency entry names no operation"))?;
    let fingerprint = get(input, Bytes::try_get_u128_le)?;
    let count = get(input, Bytes::try_get_u32_le)?;
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(get(input, Bytes::try_get_u16_le)?);
    }
    let mut entry = Idempotency { name, fingerprint, statuses, ttl_ms: None };
    while input.has_remaining() {
        let (tag, mut part) = get_part(input)?;
        match tag {
            TTL => entry.ttl_ms = Some(get(&mut part, Bytes::try_get_u32_le)?),
            unknown => pass_over(unknown)?,
        }
    }
    Ok(entry)
}

/// A document as a slice of the record.
pub(super) fn get_image(image: Bytes) -> Result<StoredDocument, DecodeError> {
    StoredDocument::from_image(image).map_err(|error| match error {
        ImageError::Damaged => DecodeError::Damaged("a document's head is damaged"),
        ImageError::UnknownVersion { version } => Need::DocumentVersion(version).into(),
    })
}

fn put_part(out: &mut BytesMut, tag: u8, part: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    put_sized(out, part);
}

fn get_part(input: &mut Bytes) -> Result<(u8, Bytes), DecodeError> {
    let tag = get(input, Bytes::try_get_u8)?;
    Ok((tag, get_bytes(input)?))
}

/// A newer build has written a part with this tag.
fn pass_over(tag: u8) -> Result<(), DecodeError> {
    match tag & CRITICAL {
        0 => Ok(()),
        _ => Err(Need::Part(tag).into()),
    }
}
