//! A file of JSON values, cut into one piece of text for each, without holding more than one.
//!
//! Finds where values begin and end; whether they are JSON to the last digit is for others to say.
//! What is broken is passed over up to where the next value must begin, and a part of it is never
//! taken for a value. Start reading at [`Values::next`].

mod recovery;
mod scanner;

#[cfg(test)]
mod tests;

use super::piece::{PIECE_BYTES_MAX, Piece, Torn};
use super::window::{ReadError, Window};
use recovery::{Lines, Passed, Recovery};
use scanner::{Scanner, Step};
use serde::de::IgnoredAny;

/// Values one after the other, at the top level or as the elements of arrays there, whatever stands
/// between them: line ends, spaces, commas, nothing.
pub(crate) struct Values {
    window: Window,
    /// Whether the values are elements of an array of the top level.
    is_in_array: bool,
    /// What stands before the next byte on its line, if that is nothing but white space.
    indent: Option<Vec<u8>>,
    /// The indent of the last value that was the first on its line.
    indent_of_values: Vec<u8>,
    /// What the whole values so far say of lines.
    layout: Layout,
    /// Values so far.
    position: u64,
    /// The window's position at the end of the last value.
    position_before: u64,
}

/// How whole values stand on lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// None was the first on its line so far.
    Unknown,
    /// Each took one line, or a part of one.
    Lines,
    /// One went on beyond its line: what begins a line need not begin a value.
    Free,
}

/// Why the rest of a file cannot be cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CutError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the array is cut off after document {position}, in line {line}: its ] is missing")]
    CutOff { position: u64, line: u64 },
}

/// Longer white space than this is no indent to go by.
const INDENT_BYTES_MAX: usize = 256;
/// RFC 7464 puts one before each value.
const RECORD_SEPARATOR: u8 = 0x1e;

impl Values {
    /// Begins at the next byte of `window`.
    pub(crate) fn new(window: Window) -> Values {
        Values {
            window,
            is_in_array: false,
            indent: Some(Vec::new()),
            indent_of_values: Vec::new(),
            layout: Layout::Unknown,
            position: 0,
            position_before: 0,
        }
    }

    /// The next value; `None` after the last.
    ///
    /// # Errors
    /// What follows cannot be cut any more. The values before it are whole.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, CutError> {
        loop {
            self.skip_separators()?;
            match (self.window.byte(0)?, self.is_in_array) {
                (None, false) => return Ok(None),
                (None, true) => return Err(self.cut_off()),
                (Some(b'['), false) => self.pass_bracket(true),
                (Some(b']'), true) => self.pass_bracket(false),
                (Some(_), _) => return self.cut().map(Some),
            }
        }
    }

    fn pass_bracket(&mut self, is_in_array: bool) {
        self.is_in_array = is_in_array;
        self.indent = None;
        self.window.take(1);
    }

    fn cut_off(&self) -> CutError {
        CutError::CutOff { position: self.position, line: self.window.line() }
    }

    fn skip_separators(&mut self) -> Result<(), ReadError> {
        while let Some(byte) = self.window.byte(0)? {
            match byte {
                b'\n' => self.indent = Some(Vec::new()),
                b' ' | b'\t' | b'\r' => {
                    if let Some(indent) = &mut self.indent {
                        indent.push(byte);
                        if indent.len() > INDENT_BYTES_MAX {
                            self.indent = None;
                        }
                    }
                }
                b',' | RECORD_SEPARATOR => self.indent = None,
                _ => return Ok(()),
            }
            self.window.take(1);
        }
        Ok(())
    }

    /// Cuts the value that begins at the next byte.
    fn cut(&mut self) -> Result<Piece, CutError> {
        let line = self.window.line();
        let indent = self.indent.take();
        let is_first_on_line = indent.is_some();
        if let Some(indent) = indent {
            self.indent_of_values = indent;
        }
        let mut scanner = Scanner::new();
        let mut at = 0;
        loop {
            let step = match self.window.byte(at)? {
                None => scanner.end(),
                Some(_) if at >= PIECE_BYTES_MAX => Step::Bad(TOO_LONG),
                Some(_) => scanner.scan(&self.window.rest()[at..], &mut at),
            };
            match step {
                Step::More => {}
                // Words that are no JSON are not counted one by one.
                Step::Done if scanner.is_word() && !is_json(&self.window.rest()[..at]) => {
                    return self.recover(&Scanner::new(), 0, "no value of JSON", line);
                }
                Step::Done if at > PIECE_BYTES_MAX => {
                    self.window.take(at);
                    let torn = Torn { reason: TOO_LONG.to_owned(), text: None };
                    return Ok(self.piece(line, Err(torn)));
                }
                Step::Done => {
                    let text = self.window.rest()[..at].to_vec();
                    self.layout = match self.layout {
                        _ if text.contains(&b'\n') => Layout::Free,
                        Layout::Unknown if is_first_on_line => Layout::Lines,
                        layout => layout,
                    };
                    self.window.take(at);
                    return Ok(self.piece(line, Ok(text)));
                }
                Step::Bad(why) => return self.recover(&scanner, at, why, line),
            }
        }
    }

    /// Passes over the value that breaks at `at`.
    fn recover(
        &mut self,
        scanner: &Scanner,
        at: usize,
        why: &str,
        line: u64,
    ) -> Result<Piece, CutError> {
        if self.is_in_array && self.window.byte(at)?.is_none() {
            return Err(self.cut_off());
        }
        let seen = &self.window.rest()[..at];
        let is_long = at >= PIECE_BYTES_MAX;
        let lines = match self.layout {
            _ if is_long => Lines::Silent,
            Layout::Lines => Lines::Tell,
            // What begins a line may be a part of this value.
            Layout::Unknown if breaks_on_first_line(seen) => Lines::TellOutside,
            Layout::Unknown | Layout::Free => Lines::Silent,
        };
        let (open, is_in_string) = (scanner.open(), scanner.is_in_string());
        let begin = [&self.indent_of_values[..], b"{"].concat();
        let recovery = Recovery::new(open, is_in_string, self.is_in_array, (lines, begin), seen);
        let Passed { text, is_line_begin } = recovery.pass_over(&mut self.window, at)?;
        self.indent = is_line_begin.then(Vec::new);
        let reason = if is_long {
            why.to_owned()
        } else {
            format!("not a JSON object: {why}, at its byte {}", at + 1)
        };
        Ok(self.piece(line, Err(Torn { reason, text })))
    }

    fn piece(&mut self, line: u64, text: Result<Vec<u8>, Torn>) -> Piece {
        self.position += 1;
        let position = self.window.position();
        let bytes = position - self.position_before;
        self.position_before = position;
        Piece { position: self.position, line, bytes, text }
    }
}

const TOO_LONG: &str = "it is longer than 8 MiB, and a document is limited to 1 MiB";

/// Whether a line end is at most the last thing before the break.
fn breaks_on_first_line(seen: &[u8]) -> bool {
    !seen.trim_ascii_end().contains(&b'\n') && memchr::memchr_iter(b'\n', seen).nth(1).is_none()
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}
