//! Why bytes say nothing to this build, and what a build would need to read them.
//!
//! Start reading at [`DecodeError`].

use super::frame::FrameError;
use super::version::VERSION;

/// Bytes that say nothing to this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Of another partition, or no record at all.
    #[error("not a record of this partition")]
    Foreign,
    /// Not what was written.
    #[error("the bytes are damaged: {0}")]
    Damaged(&'static str),
    /// Written by a newer Cortado.
    #[error(transparent)]
    NeedsUpgrade(#[from] Need),
}

impl From<FrameError> for DecodeError {
    fn from(error: FrameError) -> DecodeError {
        match error {
            FrameError::Foreign => DecodeError::Foreign,
            FrameError::Damaged(what) => DecodeError::Damaged(what),
        }
    }
}

/// What a build must understand to read some bytes, and this one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Need {
    /// A version of the record format.
    #[error("needs a build that reads record version {0}; this one reads version {VERSION}")]
    RecordVersion(u8),
    /// A kind of record.
    #[error("needs a build that knows record kind {0}")]
    Kind(u8),
    /// A feature level.
    #[error("needs a build of feature level {needed}; this one has level {own}")]
    Feature {
        /// What is needed.
        needed: u16,
        /// What this build declares.
        own: u16,
    },
    /// A part of a record that must not be passed over.
    #[error("needs a build that knows part {0} of a record")]
    Part(u8),
    /// A version of the format of documents.
    #[error("needs a build that reads document version {0}")]
    DocumentVersion(u8),
    /// A version of the format of fold states.
    #[error("needs a build that reads fold state version {0}")]
    CheckpointVersion(u8),
    /// A section of a fold state that must not be passed over.
    #[error("needs a build that knows section {0} of a fold state")]
    Section(u16),
}
