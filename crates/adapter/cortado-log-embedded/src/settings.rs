//! Where a log is and how large it may be.
//!
//! Start reading at [`Settings`].

use crate::open_error::OpenError;
use std::path::PathBuf;

/// Where the log is and how large it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// An existing directory, of this log alone.
    pub directory: PathBuf,
    /// Length of a segment file, between [`Settings::SEGMENT_BYTES_MIN`] and
    /// [`Settings::SEGMENT_BYTES_MAX`]. Space is reserved and freed in these steps.
    pub segment_bytes: u64,
    /// Bytes of recent records that are kept in memory, of all partitions together.
    pub cache_bytes_max: usize,
    /// There was a log here: a directory without one has lost it, and is refused.
    pub must_exist: bool,
}

impl Settings {
    /// A header, and some groups behind it.
    pub const SEGMENT_BYTES_MIN: u64 = 8 << 10;
    /// Far below what four bytes can address, and enough to hold a day.
    pub const SEGMENT_BYTES_MAX: u64 = 4 << 30;

    /// A log that may be new, with segments of 64 MiB and 64 MiB of recent records in memory.
    pub fn new(directory: impl Into<PathBuf>) -> Settings {
        Settings {
            directory: directory.into(),
            segment_bytes: 64 << 20,
            cache_bytes_max: 64 << 20,
            must_exist: false,
        }
    }

    /// Refuses a segment length that is not possible.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let (min, max) = (Settings::SEGMENT_BYTES_MIN, Settings::SEGMENT_BYTES_MAX);
        if (min..=max).contains(&self.segment_bytes) {
            return Ok(());
        }
        Err(OpenError::SegmentBytes { segment_bytes: self.segment_bytes, min, max })
    }
}
