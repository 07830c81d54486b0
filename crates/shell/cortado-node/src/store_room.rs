//! Whether a node's store has room, as its replicas have found.
//!
//! Start reading at [`StoreRoom::is_missing`].

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the replicas that stand still until the store has room.
#[derive(Debug, Default)]
pub(crate) struct StoreRoom {
    waiting: AtomicU64,
}

impl StoreRoom {
    /// One more replica waits for room, or one less.
    pub(crate) fn show_waiting(&self, waits: bool) {
        if waits {
            self.waiting.fetch_add(1, Ordering::AcqRel);
        } else {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether some replica waits: nothing new may be committed that could not be applied.
    pub(crate) fn is_missing(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}
