//! Where one HTTP/1.1 request ends and the next begins, read strictly.
//!
//! The parser behind this one forgives what RFC 9112 lets a server forgive. A proxy between a
//! client and us may read such requests otherwise, so that one request hides inside another
//! (request smuggling). What could be read in two ways is refused here, before it is parsed.
//!
//! Pure: sees bytes, in whatever pieces they come. Start reading at [`Framing::feed`].

#[cfg(test)]
mod tests;

use cortado_model::limits::HEADERS_MAX;

/// Follows the bytes of one connection from a client.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
    /// The beginning of a line whose end has not come yet.
    carry: Vec<u8>,
    heads: u64,
}

/// Bytes of a line behind the last chunk that has not ended yet. A longer one is passed on: the
/// parser's own limit is lower, and its answer is the right one.
const LINE_BYTES_MAX: usize = 128 << 10;
/// Bytes of a request line. Those of too long a path, but no longer than this, are answered like
/// any other request; longer ones do not fit the parser's buffer.
const REQUEST_LINE_BYTES_MAX: u32 = 32 << 10;
/// Bytes of a head, request line included, for the same reason.
const HEAD_BYTES_MAX: u32 = 60 << 10;
/// Bytes of a chunk's size and extensions.
const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Hexadecimal digits of a chunk's size: far beyond any body, far below overflow.
const CHUNK_DIGITS_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a request line.
    Start,
    /// Among the header fields.
    Fields(Fields),
    /// This many bytes of a body are to come.
    Body { left_bytes: u64 },
    /// Before a chunk's size.
    ChunkSize,
    /// This many bytes of a chunk, and its line end, are to come.
    Chunk { left_bytes: u64 },
    /// Before the end of a chunk's line.
    ChunkEnd,
    /// Among the fields behind the last chunk.
    Trailers,
    /// Lost: the parser will say why.
    Blind,
}

/// What the fields so far say about the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fields {
    length_bytes: Option<u64>,
    chunked: bool,
    count: u16,
    /// All lines of the head so far.
    head_bytes: u32,
}

/// Where and why a request cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Why.
    pub(crate) violation: Violation,
    /// How many of the bytes fed last are good.
    pub(crate) good_bytes: usize,
}

/// Why a request is not read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A line feed without a carriage return.
    BareLineEnd,
    /// A request line that no parser here can hold.
    LongRequestLine,
    /// A `#` in the request line: what follows it would be dropped in silence.
    Fragment,
    /// Too many header fields, or a head that no parser here can hold.
    LargeHead,
    /// Two lengths, equal ones too, or one of them by `Transfer-Encoding`.
    TwoLengths,
    /// A `Content-Length` that is no plain decimal number.
    BadLength,
    /// A `Transfer-Encoding` other than `chunked`.
    UnknownCoding,
    /// A chunk without a proper size or end.
    BadChunk,
}

impl Framing {
    pub(crate) fn new() -> Framing {
        Framing { state: State::Start, carry: Vec::new(), heads: 0 }
    }

    /// Whether nothing of the next request has come yet.
    pub(crate) fn is_between(&self) -> bool {
        self.state == State::Start && self.carry.is_empty()
    }

    /// Whether a head has begun and not ended.
    pub(crate) fn is_in_head(&self) -> bool {
        match self.state {
            State::Start => !self.carry.is_empty(),
            State::Fields(_) => true,
            State::Body { .. }
            | State::ChunkSize
            | State::Chunk { .. }
            | State::ChunkEnd
            | State::Trailers
            | State::Blind => false,
        }
    }

    /// Whether a body has begun and not ended.
    pub(crate) fn is_in_body(&self) -> bool {
        match self.state {
            State::Body { .. }
            | State::ChunkSize
            | State::Chunk { .. }
            | State::ChunkEnd
            | State::Trailers => true,
            State::Start | State::Fields(_) | State::Blind => false,
        }
    }

    /// How many heads have ended so far.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// Takes the next bytes of the connection.
    ///
    /// # Errors
    /// The first rule that they break, and how many of the bytes stand before the line that breaks
    /// it. What comes after them is lost: the connection is to be closed.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let good_bytes = bytes.len() - rest.len();
            let broken = |violation| Broken { violation, good_bytes };
            rest = match self.state {
                State::Blind => return Ok(()),
                State::Body { left_bytes } => {
                    let (left_bytes, after) = skip(left_bytes, rest);
                    let done = left_bytes == 0;
                    self.state = if done { State::Start } else { State::Body { left_bytes } };
                    after
                }
                State::Chunk { left_bytes } => {
                    let (left_bytes, after) = skip(left_bytes, rest);
                    let done = left_bytes == 0;
                    self.state = if done { State::ChunkEnd } else { State::Chunk { left_bytes } };
                    after
                }
                State::Start
                | State::Fields(_)
                | State::ChunkSize
                | State::ChunkEnd
                | State::Trailers => self.feed_line(rest).map_err(broken)?,
            };
        }
        Ok(())
    }

    /// Takes a line, or what has come of it, off the front of `bytes`.
    fn feed_line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Violation> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.carry.extend_from_slice(bytes);
            let in_chunks = matches!(self.state, State::ChunkSize | State::ChunkEnd);
            if in_chunks && self.carry.len() > CHUNK_LINE_BYTES_MAX {
                return Err(Violation::BadChunk);
            }
            check_head_bytes(self.state, self.carry.len())?;
            if self.carry.len() > LINE_BYTES_MAX {
                self.state = State::Blind;
            }
            return Ok(&[]);
        };
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        let was_in_head = matches!(self.state, State::Fields(_));
        self.state = if self.carry.is_empty() {
            after_line(self.state, line)?
        } else {
            self.carry.extend_from_slice(line);
            let state = after_line(self.state, &self.carry)?;
            self.carry.clear();
            state
        };
        self.heads += u64::from(was_in_head && !matches!(self.state, State::Fields(_)));
        Ok(rest)
    }
}

/// What comes after `line`, which has lost its line feed only.
fn after_line(state: State, line: &[u8]) -> Result<State, Violation> {
    check_head_bytes(state, line.len())?;
    // A carriage return elsewhere in the line is the parser's to refuse, and it does.
    let line = line.strip_suffix(b"\r").ok_or(Violation::BareLineEnd)?;
    match state {
        // RFC 9112, section 2.2: an empty line before a request is ignored.
        State::Start if line.is_empty() => Ok(State::Start),
        State::Start if memchr::memchr(b'#', line).is_some() => Err(Violation::Fragment),
        State::Start => {
            Ok(State::Fields(Fields { head_bytes: line.len() as u32, ..Fields::default() }))
        }
        State::Fields(fields) if line.is_empty() => Ok(after_head(fields)),
        State::Fields(fields) => field(counted(fields, line)?, line).map(State::Fields),
        State::ChunkSize => match chunk_size(line)? {
            0 => Ok(State::Trailers),
            left_bytes => Ok(State::Chunk { left_bytes }),
        },
        State::ChunkEnd if line.is_empty() => Ok(State::ChunkSize),
        State::ChunkEnd => Err(Violation::BadChunk),
        State::Trailers if line.is_empty() => Ok(State::Start),
        State::Trailers => Ok(State::Trailers),
        State::Body { .. } | State::Chunk { .. } | State::Blind => Ok(state),
    }
}

fn after_head(fields: Fields) -> State {
    match fields {
        Fields { chunked: true, .. } => State::ChunkSize,
        Fields { length_bytes: None | Some(0), chunked: false, .. } => State::Start,
        Fields { length_bytes: Some(left_bytes), chunked: false, .. } => State::Body { left_bytes },
    }
}

/// Checks that a line of `line_bytes`, or more if its end has not come, leaves the head readable.
fn check_head_bytes(state: State, line_bytes: usize) -> Result<(), Violation> {
    match state {
        State::Start if line_bytes > REQUEST_LINE_BYTES_MAX as usize => {
            Err(Violation::LongRequestLine)
        }
        State::Fields(fields) if line_bytes > (HEAD_BYTES_MAX - fields.head_bytes) as usize => {
            Err(Violation::LargeHead)
        }
        State::Start
        | State::Fields(_)
        | State::Body { .. }
        | State::ChunkSize
        | State::Chunk { .. }
        | State::ChunkEnd
        | State::Trailers
        | State::Blind => Ok(()),
    }
}

/// Counts one header field.
fn counted(fields: Fields, line: &[u8]) -> Result<Fields, Violation> {
    let count = fields.count + 1;
    if usize::from(count) > HEADERS_MAX {
        return Err(Violation::LargeHead);
    }
    // At most `HEAD_BYTES_MAX`, as checked before.
    Ok(Fields { count, head_bytes: fields.head_bytes + line.len() as u32, ..fields })
}

/// Takes one header field into account. Malformed ones are left to the parser.
fn field(mut fields: Fields, line: &[u8]) -> Result<Fields, Violation> {
    // Only two names matter, and few others begin with the same letters.
    if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
        return Ok(fields);
    }
    let Some(colon) = memchr::memchr(b':', line) else { return Ok(fields) };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if name.eq_ignore_ascii_case(b"content-length") {
        let length_bytes = decimal(value).ok_or(Violation::BadLength)?;
        if fields.chunked || fields.length_bytes.is_some() {
            return Err(Violation::TwoLengths);
        }
        fields.length_bytes = Some(length_bytes);
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        if fields.length_bytes.is_some() || fields.chunked {
            return Err(Violation::TwoLengths);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Violation::UnknownCoding);
        }
        fields.chunked = true;
    }
    Ok(fields)
}

/// Digits only, within 64 bits.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn chunk_size(line: &[u8]) -> Result<u64, Violation> {
    let size = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii_end();
    let well_formed = (1..=CHUNK_DIGITS_MAX).contains(&size.len())
        && line.len() <= CHUNK_LINE_BYTES_MAX
        && size.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(size).ok().filter(|_| well_formed);
    let size = text.and_then(|text| u64::from_str_radix(text, 16).ok());
    size.ok_or(Violation::BadChunk)
}

/// Skips up to `left_bytes`; answers how many are still to come, and what follows.
fn skip(left_bytes: u64, bytes: &[u8]) -> (u64, &[u8]) {
    // A slice is never longer than 2^63 bytes, so neither cast cuts.
    let skipped = left_bytes.min(bytes.len() as u64);
    (left_bytes - skipped, &bytes[skipped as usize..])
}
