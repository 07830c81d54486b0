//! Memory that clients can make a listener hold, with a bound for all of them together.
//!
//! Never waits. Long buffers that several hold count once, as they are there once. Start reading at
//! [`ByteBudget::reserve`].

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Shorter buffers count every time: they are not worth a look.
const SHARED_BYTES_MIN: usize = 4 << 10;
/// What takes no more than this gets through when larger things no longer do.
const SMALL_BYTES_MAX: usize = 16 << 10;

/// Bytes that some kind of things may occupy together.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    used_bytes: AtomicUsize,
    bytes_max: usize,
    /// Long buffers, and how many hold each.
    shared: Mutex<HashMap<Place, usize>>,
}

/// Where a buffer lies, and its length. As long as somebody holds it nothing else can lie there.
type Place = (usize, usize);

impl ByteBudget {
    pub(crate) fn new(bytes_max: usize) -> Arc<ByteBudget> {
        let (used_bytes, shared) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(ByteBudget { used_bytes, bytes_max, shared })
    }

    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Whether there is no room at all, except for small things.
    pub(crate) fn is_full(&self) -> bool {
        self.used_bytes() >= self.bytes_max
    }

    /// Takes room for `bytes` until it is dropped; `None` if there is not enough.
    pub(crate) fn reserve(self: &Arc<ByteBudget>, bytes: usize) -> Option<Reserved> {
        // In one step: two that come together would refuse one another, and there is room for one.
        let with = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.bytes_max);
        let taken = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with);
        taken.ok().map(|_| Reserved { budget: Arc::clone(self), bytes, places: Vec::new() })
    }

    /// Takes room for some buffers; `None` if there is not enough. For small ones an eighth is kept
    /// in addition.
    pub(crate) fn reserve_buffers(self: &Arc<ByteBudget>, buffers: &[Bytes]) -> Option<Reserved> {
        let bytes: usize = buffers.iter().map(Bytes::len).sum();
        if bytes <= SMALL_BYTES_MAX {
            return self.reserve_urgent(buffers);
        }
        let reserved = self.take_buffers(buffers);
        (self.used_bytes() <= self.bytes_max).then_some(reserved)
    }

    /// As [`reserve_buffers`](Self::reserve_buffers), of whatever size from what is kept.
    pub(crate) fn reserve_urgent(self: &Arc<ByteBudget>, buffers: &[Bytes]) -> Option<Reserved> {
        let reserved = self.take_buffers(buffers);
        (self.used_bytes() <= self.bytes_max + self.bytes_max / 8).then_some(reserved)
    }

    /// Takes room for buffers that cannot be refused any more, whether there is enough or not.
    pub(crate) fn take_buffers(self: &Arc<ByteBudget>, buffers: &[Bytes]) -> Reserved {
        let (long, short): (Vec<&Bytes>, Vec<&Bytes>) =
            buffers.iter().partition(|buffer| buffer.len() >= SHARED_BYTES_MIN);
        let bytes: usize = short.into_iter().map(Bytes::len).sum();
        let mut places: Vec<Place> =
            long.into_iter().map(|buffer| (buffer.as_ptr().addr(), buffer.len())).collect();
        places.sort_unstable();
        places.dedup();
        let new_bytes = if places.is_empty() { 0 } else { self.hold(&places) };
        self.used_bytes.fetch_add(bytes + new_bytes, Ordering::Relaxed);
        Reserved { budget: Arc::clone(self), bytes, places }
    }

    /// Counts one holder more; the bytes of buffers that had none.
    fn hold(&self, places: &[Place]) -> usize {
        let mut shared = self.shared.lock();
        let mut new_bytes = 0;
        for place in places {
            let holders = shared.entry(*place).or_default();
            *holders += 1;
            new_bytes += if *holders == 1 { place.1 } else { 0 };
        }
        new_bytes
    }

    /// Counts one holder less; the bytes of buffers that have none any more.
    fn release(&self, places: &[Place]) -> usize {
        let mut shared = self.shared.lock();
        let mut old_bytes = 0;
        for place in places {
            let Some(holders) = shared.get_mut(place) else { continue };
            *holders -= 1;
            if *holders == 0 {
                shared.remove(place);
                old_bytes += place.1;
            }
        }
        old_bytes
    }
}

/// Room that was taken.
#[derive(Debug)]
pub(crate) struct Reserved {
    budget: Arc<ByteBudget>,
    bytes: usize,
    /// Each of them once.
    places: Vec<Place>,
}

impl Reserved {
    /// Keeps `more` of the same budget as long as this.
    pub(crate) fn add(&mut self, mut more: Reserved) {
        self.bytes += std::mem::take(&mut more.bytes);
        self.places.append(&mut more.places);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let shared = if self.places.is_empty() { 0 } else { self.budget.release(&self.places) };
        self.budget.used_bytes.fetch_sub(self.bytes + shared, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: usize) -> Bytes {
        Bytes::from(vec![b'x'; bytes])
    }

    #[test]
    fn what_is_refused_or_dropped_takes_no_room() {
        let budget = ByteBudget::new(80_000);
        let held = budget.reserve(60_000).expect("there is room");
        assert!(budget.reserve(20_001).is_none());
        assert!(budget.reserve_buffers(&[buffer(20_001)]).is_none());
        assert_eq!(budget.used_bytes(), 60_000);
        let large = budget.reserve_buffers(&[buffer(20_000)]).expect("there is room");
        assert!(budget.is_full());
        let small = budget.reserve_buffers(&[buffer(10_000)]).expect("an eighth for small ones");
        assert!(budget.reserve_buffers(&[buffer(1)]).is_none());
        let taken = budget.take_buffers(&[buffer(50_000), buffer(1)]);
        assert_eq!(budget.used_bytes(), 140_001);
        drop((held, large, small, taken));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_long_buffer_counts_once_however_many_hold_it() {
        let budget = ByteBudget::new(1 << 20);
        let (long, short) = (buffer(600_000), buffer(9));
        let twice = [long.clone(), short.clone(), long.clone(), short.clone()];
        let first = budget.reserve_buffers(&twice).expect("there is room");
        assert_eq!(budget.used_bytes(), 600_018);
        let second = budget.reserve_buffers(&twice).expect("it takes next to nothing");
        assert!(budget.reserve_buffers(&[buffer(600_000)]).is_none(), "another one");
        drop(first);
        assert_eq!(budget.used_bytes(), 600_018);
        drop(second);
        assert_eq!(budget.used_bytes(), 0);
        assert!(budget.shared.lock().is_empty());
    }
}
