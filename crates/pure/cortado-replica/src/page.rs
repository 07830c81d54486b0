//! What one read of a log told: records, and how far it is certain that there are no others.
//!
//! Decides nothing. Start reading at [`RecordPage`].

use alloc::vec::Vec;
use bytes::Bytes;
use cortado_model::{LogOffset, LogPosition};

/// A part of a log, from one offset to another.
///
/// Offsets between `from` and `next` that no entry has never held a record: the log vouches for
/// such a gap, and the fold passes over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPage {
    /// The offset that was asked for.
    pub from: LogOffset,
    /// Records, in ascending order of their offsets.
    pub entries: Vec<(LogOffset, Bytes)>,
    /// Where to go on: behind the last entry, or beyond if a gap follows it. Its epoch is that of
    /// all entries.
    pub next: LogPosition,
}
