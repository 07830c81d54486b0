//! The values of a file, whatever its form, which its first bytes tell.
//!
//! Start reading at [`Documents::begin`].

use super::csv_records::{CsvRecords, HeaderError};
use super::piece::Piece;
use super::source::Source;
use super::values::{CutError, Values};
use super::window::{ReadError, Window};
use serde_json::Value;
use std::io;

/// The values of a file.
pub(crate) enum Documents {
    Values(Values),
    CsvRecords(Box<CsvRecords>),
}

/// Why a file, or the rest of it, holds no documents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Cut(#[from] CutError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("the file is {0}, which import does not read")]
    Foreign(&'static str),
}

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// What other files begin with. Sources: their specifications; pages of file(1).
const FOREIGN: [(&[u8], &str); 8] = [
    (b"PK\x03\x04", "a ZIP archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd: `zstdcat FILE | cortado import … -`"),
    (b"\xfd7zXZ\0", "packed by xz: `xzcat FILE | cortado import … -`"),
    (b"BZh", "packed by bzip2: `bzcat FILE | cortado import … -`"),
    (b"\xff\xfe", "UTF-16: `iconv -f UTF-16 FILE | cortado import … -`"),
    (b"\xfe\xff", "UTF-16: `iconv -f UTF-16 FILE | cortado import … -`"),
    (b"PAR1", "a Parquet file: convert it to NDJSON or CSV first"),
    (b"SQLite format 3\0", "an SQLite database: convert it to NDJSON or CSV first"),
];

impl Documents {
    /// Finds the form of `source`, and waits for its first bytes.
    ///
    /// * `schema`: the table's; it says which cells of a record are no strings.
    ///
    /// # Errors
    /// It is none that can be read.
    pub(crate) fn begin(source: Source, schema: Option<&Value>) -> Result<Documents, FormError> {
        let mut window = Window::new(source.unpacked()?);
        for (magic, what) in FOREIGN {
            if window.has(0, magic)? {
                return Err(FormError::Foreign(what));
            }
        }
        if window.has(0, &BYTE_ORDER_MARK)? {
            window.take(BYTE_ORDER_MARK.len());
        }
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = window.byte(0)? {
            window.take(1);
        }
        match window.byte(0)? {
            // One that is empty holds no documents, in either form.
            None | Some(b'{' | b'[' | 0x1e) => Ok(Documents::Values(Values::new(window))),
            Some(_) => Ok(Documents::CsvRecords(Box::new(CsvRecords::begin(window, schema)?))),
        }
    }

    /// The next value; `None` after the last.
    ///
    /// # Errors
    /// What follows cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, FormError> {
        Ok(match self {
            Documents::Values(values) => values.next()?,
            Documents::CsvRecords(records) => records.next()?,
        })
    }
}
