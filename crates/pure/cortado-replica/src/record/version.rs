//! What this build writes and understands of the format of records.

/// Version of the bodies that this build writes and reads.
pub(crate) const VERSION: u8 = 2;
/// The highest feature level that this build understands; level 1 is all of version 2.
pub const FEATURE_LEVEL_MAX: u16 = 1;
/// The feature level that a reader of this build's records needs.
pub(crate) const RECORD_FEATURE: u16 = 1;
