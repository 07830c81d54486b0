//! A document's key as bytes that sort as its parts do.

use crate::limits::{KEY_BYTES_MAX, KEY_PART_BYTES_MAX, KEY_PARTS_MAX};
use alloc::vec::Vec;
use core::fmt;

/// The parts of a key, each followed by a zero byte.
///
/// A part never holds a zero byte, so keys sort part by part in byte order, a key with fewer
/// parts is a prefix of the keys below it, and no part can run into its neighbour.
/// Stored in the log and in stores: docs/formats/key.md.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey(Vec<u8>);

impl DocumentKey {
    /// Joins 1 to 8 parts, the resource first.
    ///
    /// # Errors
    /// The first rule of the API's keys that `parts` break.
    pub fn from_parts<T: AsRef<str>>(parts: &[T]) -> Result<DocumentKey, KeyError> {
        if parts.is_empty() || parts.len() > KEY_PARTS_MAX {
            return Err(KeyError::WrongPartCount);
        }
        let bytes_total: usize = parts.iter().map(|part| part.as_ref().len()).sum();
        if bytes_total > KEY_BYTES_MAX {
            return Err(KeyError::TooLong);
        }
        let mut bytes = Vec::with_capacity(bytes_total + parts.len());
        for part in parts {
            let part = part.as_ref();
            check_part(part)?;
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(0);
        }
        Ok(DocumentKey(bytes))
    }

    /// Takes bytes that [`as_bytes`](Self::as_bytes) gave; `None` if they cannot be a key.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<DocumentKey> {
        let whole = bytes.last() == Some(&0) && core::str::from_utf8(&bytes).is_ok();
        whole.then_some(DocumentKey(bytes))
    }

    /// The encoded form; byte order is key order.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parts, the resource first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        // The last byte ends the last part. Both constructors have checked the UTF-8.
        let body = &self.0[..self.0.len() - 1];
        body.split(|b| *b == 0).map(|part| core::str::from_utf8(part).unwrap_or_default())
    }

    /// The first part: what places the document in a partition.
    pub fn resource(&self) -> &str {
        self.parts().next().unwrap_or_default()
    }
}

impl fmt::Debug for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts()).finish()
    }
}

fn check_part(part: &str) -> Result<(), KeyError> {
    if part.is_empty() {
        return Err(KeyError::EmptyPart);
    }
    if part.len() > KEY_PART_BYTES_MAX {
        return Err(KeyError::PartTooLong);
    }
    if part == "." || part == ".." {
        return Err(KeyError::DotPart);
    }
    if part.chars().any(char::is_control) {
        return Err(KeyError::ControlCharacter);
    }
    Ok(())
}

/// Why some parts are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// None, or more than 8.
    WrongPartCount,
    /// A part is empty.
    EmptyPart,
    /// A part is `.` or `..`, which clients and proxies rewrite.
    DotPart,
    /// A part holds NUL or another control character.
    ControlCharacter,
    /// A part is longer than 512 bytes.
    PartTooLong,
    /// All parts together are longer than 1,024 bytes.
    TooLong,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::WrongPartCount => "a key has 1 to 8 parts",
            KeyError::EmptyPart => "a part of a key is empty",
            KeyError::DotPart => "a part of a key is . or .., which clients and proxies rewrite",
            KeyError::ControlCharacter => "a part of a key holds a control character",
            KeyError::PartTooLong => "a part of a key is longer than 512 bytes",
            KeyError::TooLong => "the parts of a key are longer than 1,024 bytes together",
        })
    }
}

impl core::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parts: &[&str], want: Result<&[u8], KeyError>) {
        let got = DocumentKey::from_parts(parts);
        assert_eq!(got.as_ref().map(DocumentKey::as_bytes).map_err(|e| *e), want);
        if let Ok(key) = got {
            assert_eq!(key.parts().collect::<Vec<_>>(), parts);
            assert_eq!(DocumentKey::from_bytes(key.as_bytes().to_vec()), Some(key));
        }
    }

    #[test]
    fn parts_are_joined_and_refused() {
        check(&["JP", "40", "a/b"], Ok(b"JP\x0040\x00a/b\x00"));
        check(&["日本"], Ok("日本\0".as_bytes()));
        check(&[], Err(KeyError::WrongPartCount));
        check(&["a"; 9], Err(KeyError::WrongPartCount));
        check(&["a", ""], Err(KeyError::EmptyPart));
        check(&[".."], Err(KeyError::DotPart));
        check(&["a\0b"], Err(KeyError::ControlCharacter));
        check(&["a\u{85}b"], Err(KeyError::ControlCharacter));
        check(&[&"x".repeat(513)], Err(KeyError::PartTooLong));
        check(&[&"x".repeat(512), &"y".repeat(512), "z"], Err(KeyError::TooLong));
    }

    #[test]
    fn a_prefix_sorts_before_what_lies_below_it() {
        let key = |parts: &[&str]| DocumentKey::from_parts(parts).expect("a key");
        assert!(key(&["a"]) < key(&["a", "b"]));
        assert!(key(&["a", "z"]) < key(&["ab"]));
        assert!(key(&["a", "b"]).as_bytes().starts_with(key(&["a"]).as_bytes()));
    }
}
