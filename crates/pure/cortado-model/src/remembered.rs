//! Answers that are kept to be repeated, and the names under which they are found.
//!
//! Start reading at [`RememberedKey`].

use crate::WallMillis;
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// Names the answer to one operation that was sent under an idempotency key.
///
/// A key belongs to the resource that it writes: the same key of two resources is two names. The
/// bytes are those of docs/formats/store.md: resource, zero byte, key, zero byte, index.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RememberedKey(Bytes);

/// Behind the key: a zero byte and the index.
const TAIL_BYTES: usize = 1 + 2;

impl RememberedKey {
    /// Names operation `index` of what was sent under `key`.
    ///
    /// * `resource`: without zero bytes, as the [first part](crate::DocumentKey::resource) of a
    ///   document's key is.
    /// * `key`: the client's, 1 to 255 bytes.
    /// * `index`: the operation's place in a bulk, from 0; 0 for everything that is not a bulk.
    pub fn new(resource: &str, key: &[u8], index: u16) -> RememberedKey {
        let mut bytes = Vec::with_capacity(resource.len() + 1 + key.len() + TAIL_BYTES);
        bytes.extend_from_slice(resource.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(key);
        bytes.push(0);
        bytes.extend_from_slice(&index.to_be_bytes());
        RememberedKey(bytes.into())
    }

    /// Takes bytes that [`as_bytes`](Self::as_bytes) gave; `None` if they name no operation.
    pub fn from_bytes(bytes: Bytes) -> Option<RememberedKey> {
        let (resource, key, _) = split(&bytes)?;
        let readable = !resource.is_empty() && core::str::from_utf8(resource).is_ok();
        let in_bounds = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
        (readable && in_bounds).then_some(RememberedKey(bytes))
    }

    /// The encoded form.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// Resource, key and index.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], u16)> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (resource, rest) = bytes.split_at(end);
    let (rest, index) = rest.split_last_chunk::<2>()?;
    // One zero byte on either side of the key.
    let key = rest.strip_prefix(&[0])?.strip_suffix(&[0])?;
    Some((resource, key, u16::from_be_bytes(*index)))
}

impl fmt::Debug for RememberedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((resource, key, index)) = split(&self.0) else { return self.0.fmt(f) };
        write!(f, "{}:{}:{index}", resource.escape_ascii(), key.escape_ascii())
    }
}

/// The answer to an operation, to repeat if its idempotency key comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Log time of the transaction.
    pub time: WallMillis,
    /// Log time after which it counts as forgotten.
    pub expires: WallMillis,
    /// What to answer: docs/formats/remembered-answer.md.
    pub answer: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let name = RememberedKey::new("Cesária", b"order-7", 258);
        assert_eq!(&name.as_bytes()[..], b"Ces\xc3\xa1ria\0order-7\0\x01\x02");
        assert_eq!(RememberedKey::from_bytes(name.as_bytes().clone()), Some(name));
        // Key and index may hold zero bytes themselves.
        let zeros = RememberedKey::new("r", b"\0k\0", 0);
        assert_eq!(RememberedKey::from_bytes(zeros.as_bytes().clone()), Some(zeros.clone()));
        assert_eq!(format!("{zeros:?}"), "r:\\x00k\\x00:0");
    }

    #[test]
    fn other_bytes_name_no_operation() {
        let long = [b"r\0", &[b'k'; 256][..], b"\0\0\0"].concat();
        let bad: [&[u8]; 7] =
            [b"", b"\0\0\0", b"r\0\0\0", b"r\0\0\0\0", b"\0k\0\0\0", b"\xff\0k\0\0\0", &long];
        for bytes in bad {
            assert_eq!(RememberedKey::from_bytes(Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
        }
    }

    proptest! {
        /// Two names are one only if resource, key and index are.
        #[test]
        fn names_are_unambiguous(
            a in ("[a-b]{1,3}", "[a\u{0}]{1,3}", 0u16..3),
            b in ("[a-b]{1,3}", "[a\u{0}]{1,3}", 0u16..3),
        ) {
            let name = |(resource, key, index): &(String, String, u16)| {
                RememberedKey::new(resource, key.as_bytes(), *index)
            };
            prop_assert_eq!(name(&a) == name(&b), a == b);
        }

        /// No bytes panic, and what is a name is written by the same bytes.
        #[test]
        fn reading_a_name_is_total(bytes in proptest::collection::vec(0u8..3, 0..12)) {
            let bytes = Bytes::from(bytes);
            if let Some(name) = RememberedKey::from_bytes(bytes.clone()) {
                let (resource, key, index) = split(&bytes).expect("a name");
                let resource = std::str::from_utf8(resource).expect("a name");
                prop_assert_eq!(RememberedKey::new(resource, key, index), name);
            }
        }
    }
}
