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
    /// One more replica waits for room, or one less; answers whether that changes it for all.
    pub(crate) fn show_waiting(&self, waits: bool) -> bool {
        if waits {
            self.waiting.fetch_add(1, Ordering::AcqRel) == 0
        } else {
            self.waiting.fetch_sub(1, Ordering::AcqRel) == 1
        }
    }

    /// Whether some replica waits: nothing new may be committed that could not be applied.
    pub(crate) fn is_missing(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}
