//! The scanner: JSON's grammar as one loop over the bytes.

use super::number;
use super::rules::{Checked, FIELD_NAME_BYTES_MAX, JsonError, JsonLimits};
use super::rules::{Malformed, NUMBER_BYTES_MAX, Unacceptable};
use super::string::unescape;
use cortado_model::limits::DOCUMENT_FIELDS_MAX;

/// Walks over one JSON value and remembers just enough to judge it.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    limits: &'a JsonLimits,
    /// The arrays and objects around the current position, outermost first.
    open: Vec<Open>,
    /// Names of the members of all open objects, in the order of `open`.
    names: Vec<Name>,
    /// The names that were written with escapes, decoded.
    decoded: Vec<String>,
    fields: usize,
    whitespace_bytes: usize,
    /// The first broken rule of meaning. Kept, because an error of syntax further on wins over it.
    refused: Option<JsonError>,
}

#[derive(Clone, Copy)]
enum Open {
    Array,
    Object { names_from: usize },
}

/// A member's name: the bytes `start..end`, or an entry of `decoded`.
#[derive(Clone, Copy)]
struct Name {
    start: usize,
    end: usize,
    decoded: Option<usize>,
}

/// What follows the position after a value.
enum Next {
    Value,
    End,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, limits: &'a JsonLimits) -> Scanner<'a> {
        Scanner {
            text,
            at: 0,
            limits,
            open: Vec::new(),
            names: Vec::new(),
            decoded: Vec::new(),
            fields: 0,
            whitespace_bytes: 0,
            refused: None,
        }
    }

    /// Walks to the end of the text.
    pub(super) fn run(mut self) -> Result<Checked, JsonError> {
        self.skip_whitespace();
        let is_object = self.peek() == Some(b'{');
        loop {
            let opened = self.value()?;
            if !opened && matches!(self.after_value()?, Next::End) {
                break;
            }
        }
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let Scanner { whitespace_bytes, fields, .. } = self;
        Ok(Checked { whitespace_bytes, fields, is_object })
    }

    /// Takes one value, or the opening of one; true if its first element comes next.
    fn value(&mut self) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(|()| false),
            Some(b'{') => {
                self.push(Open::Object { names_from: self.names.len() })?;
                if self.peek() == Some(b'}') {
                    return Ok(false);
                }
                self.name().map(|()| true)
            }
            Some(b'[') => {
                self.push(Open::Array)?;
                Ok(self.peek() != Some(b']'))
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(b't') => self.literal("true").map(|()| false),
            Some(b'f') => self.literal("false").map(|()| false),
            Some(b'n') => self.literal("null").map(|()| false),
            Some(_) => Err(self.malformed(Malformed::Unexpected)),
            None => Err(self.malformed(Malformed::Truncated)),
        }
    }

    /// Closes what ends here, and takes the comma or the end of the text.
    fn after_value(&mut self) -> Result<Next, JsonError> {
        loop {
            self.skip_whitespace();
            let Some(open) = self.open.last().copied() else {
                let at_end = self.at == self.text.len();
                let trailing = self.malformed(Malformed::TrailingText);
                return if at_end { Ok(Next::End) } else { Err(trailing) };
            };
            match (open, self.peek()) {
                (Open::Array, Some(b',')) => {
                    self.at += 1;
                    self.skip_whitespace();
                    return Ok(Next::Value);
                }
                (Open::Object { .. }, Some(b',')) => {
                    self.at += 1;
                    self.skip_whitespace();
                    self.name()?;
                    return Ok(Next::Value);
                }
                (Open::Array, Some(b']')) => {}
                (Open::Object { names_from }, Some(b'}')) => self.close_names(names_from)?,
                (Open::Array | Open::Object { .. }, Some(_)) => {
                    return Err(self.malformed(Malformed::Unexpected));
                }
                (Open::Array | Open::Object { .. }, None) => {
                    return Err(self.malformed(Malformed::Truncated));
                }
            }
            self.open.pop();
            self.at += 1;
        }
    }

    fn push(&mut self, open: Open) -> Result<(), JsonError> {
        if self.open.len() == self.limits.depth_max {
            return Err(self.malformed(Malformed::TooDeep));
        }
        self.open.push(open);
        self.at += 1;
        self.skip_whitespace();
        Ok(())
    }

    /// Takes a member's name, the colon, and the white space around it.
    fn name(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return Err(self.malformed(Malformed::Unexpected)),
            None => return Err(self.malformed(Malformed::Truncated)),
        }
        let start = self.at + 1;
        self.string()?;
        self.remember_name(start, self.at - 1);
        self.skip_whitespace();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.malformed(Malformed::Unexpected)),
            None => return Err(self.malformed(Malformed::Truncated)),
        }
        self.skip_whitespace();
        Ok(())
    }

    fn remember_name(&mut self, start: usize, end: usize) {
        self.fields += 1;
        if end - start > FIELD_NAME_BYTES_MAX {
            self.refuse(start, Unacceptable::NameTooLong);
        }
        let members = match self.open.last() {
            Some(Open::Object { names_from }) => self.names.len() - names_from,
            Some(Open::Array) | None => 0,
        };
        if self.fields > self.limits.fields_max || members >= DOCUMENT_FIELDS_MAX {
            // Refused in any case: what is not remembered costs no memory.
            self.refuse(start, Unacceptable::TooManyFields);
            return;
        }
        let raw = &self.text[start..end];
        let mut decoded = None;
        if raw.as_bytes().contains(&b'\\') {
            let name = unescape(raw);
            if name.contains('\0') {
                self.refuse(start, Unacceptable::NulInName);
            }
            decoded = Some(self.decoded.len());
            self.decoded.push(name);
        }
        self.names.push(Name { start, end, decoded });
    }

    /// Forgets the names of the innermost object, after looking for one that occurs twice.
    fn close_names(&mut self, names_from: usize) -> Result<(), JsonError> {
        let (text, decoded) = (self.text, &self.decoded);
        let spell = |name: &Name| match name.decoded {
            Some(index) => decoded[index].as_bytes(),
            None => &text.as_bytes()[name.start..name.end],
        };
        let names = &mut self.names[names_from..];
        let offset = repeated(names, spell);
        let decoded_from = names.iter().filter_map(|name| name.decoded).min();
        if let Some(from) = decoded_from {
            self.decoded.truncate(from);
        }
        self.names.truncate(names_from);
        match offset {
            Some(offset) => Err(JsonError::Malformed { offset, why: Malformed::DuplicateName }),
            None => Ok(()),
        }
    }

    /// Takes a string, both quotes included.
    fn string(&mut self) -> Result<(), JsonError> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            let rest = &bytes[self.at..];
            let Some(plain) = rest.iter().position(|b| STOPS_STRING[usize::from(*b)]) else {
                self.at = bytes.len();
                return Err(self.malformed(Malformed::Truncated));
            };
            self.at += plain;
            match bytes[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                _ => return Err(self.malformed(Malformed::ControlCharacter)),
            }
        }
    }

    /// Takes a backslash and what belongs to it, both halves of a surrogate pair together.
    fn escape(&mut self) -> Result<(), JsonError> {
        let rest = &self.text.as_bytes()[self.at..];
        match rest.get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match hex4(rest) {
                Some(0xD800..=0xDBFF) => match rest.get(6..).and_then(hex4) {
                    Some(0xDC00..=0xDFFF) => self.at += 12,
                    Some(_) | None => return Err(self.malformed(Malformed::LoneSurrogate)),
                },
                Some(0xDC00..=0xDFFF) => return Err(self.malformed(Malformed::LoneSurrogate)),
                Some(_) => self.at += 6,
                None => return Err(self.malformed(Malformed::InvalidEscape)),
            },
            Some(_) => return Err(self.malformed(Malformed::InvalidEscape)),
            None => {
                self.at += 1;
                return Err(self.malformed(Malformed::Truncated));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.malformed(Malformed::LeadingZero));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let token = &self.text[start..self.at];
        if token.len() > NUMBER_BYTES_MAX {
            self.refuse(start, Unacceptable::NumberTooLong);
        } else if !number::is_in_range(token) {
            self.refuse(start, Unacceptable::NumberOutOfRange);
        }
        Ok(())
    }

    /// Takes one digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        match (count, self.peek()) {
            (0, Some(_)) => Err(self.malformed(Malformed::Unexpected)),
            (0, None) => Err(self.malformed(Malformed::Truncated)),
            (_, _) => Ok(()),
        }
    }

    fn literal(&mut self, literal: &str) -> Result<(), JsonError> {
        let rest = &self.text.as_bytes()[self.at..];
        let same = rest.iter().zip(literal.bytes()).take_while(|(a, b)| **a == *b).count();
        self.at += same;
        if same == literal.len() {
            return Ok(());
        }
        let at_end = self.at == self.text.len();
        let why = if at_end { Malformed::Truncated } else { Malformed::Unexpected };
        Err(self.malformed(why))
    }

    fn skip_whitespace(&mut self) {
        let start = self.at;
        while self.peek().is_some_and(is_whitespace) {
            self.at += 1;
        }
        self.whitespace_bytes += self.at - start;
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn malformed(&self, why: Malformed) -> JsonError {
        JsonError::Malformed { offset: self.at, why }
    }

    fn refuse(&mut self, offset: usize, why: Unacceptable) {
        self.refused.get_or_insert(JsonError::Unacceptable { offset, why });
    }
}

/// Where a name stands that already stood before, the first such one.
///
/// Sorts, so that no choice of names makes it slower than `n log n` comparisons.
fn repeated<'b>(names: &mut [Name], spell: impl Fn(&Name) -> &'b [u8]) -> Option<usize> {
    /// Up to here comparing each with each is faster than sorting.
    const FEW: usize = 8;
    if names.len() <= FEW {
        let is_repeated = |i: &usize| names[..*i].iter().any(|n| spell(n) == spell(&names[*i]));
        return (0..names.len()).find(is_repeated).map(|i| names[i].start);
    }
    names.sort_unstable_by(|a, b| spell(a).cmp(spell(b)).then(a.start.cmp(&b.start)));
    let pairs = names.windows(2).filter(|pair| spell(&pair[0]) == spell(&pair[1]));
    pairs.map(|pair| pair[1].start).min()
}

/// The bytes as text.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(JsonError::Malformed { offset: 0, why: Malformed::ByteOrderMark });
    }
    std::str::from_utf8(bytes).map_err(|error| JsonError::Malformed {
        offset: error.valid_up_to(),
        why: Malformed::InvalidUtf8,
    })
}

/// JSON's four characters of white space.
pub(super) fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The number in `\uXXXX`, if `rest` starts with one.
fn hex4(rest: &[u8]) -> Option<u32> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |number, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(number * 16 + value)
    })
}

/// The bytes that end a run of plain characters in a string: quote, backslash, controls.
const STOPS_STRING: [bool; 256] = {
    let mut stops = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        stops[control] = true;
        control += 1;
    }
    stops[b'"' as usize] = true;
    stops[b'\\' as usize] = true;
    stops
};
