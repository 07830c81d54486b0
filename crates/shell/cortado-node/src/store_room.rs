//! Whether a node has room for more, as its store, its log and its replicas have found.
//!
//! Start reading at [`StoreRoom::is_missing`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts the reasons for which room is missing: the replicas that stand still until the store has
/// some, and that it is getting short.
#[derive(Debug, Default)]
pub(crate) struct StoreRoom {
    reasons: AtomicU64,
    /// One of the reasons.
    low: AtomicBool,
}

impl StoreRoom {
    /// One more replica waits for room, or one less; answers whether that changes it for all.
    pub(crate) fn show_waiting(&self, waits: bool) -> bool {
        self.count(waits)
    }

    /// Room is getting short, or no longer; answers whether that changes it for all.
    pub(crate) fn show_low(&self, low: bool) -> bool {
        self.low.swap(low, Ordering::AcqRel) != low && self.count(low)
    }

    /// One change at a time sees the first reason come, or the last one go.
    fn count(&self, more: bool) -> bool {
        if more {
            self.reasons.fetch_add(1, Ordering::AcqRel) == 0
        } else {
            self.reasons.fetch_sub(1, Ordering::AcqRel) == 1
        }
    }

    /// Whether some replica waits: what is committed is not applied.
    pub(crate) fn is_awaited(&self) -> bool {
        let low = u64::from(self.low.load(Ordering::Acquire));
        self.reasons.load(Ordering::Acquire) > low
    }

    /// Whether nothing new may be committed but what must be: it could not be applied.
    pub(crate) fn is_missing(&self) -> bool {
        self.reasons.load(Ordering::Acquire) > 0
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
