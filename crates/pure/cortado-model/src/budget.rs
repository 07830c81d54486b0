//! How much of something bounded is in use.
//!
//! Start reading at [`Budget`].

/// Memory that is in use, beside what may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// In use now. May exceed the limit for a moment, by what is being added.
    pub used_bytes: u64,
    /// The bound; 0 if there is no such memory.
    pub limit_bytes: u64,
}
