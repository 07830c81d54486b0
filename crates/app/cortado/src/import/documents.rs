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
    #[error("the file is {0}, which import does not read: {1}")]
    Foreign(&'static str, &'static str),
}

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// Where which bytes of other files stand, none of which the header of a CSV file begins with.
/// Sources: their specifications; pages of file(1).
const FOREIGN: [(usize, &[u8], (&str, &str)); 9] = [
    (0, b"PK\x03\x04", ("a ZIP archive", "unpack it first")),
    (0, b"\x28\xb5\x2f\xfd", ("packed by zstd", "`zstdcat FILE | cortado import … -` unpacks it")),
    (0, b"\xfd7zXZ\0", ("packed by xz", "`xzcat FILE | cortado import … -` unpacks it")),
    // Behind `BZh` and the level: a block, or the end of what is empty.
    (4, b"1AY&SY", BZIP2),
    (4, b"\x17\x72\x45\x38\x50\x90", BZIP2),
    (0, b"\xff\xfe", UTF_16),
    (0, b"\xfe\xff", UTF_16),
    // Behind the letters: the first field of a page or of the footer, an i32 in compact Thrift.
    (0, b"PAR1\x15", ("a Parquet file", "convert it to NDJSON or CSV first")),
    (0, b"SQLite format 3\0", ("an SQLite database", "convert it to NDJSON or CSV first")),
];
const BZIP2: (&str, &str) = ("packed by bzip2", "`bzcat FILE | cortado import … -` unpacks it");
const UTF_16: (&str, &str) =
    ("UTF-16", "`iconv -f UTF-16 FILE | cortado import … -` makes it UTF-8");
/// Blanks before the first value beyond which it is not looked for.
const BLANKS_MAX: usize = 64 << 10;

impl Documents {
    /// Finds the form of `source`, and waits for its first bytes.
    ///
    /// * `schema`: the table's; it says which cells of a record are no strings.
    ///
    /// # Errors
    /// It is none that can be read.
    pub(crate) fn begin(source: Source, schema: Option<&Value>) -> Result<Documents, FormError> {
        let mut window = Window::new(source.unpacked()?);
        let is_bzip2 = window.has(0, b"BZh")?;
        for (at, magic, (what, instead)) in FOREIGN {
            if (at == 0 || is_bzip2) && window.has(at, magic)? {
                return Err(FormError::Foreign(what, instead));
            }
        }
        if window.has(0, &BYTE_ORDER_MARK)? {
            window.take(BYTE_ORDER_MARK.len());
        }
        match first_visible(&mut window)? {
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

/// The first byte that is no white space, with lines of white space before it taken away: a tab
/// before the header of a TSV file separates a column without a name.
fn first_visible(window: &mut Window) -> Result<Option<u8>, ReadError> {
    let mut at = 0;
    while at < BLANKS_MAX {
        match window.byte(at)? {
            Some(b' ' | b'\t') => at += 1,
            Some(b'\r' | b'\n') => {
                window.take(at + 1);
                at = 0;
            }
            visible => return Ok(visible),
        }
    }
    window.byte(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// The first value of a file, or why it holds none.
    fn first(bytes: &[u8]) -> Result<String, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        let Ok(source) = Source::open(file.path()) else { panic!("it is there") };
        let mut documents = Documents::begin(source, None).map_err(|error| error.to_string())?;
        let piece = documents.next().expect("readable").expect("a value");
        Ok(String::from_utf8(piece.text.expect("whole")).expect("UTF-8"))
    }

    #[test]
    fn a_header_may_begin_with_a_column_without_a_name() {
        assert_eq!(first(b"\ta\tb\n0\t1\t2\n").as_deref(), Ok(r#"{"":"0","a":"1","b":"2"}"#));
        assert_eq!(first(b"\n \t\r\n\ta\n0\t1\n").as_deref(), Ok(r#"{"":"0","a":"1"}"#));
        assert_eq!(first(b",a\n0,1\n").as_deref(), Ok(r#"{"":"0","a":"1"}"#));
        assert_eq!(first(b"\n \t{\"a\":1}").as_deref(), Ok(r#"{"a":1}"#));
        assert_eq!(first(b" \x1e{\"a\":1}").as_deref(), Ok(r#"{"a":1}"#));
        let blanks = " ".repeat(2 * BLANKS_MAX) + "{}";
        assert!(first(blanks.as_bytes()).is_err_and(|error| error.contains("64 KiB")));
    }

    #[test]
    fn what_only_begins_like_another_form_is_read() {
        let foreign = |bytes: &[u8]| first(bytes).expect_err("another form");
        assert!(foreign(b"BZh91AY&SY\0").contains("bzcat"));
        assert!(foreign(b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0").contains("bzcat"));
        assert!(foreign(b"PAR1\x15\x04").contains("Parquet"));
        assert_eq!(first(b"BZh,b\n1,2\n").as_deref(), Ok(r#"{"BZh":"1","b":"2"}"#));
        assert_eq!(first(b"PAR1,b\n1,2\n").as_deref(), Ok(r#"{"PAR1":"1","b":"2"}"#));
        assert_eq!(first(b"BZ,1AY&SY\n1,2\n").as_deref(), Ok(r#"{"BZ":"1","1AY&SY":"2"}"#));
    }
}
