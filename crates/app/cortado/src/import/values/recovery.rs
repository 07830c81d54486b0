//! Where the next value begins behind one that is broken.
//!
//! Either the brackets that are open are closed, or a line begins as the lines of values do.
//! Start reading at [`Recovery::pass_over`].

use super::scanner::Open;
use crate::import::piece::PIECE_BYTES_MAX;
use crate::import::window::{ReadError, Window};

/// What is known where a value breaks, and how far it has been passed over.
pub(super) struct Recovery {
    /// What is open, the outermost first.
    open: Vec<Open>,
    /// Whether there was a bracket whose end is the end of it all.
    is_bracketed: bool,
    /// How many brackets are open in the last one of `open`, where they are only counted.
    open_beyond: u64,
    is_in_string: bool,
    is_behind_backslash: bool,
    /// Whether the value is an element of an array of the top level.
    is_in_array: bool,
    /// How a line begins on which a value begins; absent where lines say nothing.
    line_begin: Option<Vec<u8>>,
    /// What was passed over; absent if it is too long to be kept.
    text: Option<Vec<u8>>,
    last: u8,
}

/// What was passed over.
pub(super) struct Passed {
    /// Absent if it is too long to be kept.
    pub(super) text: Option<Vec<u8>>,
    /// Whether the next byte begins a line.
    pub(super) is_line_begin: bool,
}

/// More open brackets than this are only counted.
const OPEN_MAX: usize = 20_000;
/// Bytes that are taken away together.
const PASSED_AT_ONCE: usize = 256 << 10;

impl Recovery {
    /// Begins where the brackets `open` are open.
    ///
    /// * `indent`: how lines begin on which values begin, if that tells where the next one does.
    pub(super) fn new(
        open: &[Open],
        is_in_string: bool,
        is_in_array: bool,
        indent: Option<&[u8]>,
    ) -> Recovery {
        Recovery {
            open: open.to_vec(),
            is_bracketed: !open.is_empty(),
            open_beyond: 0,
            is_in_string,
            is_behind_backslash: false,
            is_in_array,
            line_begin: indent.map(|indent| [indent, b"{"].concat()),
            text: Some(Vec::new()),
            last: 0,
        }
    }

    /// Takes the broken value away, which breaks at `at`.
    pub(super) fn pass_over(
        mut self,
        window: &mut Window,
        mut at: usize,
    ) -> Result<Passed, ReadError> {
        if let Some(before) = at.checked_sub(1) {
            self.last = window.rest()[before];
        }
        loop {
            let is_over = match window.byte(at)? {
                None => true,
                Some(byte) => self.ends_before(byte) || self.begins_line_of_value(window, at)?,
            };
            let is_last = !is_over && self.ends_behind(window.rest()[at]);
            if !is_over {
                self.last = window.rest()[at];
                at += 1;
            }
            if is_over || is_last || at >= PASSED_AT_ONCE {
                self.take(window, at);
                at = 0;
            }
            if is_over || is_last {
                let is_line_begin = self.last == b'\n';
                return Ok(Passed { text: self.text, is_line_begin });
            }
        }
    }

    fn take(&mut self, window: &mut Window, length: usize) {
        let is_kept = |text: &Vec<u8>| text.len() + length <= PIECE_BYTES_MAX;
        self.text = self.text.take().filter(is_kept);
        if let Some(text) = &mut self.text {
            text.extend_from_slice(&window.rest()[..length]);
        }
        window.take(length);
    }

    /// Whether the array's own comma or bracket is next.
    fn ends_before(&self, byte: u8) -> bool {
        if !self.is_in_array || self.is_in_string {
            return false;
        }
        let is_outside = self.open.is_empty() && matches!(byte, b',' | b']');
        is_outside || (byte == b']' && !self.open.contains(&Open::Array))
    }

    fn begins_line_of_value(&self, window: &mut Window, at: usize) -> Result<bool, ReadError> {
        match &self.line_begin {
            Some(begin) if self.last == b'\n' => window.has(at, begin),
            Some(_) | None => Ok(false),
        }
    }

    /// Whether the broken value ends with `byte`.
    fn ends_behind(&mut self, byte: u8) -> bool {
        if self.is_in_string {
            let is_escaped = std::mem::take(&mut self.is_behind_backslash);
            match byte {
                // JSON has none inside a string: its quote is missing.
                b'\n' => self.is_in_string = false,
                _ if is_escaped => {}
                b'\\' => self.is_behind_backslash = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.is_in_string = true,
            b'{' => self.enter(Open::Object),
            b'[' => self.enter(Open::Array),
            b'}' => return self.leave(Open::Object),
            b']' => return self.leave(Open::Array),
            _ => {}
        }
        false
    }

    fn enter(&mut self, open: Open) {
        if self.open.len() < OPEN_MAX {
            self.open.push(open);
        } else {
            self.open_beyond += 1;
        }
    }

    /// Closes the innermost bracket of that kind, with what is open inside; answers whether that
    /// was the value's own.
    fn leave(&mut self, kind: Open) -> bool {
        if self.open_beyond > 0 {
            self.open_beyond -= 1;
            return false;
        }
        let Some(closed) = self.open.iter().rposition(|open| *open == kind) else { return false };
        self.open.truncate(closed);
        self.is_bracketed && self.open.is_empty()
    }
}
