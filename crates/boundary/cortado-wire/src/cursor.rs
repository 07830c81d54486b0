//! Cursors: where the next page of a list goes on.
//!
//! Opaque to clients and bound to the list they come from. They name keys, not places in memory,
//! so they survive restarts and new leaders. Start reading at [`Cursor`].

use crate::varint;
use cortado_model::DocumentKey;
use data_encoding::BASE64URL_NOPAD;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

const VERSION: u8 = 1;
const CHECK_BYTES: usize = 8;
/// No cursor is longer: a key of 1,024 bytes and 8 ends of parts, in base64.
const TEXT_BYTES_MAX: usize = 2_048;

/// Where the next page goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Of a collection: behind this key, in the direction of the list.
    After(DocumentKey),
    /// Of a whole table: in this partition, behind this key or from its beginning.
    Scan {
        /// The partition.
        partition: u32,
        /// The last document of the page before.
        after: Option<DocumentKey>,
    },
}

/// The list that a cursor belongs to.
#[derive(Clone, Copy, Debug)]
pub struct CursorBinding<'a> {
    /// As in [`SessionToken::new`](crate::SessionToken::new).
    pub database: u64,
    /// The table's id.
    pub table: u32,
    /// The encoded prefix of the collection; empty for a whole table.
    pub prefix: &'a [u8],
    /// From the highest key down.
    pub descending: bool,
}

impl CursorBinding<'_> {
    fn hash(&self) -> u64 {
        let mut hash = Xxh3::new();
        hash.update(&self.database.to_be_bytes());
        hash.update(&self.table.to_be_bytes());
        hash.update(&[VERSION, u8::from(self.descending)]);
        hash.update(self.prefix);
        hash.digest()
    }
}

impl Cursor {
    /// The cursor's text for the list `binding`, base64url without padding.
    pub fn encode(&self, binding: &CursorBinding<'_>) -> String {
        let mut bytes = vec![VERSION];
        match self {
            Cursor::After(key) => {
                bytes.push(0);
                bytes.extend_from_slice(key.as_bytes());
            }
            Cursor::Scan { partition, after } => {
                bytes.push(1);
                varint::write(u64::from(*partition), &mut bytes);
                bytes.extend_from_slice(after.as_ref().map_or(&[], DocumentKey::as_bytes));
            }
        }
        let check = xxh3_64_with_seed(&bytes, binding.hash());
        bytes.extend_from_slice(&check.to_be_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Reads a cursor of the list `binding`.
    ///
    /// # Errors
    /// The text is no cursor, or one of another list.
    pub fn parse(text: &str, binding: &CursorBinding<'_>) -> Result<Cursor, BadCursor> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(BadCursor);
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| BadCursor)?;
        let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(BadCursor)?;
        if u64::from_be_bytes(*check) != xxh3_64_with_seed(body, binding.hash()) {
            return Err(BadCursor);
        }
        match body {
            [VERSION, 0, key @ ..] => Ok(Cursor::After(key_of(key)?)),
            [VERSION, 1, rest @ ..] => {
                let mut rest = rest;
                let partition = varint::read(&mut rest).ok_or(BadCursor)?;
                let partition = u32::try_from(partition).map_err(|_| BadCursor)?;
                let after = (!rest.is_empty()).then(|| key_of(rest)).transpose()?;
                Ok(Cursor::Scan { partition, after })
            }
            _ => Err(BadCursor),
        }
    }
}

fn key_of(bytes: &[u8]) -> Result<DocumentKey, BadCursor> {
    DocumentKey::from_bytes(bytes.to_vec()).ok_or(BadCursor)
}

/// A text that is no cursor of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor does not belong to this list")]
pub struct BadCursor;

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: CursorBinding<'_> =
        CursorBinding { database: 1, table: 2, prefix: b"JP\0", descending: false };

    fn key(parts: &[&str]) -> DocumentKey {
        DocumentKey::from_parts(parts).expect("a key")
    }

    fn cursors() -> [Cursor; 3] {
        [
            Cursor::After(key(&["JP", "40", "ü"])),
            Cursor::Scan { partition: 0, after: None },
            Cursor::Scan { partition: 1_023, after: Some(key(&["JP"])) },
        ]
    }

    #[test]
    fn a_cursor_comes_back_to_its_own_list_only() {
        for cursor in cursors() {
            let text = cursor.encode(&LIST);
            assert_eq!(Cursor::parse(&text, &LIST), Ok(cursor));
            let others = [
                CursorBinding { database: 9, ..LIST },
                CursorBinding { table: 9, ..LIST },
                CursorBinding { prefix: b"JP\x0040\0", ..LIST },
                CursorBinding { descending: true, ..LIST },
            ];
            for other in others {
                assert_eq!(Cursor::parse(&text, &other), Err(BadCursor), "{other:?}");
            }
        }
    }

    #[test]
    fn malformed_cursors_are_refused() {
        for text in ["", "x", "AAAA", "AQAAAAAAAAAAAAAA", "é", "%2e", &"A".repeat(3_000)] {
            assert_eq!(Cursor::parse(text, &LIST), Err(BadCursor), "{text}");
        }
        let good = cursors()[0].encode(&LIST);
        for at in 0..good.len() {
            assert_eq!(Cursor::parse(&good[..at], &LIST), Err(BadCursor), "cut at {at}");
            let mut forged = good.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ASCII");
            assert_eq!(Cursor::parse(&forged, &LIST), Err(BadCursor), "forged at {at}");
        }
    }

    #[test]
    fn the_longest_key_fits() {
        let longest = key(&[&"x".repeat(512), &"y".repeat(506), "1", "2", "3", "4", "5", "6"]);
        let text = Cursor::After(longest.clone()).encode(&LIST);
        assert_eq!(Cursor::parse(&text, &LIST), Ok(Cursor::After(longest)));
    }
}
