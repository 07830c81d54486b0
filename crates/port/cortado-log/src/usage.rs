//! What a log takes up on this machine. Source: docs/metrics.md.

use cortado_model::Budget;

/// Files and memory of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogUsage {
    /// `None` if it keeps no files here, or cannot tell.
    pub disk: Option<LogDisk>,
    /// Recent records kept in memory.
    pub cache: Budget,
    /// Records that were handed over and are not durable yet.
    pub queue: Budget,
}

/// The files of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogDisk {
    /// All files, those that are being prepared or kept for reuse included.
    pub bytes: u64,
    /// The files that hold records.
    pub segments: u64,
}
