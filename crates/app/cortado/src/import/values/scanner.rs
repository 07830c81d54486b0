//! Where a JSON value ends, or where it is no JSON: brackets, colons, commas and strings.
//!
//! Numbers and words are runs of characters here. Start reading at [`Scanner::scan`].

/// Deeper than any document may be.
const DEPTH_MAX: usize = 10_000;

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    Object,
    Array,
}

/// Scans one value.
#[derive(Debug)]
pub(super) struct Scanner {
    open: Vec<Open>,
    state: State,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    Colon,
    CommaOrEnd,
    /// In a string; whether it is a member's name.
    String {
        is_name: bool,
    },
    /// Behind a backslash.
    Escape {
        is_name: bool,
    },
    /// In a number or a word.
    Word,
}

/// What a scan has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Everything that was there belongs to the value.
    More,
    /// The value ends before the byte where the scan stands.
    Done,
    /// That byte cannot belong to a value.
    Bad(&'static str),
}

impl Scanner {
    pub(super) fn new() -> Scanner {
        Scanner { open: Vec::new(), state: State::Value }
    }

    /// What is open, the outermost first.
    pub(super) fn open(&self) -> &[Open] {
        &self.open
    }

    pub(super) fn is_in_string(&self) -> bool {
        matches!(self.state, State::String { .. } | State::Escape { .. })
    }

    /// Whether it is a number, `true`, `false`, `null`, or a word that is no JSON.
    pub(super) fn is_word(&self) -> bool {
        self.state == State::Word && self.open.is_empty()
    }

    /// Scans `bytes`, and moves `at` on by as many as belong to the value.
    pub(super) fn scan(&mut self, bytes: &[u8], at: &mut usize) -> Step {
        let mut rest = bytes;
        loop {
            if let State::String { .. } = self.state {
                // Most of a file is text.
                let plain = memchr::memchr3(b'"', b'\\', b'\n', rest).unwrap_or(rest.len());
                rest = &rest[plain..];
            }
            let Some(byte) = rest.first() else {
                *at += bytes.len();
                return Step::More;
            };
            match self.step(*byte) {
                Step::More => rest = &rest[1..],
                ended => {
                    *at += bytes.len() - rest.len();
                    return ended;
                }
            }
            if self.state == State::CommaOrEnd && self.open.is_empty() {
                *at += bytes.len() - rest.len();
                return Step::Done;
            }
        }
    }

    /// Nothing follows.
    pub(super) fn end(&self) -> Step {
        match self.state {
            State::Word if self.open.is_empty() => Step::Done,
            _ => Step::Bad("the file ends inside it"),
        }
    }

    fn step(&mut self, byte: u8) -> Step {
        match (self.state, byte) {
            (State::Escape { is_name }, _) => self.state = State::String { is_name },
            (State::String { is_name }, b'\\') => self.state = State::Escape { is_name },
            (State::String { is_name: true }, b'"') => self.state = State::Colon,
            (State::String { is_name: false }, b'"') => self.state = State::CommaOrEnd,
            (State::String { .. }, b'\n') => return Step::Bad("a line end inside a string"),
            (State::String { .. }, _) => {}
            (State::Word, _) if is_of_word(byte) => {}
            (State::Word, _) if self.open.is_empty() => return Step::Done,
            (State::Word, _) => {
                self.state = State::CommaOrEnd;
                return self.step(byte);
            }
            (_, b' ' | b'\t' | b'\r' | b'\n') => {}
            (State::Value | State::ValueOrEnd, b'{') => return self.enter(Open::Object),
            (State::Value | State::ValueOrEnd, b'[') => return self.enter(Open::Array),
            (State::Value | State::ValueOrEnd, b'"') => {
                self.state = State::String { is_name: false };
            }
            (State::Value | State::ValueOrEnd, _) if is_of_word(byte) => self.state = State::Word,
            (State::Name | State::NameOrEnd, b'"') => self.state = State::String { is_name: true },
            (State::Colon, b':') => self.state = State::Value,
            (State::CommaOrEnd, b',') => {
                self.state = match self.open.last() {
                    Some(Open::Object) => State::Name,
                    Some(Open::Array) | None => State::Value,
                };
            }
            (State::CommaOrEnd | State::NameOrEnd, b'}') => return self.leave(Open::Object),
            (State::CommaOrEnd | State::ValueOrEnd, b']') => return self.leave(Open::Array),
            (State::Value | State::ValueOrEnd, _) => return Step::Bad("a value is missing"),
            (State::Name | State::NameOrEnd, _) => {
                return Step::Bad("a member's name in double quotes is missing");
            }
            (State::Colon, _) => return Step::Bad("a colon is missing"),
            (State::CommaOrEnd, _) => return Step::Bad("a comma or a closing bracket is missing"),
        }
        Step::More
    }

    fn enter(&mut self, open: Open) -> Step {
        if self.open.len() >= DEPTH_MAX {
            return Step::Bad("it is nested too deeply");
        }
        self.open.push(open);
        self.state = match open {
            Open::Object => State::NameOrEnd,
            Open::Array => State::ValueOrEnd,
        };
        Step::More
    }

    fn leave(&mut self, open: Open) -> Step {
        if self.open.last() != Some(&open) {
            return Step::Bad("a closing bracket of the wrong kind");
        }
        self.open.pop();
        self.state = State::CommaOrEnd;
        Step::More
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_') || byte >= 0x80
}
