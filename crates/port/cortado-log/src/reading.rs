//! What reading a log tells: records, where to go on, and where the log begins and ends.
//!
//! Start reading at [`LogPage`].

use bytes::Bytes;
use cortado_model::{LogId, LogOffset, LogPosition};
use std::io;

/// One record as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it stands.
    pub offset: LogOffset,
    /// What was appended, to the byte.
    pub record: Bytes,
}

/// Records in order, and where to go on.
///
/// Offsets between the position that was asked for and `next` that no entry has never held a
/// record: the log vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// In ascending order of their offsets; none at the end, or where only a gap was found.
    pub entries: Vec<LogEntry>,
    /// Where to go on: behind the last entry, or beyond if a gap follows it. Its epoch is that of
    /// all entries: a page ends where a log changes its own leader.
    pub next: LogPosition,
    /// The end, no older than the entries.
    pub end: LogOffset,
}

/// Where a partition's log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Which log it is.
    pub log: LogId,
    /// The oldest offset that can be read; the end if there is none.
    pub first: LogOffset,
    /// The offset that the next record will get, at the earliest.
    pub end: LogOffset,
    /// The log's own epoch; 0 where it has none.
    pub epoch: u32,
}

/// Why a read has no records to tell.
#[derive(Debug, thiserror::Error)]
pub enum LogReadError {
    /// The records are gone: resync from a snapshot, then read from `first` on.
    #[error("records below {first} have been trimmed")]
    Trimmed {
        /// The oldest offset that can still be read.
        first: LogOffset,
    },
    /// The log ends below the position, or holds another history there: it has lost records.
    #[error("the log was truncated: it ends at {end}")]
    Diverged {
        /// Where it ends, or where the histories part.
        end: LogOffset,
    },
    /// Offsets are missing, and the log does not know why.
    #[error("the record at offset {at} is missing")]
    Hole {
        /// The first of them.
        at: LogOffset,
    },
    /// The log is another one than when it was verified.
    #[error("the log was replaced: its identity is {found}")]
    Replaced {
        /// Its identity now.
        found: LogId,
    },
    /// The partition's log was not created, or was removed.
    #[error("the log of this partition does not exist")]
    Missing,
    /// Passing; try again.
    #[error("the log cannot be read")]
    Unavailable(#[source] io::Error),
    /// The stored bytes are not what was written. Never repaired silently.
    #[error("the log is damaged: {why}")]
    Damaged {
        /// File and position.
        why: String,
    },
}
