//! Whether a node has room for more, as its store, its log and its replicas have found.
//!
//! Start reading at [`StoreRoom::is_missing`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts the replicas that stand still until the store has room, and knows whether it is getting
/// short.
#[derive(Debug, Default)]
pub(crate) struct StoreRoom {
    waiting: AtomicU64,
    low: AtomicBool,
}

impl StoreRoom {
    /// One more replica waits for room, or one less; answers whether that changes it for all.
    pub(crate) fn show_waiting(&self, waits: bool) -> bool {
        let before = self.is_missing();
        if waits {
            self.waiting.fetch_add(1, Ordering::AcqRel);
        } else {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        self.is_missing() != before
    }

    /// Room is getting short, or no longer; answers whether that changes it for all.
    pub(crate) fn show_low(&self, low: bool) -> bool {
        let before = self.is_missing();
        self.low.store(low, Ordering::Release);
        self.is_missing() != before
    }

    /// Whether some replica waits: what is committed is not applied.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Whether nothing new may be committed but what must be: it could not be applied.
    pub(crate) fn is_missing(&self) -> bool {
        self.is_awaited() || self.low.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_missing_while_it_is_low_or_awaited() {
        let room = StoreRoom::default();
        assert!(room.show_low(true) && room.is_missing() && !room.is_awaited());
        assert!(!room.show_waiting(true), "it was missing");
        assert!(!room.show_low(false) && room.is_awaited());
        assert!(!room.show_waiting(true) && !room.show_waiting(false));
        assert!(room.show_waiting(false) && !room.is_missing());
    }
}
