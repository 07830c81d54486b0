//! Tells the driver that the balancer wants to be looked after before its next tick.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// A flag that wakes the tasks that wait for it. Raising it twice is raising it once.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_raised: AtomicBool,
    /// Locked only when the flag goes up and when someone waits: never by an undisturbed pick.
    waker: Mutex<Option<Waker>>,
}

impl Signal {
    pub(crate) fn raise(&self) {
        if !self.is_raised.swap(true, Ordering::AcqRel) {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Whether it was raised since it was last taken down, which this does.
    pub(crate) fn take(&self) -> bool {
        self.is_raised.swap(false, Ordering::AcqRel)
    }

    /// As [`take`](Self::take); if it was not raised, `waker` is woken when it is.
    pub(crate) fn take_or_wait(&self, waker: &Waker) -> bool {
        if self.take() {
            return true;
        }
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        // It may have been raised before the waker stood there.
        self.take()
    }
}
