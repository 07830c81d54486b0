//! The values of a partition's entries, the same in every store: docs/formats/store.md.
//!
//! Their keys are [`EntryKey`]s. Decides nothing about where an implementation puts them. Start
//! reading at [`parse_document`].

use bytes::Bytes;
use cortado_model::StoreError;
use cortado_model::{
    DocumentKey, Entry, EntryKey, Remembered, RememberedKey, Scn, StoredDocument, WallMillis,
};

/// The first byte of a remembered answer: the version of its layout.
const REMEMBERED_VERSION: u8 = 2;
/// The first byte of the progress of a snapshot: the version of its layout.
const PROGRESS_VERSION: u8 = 2;
/// Version, log time, expiry.
const REMEMBERED_HEAD_BYTES: usize = 1 + 8 + 8;

/// Reads an entry's key.
///
/// # Errors
/// [`StoreError::Damaged`] for bytes that no entry has as its key.
pub fn parse_key(bytes: &[u8]) -> Result<EntryKey<'_>, StoreError> {
    EntryKey::parse(bytes).ok_or_else(|| damaged("key", bytes))
}

/// Reads the document key of an entry key that lies in the space of documents.
///
/// # Errors
/// [`StoreError::Damaged`] for any other key.
pub fn document_key(bytes: &[u8]) -> Result<DocumentKey, StoreError> {
    let EntryKey::Document { key, .. } = parse_key(bytes)? else {
        return Err(damaged("document key", bytes));
    };
    DocumentKey::from_bytes(key.to_vec()).ok_or_else(|| damaged("document key", bytes))
}

/// Reads the value of a document's entry: its image, kept rather than copied.
///
/// # Errors
/// [`StoreError::Damaged`] for any other bytes.
pub fn parse_document(image: Bytes) -> Result<StoredDocument, StoreError> {
    StoredDocument::from_image(image)
        .map_err(|error| StoreError::Damaged { why: error.to_string() })
}

/// The value of a remembered answer's entry: 17 bytes of head, then the answer.
pub fn remembered_value(remembered: &Remembered) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(REMEMBERED_HEAD_BYTES + remembered.answer.len());
    bytes.push(REMEMBERED_VERSION);
    bytes.extend_from_slice(&remembered.time.0.to_be_bytes());
    bytes.extend_from_slice(&remembered.expires.0.to_be_bytes());
    bytes.extend_from_slice(&remembered.answer);
    bytes
}

/// Reads what [`remembered_value`] wrote; the answer is a slice of `bytes`.
///
/// # Errors
/// [`StoreError::Damaged`] for any other bytes.
pub fn parse_remembered(bytes: Bytes) -> Result<Remembered, StoreError> {
    let Some((time, expires)) = remembered_head(&bytes) else {
        return Err(damaged("remembered answer", &bytes));
    };
    Ok(Remembered { time, expires, answer: bytes.slice(REMEMBERED_HEAD_BYTES..) })
}

fn remembered_head(bytes: &[u8]) -> Option<(WallMillis, WallMillis)> {
    let (version, rest) = bytes.split_first()?;
    let (time, rest) = rest.split_first_chunk()?;
    let (expires, _) = rest.split_first_chunk()?;
    let times = (WallMillis(u64::from_be_bytes(*time)), WallMillis(u64::from_be_bytes(*expires)));
    (*version == REMEMBERED_VERSION).then_some(times)
}

/// An answer as it stands among those that expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// When: log time.
    pub expires: WallMillis,
    /// Its name.
    pub key: RememberedKey,
    /// What it takes in the store.
    pub bytes: u64,
}

/// Reads an entry in the space of answers that expire.
///
/// # Errors
/// [`StoreError::Damaged`] for any other entry.
pub fn expiring(key: &Bytes, value: &[u8]) -> Result<Expiring, StoreError> {
    let EntryKey::RememberedByExpiry { expires, key: name } = parse_key(key)? else {
        return Err(damaged("expiry of an answer", key));
    };
    let (key, bytes) = (remembered_key(key.slice_ref(name))?, parse_bytes(value)?);
    Ok(Expiring { expires, key, bytes })
}

/// Reads the position that the key of a bookmark names.
///
/// # Errors
/// [`StoreError::Damaged`] for any other key.
pub fn bookmark_scn(key: &[u8]) -> Result<Scn, StoreError> {
    let EntryKey::Bookmark { scn } = parse_key(key)? else {
        return Err(damaged("bookmark", key));
    };
    Ok(scn)
}

/// The value of an entry that counts bytes.
pub fn bytes_value(bytes: u64) -> Bytes {
    Bytes::copy_from_slice(&bytes.to_be_bytes())
}

/// Reads what [`bytes_value`] wrote.
///
/// # Errors
/// [`StoreError::Damaged`] for any other bytes.
pub fn parse_bytes(value: &[u8]) -> Result<u64, StoreError> {
    let number = value.try_into().map_err(|_| damaged("number of bytes", value))?;
    Ok(u64::from_be_bytes(number))
}

/// How far the snapshot `name` has been installed: up to the entry with the key `after`.
///
/// * `name`: 255 bytes at most.
pub fn progress_value(name: &[u8], after: Option<&[u8]>) -> Bytes {
    let len = u8::try_from(name.len()).expect("the name of a snapshot has 255 bytes at most");
    [&[PROGRESS_VERSION, len], name, after.unwrap_or_default()].concat().into()
}

/// Reads what [`progress_value`] wrote. No entry has an empty key.
///
/// # Errors
/// [`StoreError::Damaged`] for any other bytes.
pub fn parse_progress(value: &Bytes) -> Result<(Bytes, Option<Bytes>), StoreError> {
    let split = match &value[..] {
        [PROGRESS_VERSION, len, rest @ ..] => rest.split_at_checked(usize::from(*len)),
        _ => None,
    };
    let (name, after) = split.ok_or_else(|| damaged("progress of a snapshot", value))?;
    let after = (!after.is_empty()).then(|| value.slice_ref(after));
    Ok((value.slice_ref(name), after))
}

/// Whether `next` may follow `previous` in a snapshot.
///
/// # Errors
/// [`StoreError::Damaged`] for an entry of no known format, one that is a replica's own, or one out
/// of order.
pub fn check_snapshot_entry(previous: Option<&[u8]>, next: &Entry) -> Result<(), StoreError> {
    let key = parse_key(&next.key)?;
    if !key.space().is_in_snapshots() {
        return Err(damaged("snapshot: an entry of the sender's own", &next.key));
    }
    match key {
        EntryKey::Document { .. } => {
            document_key(&next.key)?;
            parse_document(next.value.clone())?;
        }
        EntryKey::Remembered { key } => {
            remembered_key(next.key.slice_ref(key))?;
            parse_remembered(next.value.clone())?;
        }
        EntryKey::RememberedByExpiry { key, .. } => {
            remembered_key(next.key.slice_ref(key))?;
            parse_bytes(&next.value)?;
        }
        EntryKey::RememberedBytes => {
            parse_bytes(&next.value)?;
        }
        EntryKey::Index { .. }
        | EntryKey::Expiry { .. }
        | EntryKey::Bookmark { .. }
        | EntryKey::InstallProgress
        | EntryKey::Checkpoint => {}
    }
    if previous.is_some_and(|previous| previous >= &next.key[..]) {
        return Err(damaged("snapshot: entry out of order", &next.key));
    }
    Ok(())
}

fn remembered_key(bytes: Bytes) -> Result<RememberedKey, StoreError> {
    RememberedKey::from_bytes(bytes.clone()).ok_or_else(|| damaged("idempotency key", &bytes))
}

/// Says what could not be read and how it begins.
fn damaged(what: &str, bytes: &[u8]) -> StoreError {
    let head = &bytes[..bytes.len().min(48)];
    StoreError::Damaged { why: format!("{what} of {} bytes: {}", bytes.len(), head.escape_ascii()) }
}

#[cfg(test)]
mod tests;
