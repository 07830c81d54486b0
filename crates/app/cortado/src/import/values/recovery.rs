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
    lines: Lines,
    /// How a line begins on which a value begins.
    line_begin: Vec<u8>,
    /// How many more `[` than `]` the value has, in strings or not: where its quotes are wrong,
    /// what is a string and what is not is a guess.
    arrays: i64,
    /// Its last byte that is no white space.
    last_visible: u8,
    /// What was passed over; absent if it is too long to be kept.
    text: Option<Vec<u8>>,
    last: u8,
}

/// What the beginning of a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// Nothing: brackets tell.
    Silent,
    /// A value begins.
    Tell,
    /// A value begins, unless it may be the element of an array or the value of a member.
    TellOutside,
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
    /// * `lines`, `line_begin`: whether lines tell where the next value begins, and how such a line
    ///   does.
    /// * `seen`: the value up to where it breaks.
    pub(super) fn new(
        open: &[Open],
        is_in_string: bool,
        is_in_array: bool,
        (lines, line_begin): (Lines, Vec<u8>),
        seen: &[u8],
    ) -> Recovery {
        let mut recovery = Recovery {
            open: open.to_vec(),
            is_bracketed: !open.is_empty(),
            open_beyond: 0,
            is_in_string,
            is_behind_backslash: false,
            is_in_array,
            lines,
            line_begin,
            arrays: 0,
            last_visible: 0,
            text: Some(Vec::new()),
            last: 0,
        };
        seen.iter().for_each(|byte| recovery.note(*byte));
        recovery
    }

    fn note(&mut self, byte: u8) {
        match byte {
            b'[' => self.arrays += 1,
            b']' => self.arrays -= 1,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            self.last_visible = byte;
        }
        self.last = byte;
    }

    /// Takes the broken value away, which breaks at `at`.
    pub(super) fn pass_over(
        mut self,
        window: &mut Window,
        mut at: usize,
    ) -> Result<Passed, ReadError> {
        loop {
            let is_over = match window.byte(at)? {
                None => true,
                Some(byte) => self.ends_before(byte) || self.begins_line_of_value(window, at)?,
            };
            let is_last = !is_over && self.ends_behind(window.rest()[at]);
            if !is_over {
                self.note(window.rest()[at]);
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
        let tells = match self.lines {
            Lines::Silent => false,
            Lines::Tell => true,
            Lines::TellOutside => self.arrays <= 0 && self.last_visible != b':',
        };
        Ok(tells && self.last == b'\n' && window.has(at, &self.line_begin)?)
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
