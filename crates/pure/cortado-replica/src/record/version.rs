//! What this build writes and understands of the format of records.

/// Version of the bodies that this build writes and reads.
pub(crate) const VERSION: u8 = 2;
/// The level of every record and partition until a `Config::Feature` raises it: all of version 2.
pub(crate) const FEATURE_LEVEL_FIRST: u16 = 1;
/// The highest feature level that this build declares unless told otherwise.
pub const FEATURE_LEVEL_MAX: u16 = FEATURE_LEVEL_FIRST;
/// The level after, which says nothing new yet: a node declares it when it is told to, so that an
/// upgrade can be tried before there is one.
pub const FEATURE_LEVEL_NEXT: u16 = FEATURE_LEVEL_MAX + 1;
