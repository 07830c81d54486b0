//! A file of CSV or TSV with a header: one JSON object for each record.
//!
//! A cell is a string, unless the table's schema says that the member is something else; an empty
//! cell is no member. Holds one record. Start reading at [`CsvRecords::next`].

mod cells;

#[cfg(test)]
mod tests;

use super::piece::{PIECE_BYTES_MAX, Piece, Torn};
use super::window::{ReadError, Window};
use crate::output::shortened;
use cells::{CellType, append_cell};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::Value;

/// CsvRecords one after the other.
pub(crate) struct CsvRecords {
    window: Window,
    reader: Reader,
    columns: Vec<Column>,
    cells: Cells,
    position: u64,
    position_before: u64,
}

struct Column {
    /// The JSON string.
    name: String,
    cell_type: CellType,
}

/// The cells of one record, one behind the other.
#[derive(Default)]
struct Cells {
    bytes: Vec<u8>,
    used: usize,
    ends: Vec<usize>,
    count: usize,
}

/// Why a file is no table of cells.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("line 1 is neither JSON, which begins with {{ or [, nor the header of a CSV file: {0}")]
    NoHeader(&'static str),
    #[error("the header has two columns named {0:?}")]
    Repeated(String),
}

/// The longest header.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// More columns than any document may have members.
const COLUMNS_MAX: usize = 10_000;

impl CsvRecords {
    /// Reads the header.
    ///
    /// * `schema`: the table's, whose `properties` say which cells are no strings.
    ///
    /// # Errors
    /// The first line is no header.
    pub(crate) fn begin(
        mut window: Window,
        schema: Option<&Value>,
    ) -> Result<CsvRecords, HeaderError> {
        let delimiter = delimiter_of(first_line(&mut window)?);
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        let mut records = CsvRecords {
            window,
            reader,
            columns: Vec::new(),
            cells: Cells::default(),
            position: 0,
            position_before: 0,
        };
        match records.read()? {
            Some(Ok(())) => {}
            None => return Err(HeaderError::NoHeader("it is empty")),
            Some(Err(broken)) => return Err(HeaderError::NoHeader(broken.why())),
        }
        let names = records.cells.texts().map_err(|_| HeaderError::NoHeader("it is not UTF-8"))?;
        let mut columns: Vec<Column> = Vec::with_capacity(names.len());
        for name in names {
            let text = Value::from(name).to_string();
            if columns.iter().any(|column| column.name == text) {
                return Err(HeaderError::Repeated(name.to_owned()));
            }
            columns.push(Column { name: text, cell_type: CellType::in_schema(schema, name) });
        }
        records.columns = columns;
        records.position_before = records.window.position();
        Ok(records)
    }

    /// Whether there is a column `name`.
    pub(crate) fn has_column(&self, name: &str) -> bool {
        let text = Value::from(name).to_string();
        self.columns.iter().any(|column| column.name == text)
    }

    /// The first columns, quoted: spaces and case count.
    pub(crate) fn columns_shown(&self) -> String {
        const COLUMNS_SHOWN: usize = 8;
        let shown = |column: &Column| shortened(&column.name);
        let first: Vec<String> = self.columns.iter().take(COLUMNS_SHOWN).map(shown).collect();
        let more = if self.columns.len() > COLUMNS_SHOWN { ", …" } else { "" };
        format!("{}{more}", first.join(", "))
    }

    /// The next record, as JSON; `None` after the last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, ReadError> {
        self.skip_line_ends()?;
        let line = self.window.line();
        let text = match self.read()? {
            None => return Ok(None),
            Some(Ok(())) => self.object(),
            Some(Err(broken)) => {
                Err(Torn { reason: broken.why().to_owned(), text: self.text_of(broken) })
            }
        };
        self.position += 1;
        let position = self.window.position();
        let bytes = position - self.position_before;
        self.position_before = position;
        Ok(Some(Piece { position: self.position, line, bytes, text }))
    }

    /// Empty lines are no records, and do not count for the line of the next one.
    fn skip_line_ends(&mut self) -> Result<(), ReadError> {
        while let Some(b'\r' | b'\n') = self.window.byte(0)? {
            self.window.take(1);
        }
        Ok(())
    }

    /// Reads the cells of one record; `None` at the end.
    fn read(&mut self) -> Result<Option<Result<(), Broken>>, ReadError> {
        let CsvRecords { window, reader, cells, .. } = self;
        (cells.used, cells.count) = (0, 0);
        loop {
            if window.rest().is_empty() && !window.grow()? {
                return Ok(cells.end(reader));
            }
            cells.make_room();
            let (bytes, ends) = (&mut cells.bytes[cells.used..], &mut cells.ends[cells.count..]);
            let (result, taken, written, ended) = reader.read_record(window.rest(), bytes, ends);
            window.take(taken);
            cells.used += written;
            cells.count += ended;
            match result {
                ReadRecordResult::Record => return Ok(Some(Ok(()))),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::InputEmpty
                | ReadRecordResult::OutputFull
                | ReadRecordResult::OutputEndsFull => {}
            }
            let too_long = match (cells.used, cells.count) {
                (used, _) if used > PIECE_BYTES_MAX => Some(Broken::TooLong),
                (_, count) if count > COLUMNS_MAX => Some(Broken::TooManyCells),
                (_, _) => None,
            };
            if let Some(too_long) = too_long {
                // Goes on with the next line: what is too long may have swallowed many.
                reader.reset();
                pass_line(window)?;
                return Ok(Some(Err(too_long)));
            }
        }
    }

    /// What is kept of a record that is none.
    fn text_of(&self, broken: Broken) -> Option<Vec<u8>> {
        match broken {
            Broken::TooLong | Broken::TooManyCells => None,
            Broken::Unclosed => Some(Value::from(self.cells.shown()).to_string().into_bytes()),
        }
    }

    fn object(&self) -> Result<Vec<u8>, Torn> {
        let cells = self.cells.texts().map_err(|lossy| Torn {
            reason: "not valid UTF-8".to_owned(),
            text: Some(Value::from(lossy).to_string().into_bytes()),
        })?;
        if cells.len() != self.columns.len() {
            let (has, header) = (cells.len(), self.columns.len());
            let cell = if has == 1 { "cell" } else { "cells" };
            let reason = format!("the record has {has} {cell}, the header has {header}");
            return Err(Torn { reason, text: Some(Value::from(cells).to_string().into_bytes()) });
        }
        let mut text = String::from("{");
        for (column, cell) in self.columns.iter().zip(cells) {
            if cell.is_empty() {
                continue;
            }
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&column.name);
            text.push(':');
            append_cell(&mut text, column.cell_type, cell);
        }
        text.push('}');
        Ok(text.into_bytes())
    }
}

/// Why a record is none.
#[derive(Clone, Copy)]
enum Broken {
    TooLong,
    TooManyCells,
    /// The file ends within quotes.
    Unclosed,
}

impl Broken {
    fn why(self) -> &'static str {
        match self {
            Broken::TooLong => "it is longer than 8 MiB: is a closing quote missing?",
            Broken::TooManyCells => "it has more than 10,000 cells",
            Broken::Unclosed => {
                "a closing quote is missing: the last cell goes on to the end of the file"
            }
        }
    }
}

impl Cells {
    fn make_room(&mut self) {
        const ROOM: usize = 16 << 10;
        if self.bytes.len() - self.used < ROOM {
            self.bytes.resize(self.used + 2 * ROOM + self.used / 2, 0);
        }
        if self.ends.len() - self.count < 16 {
            self.ends.resize(self.count + 64, 0);
        }
    }

    /// Ends the last record of a file, which may lack its line end. The reader itself would take a
    /// quote that is still open for closed, and the lines behind it for a cell.
    fn end(&mut self, reader: &mut Reader) -> Option<Result<(), Broken>> {
        self.make_room();
        let (bytes, ends) = (&mut self.bytes[self.used..], &mut self.ends[self.count..]);
        let (result, _, written, ended) = reader.read_record(b"\n", bytes, ends);
        self.count += ended;
        match result {
            ReadRecordResult::Record => {
                self.used += written;
                Some(Ok(()))
            }
            // Within quotes, a line end is a part of the cell; elsewhere it is written nowhere.
            ReadRecordResult::InputEmpty if written > 0 => {
                reader.reset();
                self.ends[self.count] = self.used;
                self.count += 1;
                Some(Err(Broken::Unclosed))
            }
            ReadRecordResult::InputEmpty
            | ReadRecordResult::OutputFull
            | ReadRecordResult::OutputEndsFull
            | ReadRecordResult::End => None,
        }
    }

    /// The cells, one after the other.
    fn each(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends[..self.count].iter().map(move |end| {
            let cell = &self.bytes[begin..*end];
            begin = *end;
            cell
        })
    }

    /// The cells.
    ///
    /// # Errors
    /// One is not UTF-8: all of them, as well as that can be shown.
    fn texts(&self) -> Result<Vec<&str>, Vec<String>> {
        let texts: Result<Vec<&str>, _> = self.each().map(std::str::from_utf8).collect();
        texts.map_err(|_| self.shown())
    }

    /// The cells, as well as they can be shown.
    fn shown(&self) -> Vec<String> {
        self.each().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
    }
}

/// The first line, or as much of it as a header may have.
fn first_line(window: &mut Window) -> Result<&[u8], HeaderError> {
    let mut length = 0;
    while let Some(byte) = window.byte(length)? {
        if byte == 0 {
            return Err(HeaderError::NoHeader("it holds a byte of zero"));
        }
        if matches!(byte, b'\r' | b'\n') {
            break;
        }
        length += 1;
        if length > HEADER_BYTES_MAX {
            return Err(HeaderError::NoHeader("it is longer than 64 KiB"));
        }
    }
    Ok(&window.rest()[..length])
}

/// What separates the cells of `header`: whichever of tab, comma and semicolon it has most of.
fn delimiter_of(header: &[u8]) -> u8 {
    let count = |delimiter| header.iter().filter(|byte| **byte == delimiter).count();
    // Of equals the last counts: a comma, where there is none of them.
    [b';', b'\t', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

fn pass_line(window: &mut Window) -> Result<(), ReadError> {
    while let Some(byte) = window.byte(0)? {
        window.take(1);
        if byte == b'\n' {
            break;
        }
    }
    Ok(())
}
