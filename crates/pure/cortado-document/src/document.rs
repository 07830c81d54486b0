//! A document's value: bytes that have passed every rule of the API.

use crate::json::{self, JsonError};
use bytes::Bytes;
use std::fmt;

/// One JSON object, checked and compact: no white space outside strings.
///
/// Compact, not verbatim: stored values are framed by line ends in change streams and exports, and
/// white space is no data. A client that sends compact JSON has its bytes stored as they came,
/// without a copy; member order and the spelling of numbers and strings are kept in any case.
#[derive(Clone, PartialEq, Eq)]
pub struct Document(Bytes);

impl Document {
    /// Checks what a client sent, and removes white space if there is any.
    ///
    /// # Errors
    /// The rule that `bytes` break; [`JsonError`] says what a caller may answer.
    pub fn parse(bytes: Bytes) -> Result<Document, JsonError> {
        let checked = json::check_document(&bytes)?;
        if checked.whitespace_bytes == 0 {
            return Ok(Document(bytes));
        }
        Ok(Document(Bytes::from(json::compact(&bytes))))
    }

    /// Takes bytes that [`as_bytes`](Self::as_bytes) gave, back from a log or a store, unchecked.
    pub fn from_stored(bytes: Bytes) -> Document {
        Document(bytes)
    }

    /// The JSON text, UTF-8.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The JSON text, UTF-8.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}
