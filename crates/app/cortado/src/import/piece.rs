//! One value of a file, as it was cut out or as it could not be.
//!
//! Start reading at [`Piece`].

/// The longest value that is read; the server takes less. Longer ones are passed over.
pub(crate) const PIECE_BYTES_MAX: usize = 8 << 20;

/// One value, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Which value of the file, from 1.
    pub(crate) position: u64,
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// How much of the file it takes, with what separates it from the one before.
    pub(crate) bytes: u64,
    /// As it stands in the file.
    pub(crate) text: Result<Vec<u8>, Torn>,
}

/// A value that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    /// Why.
    pub(crate) reason: String,
    /// What was passed over; absent if it is too long to be kept.
    pub(crate) text: Option<Vec<u8>>,
}
