//! Bytes on their way in: taken off the front, bounded, and never trusted.
//!
//! Start reading at [`Input`].

use bytes::{Buf, Bytes};

/// Entries of one list: a thousand documents, and far more replicas than a node has. What a frame
/// can make its reader allocate is bounded by this and by its own length.
const LIST_MAX: u64 = 1 << 17;

/// Why bytes are no frame of this protocol. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They end too early.
    #[error("the frame ends in the middle of a value")]
    Truncated,
    /// More stands behind what was expected.
    #[error("{bytes} bytes stand behind the frame's last value")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The checksum differs.
    #[error("the frame's checksum differs: it was damaged on its way")]
    Damaged,
    /// Written by a newer Cortado.
    #[error("the frame has version {version}, this build reads version {known}")]
    UnknownVersion {
        /// The version it names.
        version: u8,
        /// The one that is read.
        known: u8,
    },
    /// A kind of frame that this build does not know, or not here.
    #[error("the frame is of kind {kind:#04x}, which this build does not expect here")]
    UnknownKind {
        /// The kind it names.
        kind: u8,
    },
    /// A variant that this build does not know.
    #[error("{what} has no variant {tag}")]
    UnknownVariant {
        /// Of what.
        what: &'static str,
        /// The variant it names.
        tag: u8,
    },
    /// A value that cannot be.
    #[error("the frame holds an invalid {0}")]
    Invalid(&'static str),
    /// A list with more entries than any has.
    #[error("a list of the frame has {entries} entries, at most {LIST_MAX} are read")]
    TooMany {
        /// How many it names.
        entries: u64,
    },
}

/// What is left of a frame.
pub(super) struct Input {
    rest: Bytes,
}

impl Input {
    pub(super) fn new(bytes: Bytes) -> Input {
        Input { rest: bytes }
    }

    pub(super) fn byte(&mut self) -> Result<u8, WireError> {
        if self.rest.is_empty() { Err(WireError::Truncated) } else { Ok(self.rest.get_u8()) }
    }

    /// Shares the frame's buffer.
    pub(super) fn bytes(&mut self, count: usize) -> Result<Bytes, WireError> {
        if self.rest.len() < count {
            return Err(WireError::Truncated);
        }
        Ok(self.rest.split_to(count))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let bytes = self.bytes(N)?;
        bytes[..].try_into().map_err(|_| WireError::Truncated)
    }

    /// A number of seven bits a byte, the lowest first; the last byte is below 128. One number has
    /// one spelling.
    pub(super) fn number(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 || byte == 0 && shift > 0 {
                return Err(WireError::Invalid("number"));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(WireError::Invalid("number"))
    }

    /// How many entries follow. Each takes a byte at least.
    pub(super) fn count(&mut self) -> Result<usize, WireError> {
        let entries = self.number()?;
        if entries > LIST_MAX {
            return Err(WireError::TooMany { entries });
        }
        let count = usize::try_from(entries).map_err(|_| WireError::TooMany { entries })?;
        if count > self.rest.len() { Err(WireError::Truncated) } else { Ok(count) }
    }

    /// Bytes behind their length.
    pub(super) fn string(&mut self) -> Result<Bytes, WireError> {
        let length = usize::try_from(self.number()?).map_err(|_| WireError::Truncated)?;
        self.bytes(length)
    }

    /// # Errors
    /// [`WireError::Trailing`] if something is left.
    pub(super) fn finish(self) -> Result<(), WireError> {
        let bytes = self.rest.len();
        if bytes > 0 { Err(WireError::Trailing { bytes }) } else { Ok(()) }
    }
}
