//! Why a log cannot be opened, and what to do about it.
//!
//! Nothing is ever changed in a directory whose log is refused. Start reading at [`OpenError`].

use crate::segment::VERSION;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no log to use. The directory is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another log of this one, uses the directory.
    #[error(
        "the log in {directory:?} is in use by another process; stop it, or choose another \
         directory"
    )]
    InUse {
        /// The log's directory.
        directory: PathBuf,
    },
    /// There is no such directory.
    #[error("the directory {directory:?} does not exist; create it, or correct the path")]
    Missing {
        /// The log's directory.
        directory: PathBuf,
    },
    /// There was a log, and none of its segments is left. Restore them.
    #[error("the log in {directory:?} is gone: it has no segments; nothing was changed")]
    Gone {
        /// The log's directory.
        directory: PathBuf,
    },
    /// The path names something else.
    #[error("{directory:?} is not a directory; choose another path for the log")]
    NotADirectory {
        /// The path that was given.
        directory: PathBuf,
    },
    /// This process may not write there.
    #[error("the log directory {directory:?} is not writable; change its permissions or mount")]
    ReadOnly {
        /// The log's directory.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no room for the first segment. Make room, then open again.
    #[error("no space left for a segment of {segment_bytes} bytes in {directory:?}")]
    NoSpace {
        /// The log's directory.
        directory: PathBuf,
        /// What was to be reserved.
        segment_bytes: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Bytes that were durable have changed or are gone. Restore the file, or the directory.
    #[error("the log in {directory:?} is damaged: {damage}; nothing was changed")]
    Damaged {
        /// The log's directory.
        directory: PathBuf,
        /// What is wrong, and where.
        damage: Damage,
    },
    /// Another version of the program wrote it. Open it with that one.
    #[error(
        "{file} in {directory:?} has log format version {version}, but this version of cortado \
         reads only version {VERSION}; open it with the version that wrote it, or choose another \
         directory"
    )]
    Version {
        /// The log's directory.
        directory: PathBuf,
        /// The segment file.
        file: String,
        /// The version it has.
        version: u32,
    },
    /// The setting is out of range.
    #[error("invalid segment size of {segment_bytes} bytes: must be {min} to {max}")]
    SegmentBytes {
        /// What was asked for.
        segment_bytes: u64,
        /// The smallest possible.
        min: u64,
        /// The largest possible.
        max: u64,
    },
    /// The system refused something else.
    #[error("cannot {doing} in {directory:?}")]
    Io {
        /// The log's directory.
        directory: PathBuf,
        /// What was being done.
        doing: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Stored bytes that are not what was written, or are missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Wrong bytes.
    #[error("{file} at byte {position}: {why}")]
    Bytes {
        /// The segment file.
        file: String,
        /// Where the wrong bytes begin, as near as the checksums tell.
        position: u64,
        /// What is wrong.
        why: String,
    },
    /// A file that is shorter than it was made.
    #[error("{file} has {bytes} bytes of {bytes_expected}: it was truncated")]
    Truncated {
        /// The segment file.
        file: String,
        /// How long it is.
        bytes: u64,
        /// How long it was made.
        bytes_expected: u64,
    },
    /// A file that must be there and is not.
    #[error("{file} is missing: {why}")]
    MissingSegment {
        /// The segment file.
        file: String,
        /// How it is known that it existed.
        why: String,
    },
    /// Records that must be there and are in none of the files.
    #[error("records {first} to {last} of partition {partition} are in no segment")]
    MissingRecords {
        /// The partition that has a hole.
        partition: cortado_model::PartitionId,
        /// The first record that is missing.
        first: u64,
        /// The last record that is missing.
        last: u64,
    },
    /// A file of another log.
    #[error("{file} belongs to a different log than the segments before it")]
    Foreign {
        /// The segment file.
        file: String,
    },
}

impl OpenError {
    /// What `source`, met while `doing` something in `directory`, means to the caller.
    pub(crate) fn from_io(directory: &Path, doing: &str, source: io::Error) -> OpenError {
        let directory = directory.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => OpenError::Missing { directory },
            io::ErrorKind::NotADirectory => OpenError::NotADirectory { directory },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                OpenError::ReadOnly { directory, source }
            }
            _ => OpenError::Io { directory, doing: doing.to_owned(), source },
        }
    }
}
