//! What a store has of some documents, for who is to write them.
//!
//! Start reading at [`Findings`].

use crate::{Remembered, StoredDocument, WallMillis};
use alloc::vec::Vec;

/// Documents, and what is known of idempotency keys: all of one state of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// One for each key that was asked for, in that order.
    pub documents: Vec<Option<StoredDocument>>,
    /// What was committed under each name that was asked for, in that order. It may have expired:
    /// see [`Batch::forget_before`](crate::Batch::forget_before).
    pub remembered: Vec<Option<Remembered>>,
    /// What all answers take that are remembered: bytes of their entries. 0 without names.
    pub remembered_bytes: u64,
    /// When the first of them expires: log time. `None` without names.
    pub first_expiry: Option<WallMillis>,
}
