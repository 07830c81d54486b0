//! What a look into a store shows.

use crate::{Remembered, StoredDocument, WallMillis};
use alloc::vec::Vec;

/// What a write is evaluated against, all of one state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// For each key that was asked for, its document.
    pub documents: Vec<Option<StoredDocument>>,
    /// What is remembered under the name that was asked for; it may have expired.
    pub remembered: Option<Remembered>,
    /// What all remembered answers take; 0 if no name was asked for.
    pub remembered_bytes: u64,
    /// When the first of them expires: log time. `None` if no name was asked for.
    pub first_expiry: Option<WallMillis>,
}
