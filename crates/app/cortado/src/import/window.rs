//! A stretch of what is read, which grows in front and is taken away behind.
//!
//! Counts lines. Start reading at [`Window`].

use super::source::Unpacked;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;

/// The bytes that were read and not yet taken.
pub(crate) struct Window {
    input: Box<dyn Read + Send>,
    packed: Option<Arc<AtomicU64>>,
    bytes: Vec<u8>,
    /// Where the bytes begin that were not taken.
    begin: usize,
    /// The line of the next byte, from 1.
    line: u64,
    taken: u64,
    /// A terminal would be asked again, and take a Ctrl-D for each time.
    has_ended: bool,
}

impl Window {
    /// Begins where `unpacked` does.
    pub(crate) fn new(unpacked: Unpacked) -> Window {
        let Unpacked { input, packed } = unpacked;
        Window { input, packed, bytes: Vec::new(), begin: 0, line: 1, taken: 0, has_ended: false }
    }

    /// What is there.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.begin..]
    }

    /// Reads more behind what is there; answers false at the end.
    pub(crate) fn grow(&mut self) -> Result<bool, ReadError> {
        if self.has_ended {
            return Ok(false);
        }
        if self.begin > self.bytes.len() / 2 {
            self.bytes.drain(..self.begin);
            self.begin = 0;
        }
        let length = self.bytes.len();
        self.bytes.resize(length + READ_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.bytes[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.bytes.truncate(length + *read.as_ref().unwrap_or(&0));
        let is_packed = self.packed.is_some();
        let count = read.map_err(|source| ReadError { line: self.line, is_packed, source })?;
        self.has_ended = count == 0;
        Ok(count > 0)
    }

    /// The byte at `at`, reading up to there if need be; `None` behind the end.
    pub(crate) fn byte(&mut self, at: usize) -> Result<Option<u8>, ReadError> {
        while at >= self.rest().len() {
            if !self.grow()? {
                return Ok(None);
            }
        }
        Ok(Some(self.rest()[at]))
    }

    /// Whether `text` stands at `at`.
    pub(crate) fn has(&mut self, at: usize, text: &[u8]) -> Result<bool, ReadError> {
        while at + text.len() > self.rest().len() {
            if !self.grow()? {
                break;
            }
        }
        Ok(self.rest().get(at..).is_some_and(|rest| rest.starts_with(text)))
    }

    /// Takes the first `length` bytes away.
    pub(crate) fn take(&mut self, length: usize) {
        let gone = &self.bytes[self.begin..self.begin + length];
        self.line += memchr::memchr_iter(b'\n', gone).count() as u64;
        self.begin += length;
        self.taken += length as u64;
    }

    /// How much memory it takes.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The line of the next byte, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// How much of the file is taken, in bytes of the file: about, where it is gzipped.
    pub(crate) fn position(&self) -> u64 {
        match &self.packed {
            Some(packed) => packed.load(Ordering::Relaxed),
            None => self.taken,
        }
    }
}

/// The input has failed.
#[derive(Debug, thiserror::Error)]
#[error("the file cannot be read beyond line {line}: {source}")]
pub(crate) struct ReadError {
    line: u64,
    is_packed: bool,
    source: io::Error,
}

impl ReadError {
    /// Whether what was read before may be other than what was packed: a checksum stands at the end
    /// of a gzipped file alone. One that is cut off has lost its end, and nothing else.
    pub(crate) fn is_damage(&self) -> bool {
        let is_cut = self.source.kind() == io::ErrorKind::UnexpectedEof;
        self.is_packed && !is_cut && self.source.raw_os_error().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal on which Ctrl-D was typed once.
    struct Terminal {
        lines: Vec<&'static [u8]>,
        has_ended: bool,
    }

    impl Read for Terminal {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            assert!(!self.has_ended, "asked again behind the end");
            let line = self.lines.pop().unwrap_or_default();
            self.has_ended = line.is_empty();
            into[..line.len()].copy_from_slice(line);
            Ok(line.len())
        }
    }

    #[test]
    fn an_end_is_read_once() {
        let input = Box::new(Terminal { lines: vec![b"{}\n"], has_ended: false });
        let mut window = Window::new(Unpacked { input, packed: None });
        assert!(window.has(0, b"{}\n").expect("readable"));
        window.take(3);
        for _ in 0..3 {
            assert_eq!(window.byte(0).expect("readable"), None);
            assert!(!window.has(0, b"x").expect("readable"));
        }
    }
}
