//! The documents of the simulated workload: few keys, and values that are never written twice.
//!
//! Start reading at [`ValueId`].

use bytes::Bytes;
use cortado_model::{DocumentKey, Remembered, RememberedKey, StoredDocument, TableId};
use cortado_replica::{Change, Transaction};

/// The only table.
pub const TABLE: TableId = TableId(1);

/// One of a partition's few documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyNumber(pub u64);

impl KeyNumber {
    /// The key as replicas know it.
    pub fn to_key(self) -> DocumentKey {
        DocumentKey::from_parts(&["r", &self.0.to_string()]).expect("two short parts are a key")
    }

    /// The number of `key`.
    ///
    /// # Panics
    /// For a key that [`to_key`](Self::to_key) has not made: no others are written.
    pub fn of(key: &DocumentKey) -> KeyNumber {
        let number = key.parts().nth(1).and_then(|part| part.parse().ok());
        KeyNumber(number.expect("every key was made by `to_key`"))
    }
}

/// What a document holds: a number that one write alone has written, or 0 for no document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueId(pub u64);

impl ValueId {
    /// There is no document.
    pub const ABSENT: ValueId = ValueId(0);

    /// The value as JSON.
    pub fn to_json(self) -> Bytes {
        Bytes::from(format!("{{\"v\":{}}}", self.0))
    }

    /// The number in JSON that [`to_json`](Self::to_json) has made.
    ///
    /// # Panics
    /// For any other: no others are written.
    pub fn of_json(json: &[u8]) -> ValueId {
        let digits = json.iter().filter(|byte| byte.is_ascii_digit());
        let number = digits.fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        assert!(number > 0, "every value was made by `to_json`");
        ValueId(number)
    }

    /// What `change` leaves behind.
    pub fn after(change: &Change) -> ValueId {
        change.document.as_ref().map_or(ValueId::ABSENT, |d| ValueId::of_json(&d.json()))
    }
}

/// One try of a client to have something done; every try has its own number, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptId(pub u32);

impl AttemptId {
    /// The try that `transaction` came from: where values name a schema, or else how long the
    /// answer is remembered; `None` for a removal without an idempotency key.
    pub fn of(transaction: &Transaction) -> Option<AttemptId> {
        let documents = transaction.changes.iter().find_map(|change| change.document.as_ref());
        if let Some(document) = documents {
            return Some(AttemptId(document.head.schema_version));
        }
        let ttl_ms = transaction.idempotency.first()?.ttl_ms?;
        ttl_ms.checked_sub(TTL_MS).map(AttemptId)
    }

    /// For how long the answer is remembered, if that alone names the try: for longer than any
    /// world lasts.
    pub fn to_ttl_ms(self) -> u32 {
        TTL_MS + self.0
    }
}

/// 11 hours: no wall clock here jumps so far.
const TTL_MS: u32 = 40_000_000;

/// A number for one remembered answer.
pub fn remembered_hash(name: &RememberedKey, remembered: &Remembered) -> u64 {
    let seed = remembered.expires.0 ^ remembered.time.0.rotate_left(32);
    hash_of(seed, name.as_bytes().iter().chain(&remembered.answer))
}

/// A number for one document's state; the sum over all documents stands for a partition's state.
pub fn document_hash(key: &DocumentKey, document: &StoredDocument) -> u64 {
    hash_of(document.head.etag.0, key.as_bytes().iter().chain(document.image()))
}

fn hash_of<'a>(seed: u64, bytes: impl Iterator<Item = &'a u8>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^ (hash >> 31)
}

/// The name of operation `index` of what was sent under an idempotency key: these documents are
/// all of one resource.
pub fn remembered_key(key: &[u8], index: u16) -> RememberedKey {
    RememberedKey::new("r", key, index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{DocumentHead, Etag, Scn, WallMillis};

    #[test]
    fn keys_and_values_are_read_as_written() {
        assert_eq!(KeyNumber::of(&KeyNumber(12).to_key()), KeyNumber(12));
        assert_eq!(ValueId::of_json(&ValueId(907).to_json()), ValueId(907));
    }

    #[test]
    fn a_state_has_one_hash() {
        let (key, other) = (KeyNumber(1).to_key(), KeyNumber(2).to_key());
        let document = |etag, json: &[u8]| {
            let etag = Etag(etag);
            let (scn, time) = (Scn::ZERO, WallMillis(1));
            StoredDocument::new(
                DocumentHead { schema_version: 1, etag, scn, time, expires: None },
                json,
            )
        };
        let hash = document_hash(&key, &document(1, b"x"));
        assert_ne!(hash, document_hash(&other, &document(1, b"x")));
        assert_ne!(hash, document_hash(&key, &document(2, b"x")));
        assert_ne!(hash, document_hash(&key, &document(1, b"y")));
    }
}
