//! A file of documents, cut into one piece of text for each, without holding more than one.
//!
//! Finds where documents begin and end; whether they are JSON is for others to say.
//! Start reading at [`Pieces`].

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, Read};

/// The longest document that is read; the server takes less. Longer ones are passed over.
const PIECE_BYTES_MAX: usize = 8 << 20;
/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Documents one after the other: the elements of a JSON array, or the lines of NDJSON, whichever
/// the first character says.
#[derive(Debug)]
pub(crate) struct Pieces<R> {
    input: BufReader<R>,
    form: Form,
    /// Documents so far.
    position: u64,
    /// The current line, from 1.
    line: u64,
    /// Bytes read so far, and up to the end of the last piece.
    bytes: u64,
    bytes_before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unknown,
    Array,
    /// Behind the bracket that ends an array.
    Closed,
    Lines,
    Ended,
}

/// One document's text, as it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Which document of the file, from 1.
    pub(crate) position: u64,
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// How much of the file it takes, with what separates it from the one before.
    pub(crate) bytes: u64,
    pub(crate) text: Result<Vec<u8>, TooLong>,
}

/// A document that no server would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is longer than {PIECE_BYTES_MAX} bytes")]
pub(crate) struct TooLong;

/// Why the rest of the file cannot be cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    #[error("the file cannot be read beyond line {line}: {source}")]
    Io { line: u64, source: io::Error },
    #[error("the array is cut off after document {position}, in line {line}: its ] is missing")]
    CutOff { position: u64, line: u64 },
    #[error("line {line}: something follows the end of the array")]
    AfterTheEnd { line: u64 },
    #[error(
        "line 1 begins with neither [ nor {{: a JSON array of objects, or one object for each \
         line, is needed"
    )]
    NotJson,
}

impl<R: Read> Pieces<R> {
    /// Reads from the beginning of `input`.
    pub(crate) fn new(input: R) -> Pieces<R> {
        let input = BufReader::with_capacity(READ_BYTES, input);
        Pieces { input, form: Form::Unknown, position: 0, line: 1, bytes: 0, bytes_before: 0 }
    }

    /// The next document; `None` after the last.
    ///
    /// # Errors
    /// What follows cannot be cut any more. The documents before it are whole.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, ReadFailure> {
        if self.form == Form::Unknown {
            self.form = self.find_form()?;
        }
        let found = match self.form {
            Form::Array => self.next_element()?,
            Form::Closed => self.check_end()?,
            Form::Lines => self.next_line()?,
            Form::Ended | Form::Unknown => None,
        };
        if found.is_none() {
            self.form = Form::Ended;
        }
        Ok(found)
    }

    fn find_form(&mut self) -> Result<Form, ReadFailure> {
        const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
        // Byte by byte, since a read may end anywhere. What only begins like it is no JSON anyway.
        for byte in BYTE_ORDER_MARK {
            if self.buffer()?.first() == Some(&byte) {
                self.consume(1);
            }
        }
        match self.skip_space()? {
            None => Ok(Form::Ended),
            Some(b'[') => {
                self.consume(1);
                Ok(Form::Array)
            }
            Some(b'{') => Ok(Form::Lines),
            Some(_) => Err(ReadFailure::NotJson),
        }
    }

    /// Everything up to the next comma or bracket that belongs to the array itself.
    fn next_element(&mut self) -> Result<Option<Piece>, ReadFailure> {
        if self.skip_space()? == Some(b']') && self.position == 0 {
            self.consume(1);
            return self.check_end();
        }
        let line = self.line;
        let mut text = Text::default();
        let mut depth = 0_u64;
        let mut inside = Inside::Json;
        loop {
            let buffer = self.buffer()?;
            if buffer.is_empty() {
                return Err(ReadFailure::CutOff { position: self.position, line: self.line });
            }
            let is_end = |byte: &u8| ends_element(*byte, &mut depth, &mut inside);
            match buffer.iter().position(is_end) {
                None => {
                    text.append(buffer);
                    let length = buffer.len();
                    self.consume(length);
                }
                Some(at) => {
                    let is_last = buffer[at] == b']';
                    text.append(&buffer[..at]);
                    self.consume(at + 1);
                    let piece = self.piece(line, text);
                    if is_last {
                        self.form = Form::Closed;
                    }
                    return Ok(Some(piece));
                }
            }
        }
    }

    /// After the array's bracket: only space may follow.
    fn check_end(&mut self) -> Result<Option<Piece>, ReadFailure> {
        match self.skip_space()? {
            None => Ok(None),
            Some(_) => Err(ReadFailure::AfterTheEnd { line: self.line }),
        }
    }

    fn next_line(&mut self) -> Result<Option<Piece>, ReadFailure> {
        if self.skip_space()?.is_none() {
            return Ok(None);
        }
        let line = self.line;
        let mut text = Text::default();
        loop {
            let buffer = self.buffer()?;
            if buffer.is_empty() {
                return Ok(Some(self.piece(line, text)));
            }
            match buffer.iter().position(|byte| *byte == b'\n') {
                None => {
                    text.append(buffer);
                    let length = buffer.len();
                    self.consume(length);
                }
                Some(at) => {
                    text.append(&buffer[..at]);
                    self.consume(at + 1);
                    return Ok(Some(self.piece(line, text)));
                }
            }
        }
    }

    fn piece(&mut self, line: u64, text: Text) -> Piece {
        self.position += 1;
        let bytes = self.bytes - self.bytes_before;
        self.bytes_before = self.bytes;
        Piece { position: self.position, line, bytes, text: text.finish() }
    }

    /// The next byte that is no space, not consumed; `None` at the end of the file.
    fn skip_space(&mut self) -> Result<Option<u8>, ReadFailure> {
        loop {
            let buffer = self.buffer()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let at = buffer.iter().position(|byte| !byte.is_ascii_whitespace());
            let (length, found) = match at {
                Some(at) => (at, Some(buffer[at])),
                None => (buffer.len(), None),
            };
            self.consume(length);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn buffer(&mut self) -> Result<&[u8], ReadFailure> {
        let line = self.line;
        self.input.fill_buf().map_err(|source| ReadFailure::Io { line, source })
    }

    fn consume(&mut self, length: usize) {
        let passed = &self.input.buffer()[..length];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.bytes += length as u64;
        self.input.consume(length);
    }
}

/// Where a scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Json,
    String,
    /// Behind a backslash.
    Escape,
}

/// Takes one byte; answers whether it ends an element at the array's own level.
fn ends_element(byte: u8, depth: &mut u64, inside: &mut Inside) -> bool {
    match (*inside, byte) {
        (Inside::Escape, _) => *inside = Inside::String,
        (Inside::String, b'\\') => *inside = Inside::Escape,
        (Inside::String, b'"') => *inside = Inside::Json,
        (Inside::String, _) => {}
        (Inside::Json, b'"') => *inside = Inside::String,
        (Inside::Json, b'{' | b'[') => *depth += 1,
        (Inside::Json, b',' | b']') if *depth == 0 => return true,
        // One too many is for the JSON check to find.
        (Inside::Json, b'}' | b']') => *depth = depth.saturating_sub(1),
        (Inside::Json, _) => {}
    }
    false
}

/// A text that stops growing at its limit.
#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Text {
    fn append(&mut self, bytes: &[u8]) {
        if self.is_too_long || self.bytes.len() + bytes.len() > PIECE_BYTES_MAX {
            self.is_too_long = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, TooLong> {
        if self.is_too_long {
            return Err(TooLong);
        }
        self.bytes.truncate(self.bytes.trim_ascii_end().len());
        Ok(self.bytes)
    }
}
