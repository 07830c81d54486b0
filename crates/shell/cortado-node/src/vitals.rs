//! How well a node's store is, as its own replicas feel it: a part of the first layer of detection.
//!
//! Measures, and leaves the conclusions to `cortado-cluster`. Start reading at [`Vitals`].

use crate::clock::Clock;
use cortado_cluster::Evidence;
use cortado_model::Millis;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Timings of the node's store.
#[derive(Debug)]
pub(crate) struct Vitals {
    clock: Clock,
    /// How many batches are being applied.
    under_way: AtomicU64,
    /// Since when some batch has been under way without any having ended.
    silent_since: AtomicU64,
    /// The slowest batch since the last look, in milliseconds.
    slowest_ms: AtomicU64,
    ended: AtomicBool,
    failed: AtomicBool,
    /// How many replicas stand still until the store has room.
    waiting_for_room: AtomicU64,
}

impl Vitals {
    pub(crate) fn new(clock: Clock) -> Vitals {
        Vitals {
            clock,
            under_way: AtomicU64::new(0),
            silent_since: AtomicU64::new(0),
            slowest_ms: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            waiting_for_room: AtomicU64::new(0),
        }
    }

    /// One more replica waits for room, or one less.
    pub(crate) fn show_waiting_for_room(&self, waits: bool) {
        match waits {
            true => self.waiting_for_room.fetch_add(1, Ordering::AcqRel),
            false => self.waiting_for_room.fetch_sub(1, Ordering::AcqRel),
        };
    }

    /// Whether the store has no room, as one of its replicas has found: nothing new may be
    /// committed that could not be applied.
    pub(crate) fn waits_for_room(&self) -> bool {
        self.waiting_for_room.load(Ordering::Acquire) > 0
    }

    pub(crate) fn store_begun(&self) {
        if self.under_way.fetch_add(1, Ordering::AcqRel) == 0 {
            self.silent_since.store(self.clock.steady().0, Ordering::Release);
        }
    }

    pub(crate) fn store_ended(&self, took: Duration, done: bool) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        self.silent_since.store(self.clock.steady().0, Ordering::Release);
        if done {
            self.slowest_ms.fetch_max(crate::clock::millis(took), Ordering::AcqRel);
            self.ended.store(true, Ordering::Release);
        } else {
            self.failed.store(true, Ordering::Release);
        }
    }

    /// What has been felt since the last look; what hangs counts as slow before it ends.
    pub(crate) fn store_evidence(&self) -> Option<Evidence> {
        let waited_ms = match self.under_way.load(Ordering::Acquire) {
            0 => 0,
            _ => {
                let since = Millis(self.silent_since.load(Ordering::Acquire));
                self.clock.steady().since(since)
            }
        };
        let ended = self.ended.swap(false, Ordering::AcqRel);
        let took_ms = self.slowest_ms.swap(0, Ordering::AcqRel).max(waited_ms);
        if self.failed.swap(false, Ordering::AcqRel) {
            return Some(Evidence::OwnStoreFailed);
        }
        (ended || waited_ms > 0).then_some(Evidence::OwnStore { took_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_counts_as_slow_before_it_ends() {
        let vitals = Vitals::new(Clock::of_runtime());
        assert_eq!(vitals.store_evidence(), None);
        vitals.store_begun();
        advance(Duration::from_millis(400)).await;
        assert_eq!(vitals.store_evidence(), Some(Evidence::OwnStore { took_ms: 400 }));
        vitals.store_ended(Duration::from_millis(450), true);
        assert_eq!(vitals.store_evidence(), Some(Evidence::OwnStore { took_ms: 450 }));
        assert_eq!(vitals.store_evidence(), None);
        vitals.store_begun();
        vitals.store_ended(Duration::from_millis(1), false);
        assert_eq!(vitals.store_evidence(), Some(Evidence::OwnStoreFailed));
        assert_eq!(vitals.store_evidence(), None);
    }
}
