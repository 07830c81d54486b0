//! What happens when: the world's only source of progress.
//!
//! Start reading at [`Schedule`].

use crate::kernel::time::Moment;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Things that become due, in the order of their moments; among equals, first come first served.
#[derive(Debug)]
pub struct Schedule<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    entries: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Moment,
    number: u64,
    what: T,
}

impl<T> Schedule<T> {
    /// Nothing will happen.
    pub fn new() -> Schedule<T> {
        Schedule { heap: BinaryHeap::new(), entries: 0 }
    }

    /// Lets `what` happen at `at`.
    pub fn put(&mut self, at: Moment, what: T) {
        self.entries += 1;
        self.heap.push(Reverse(Entry { at, number: self.entries, what }));
    }

    /// The next thing, and when it happens.
    pub fn take(&mut self) -> Option<(Moment, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}

impl<T> Default for Schedule<T> {
    fn default() -> Schedule<T> {
        Schedule::new()
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Entry<T>) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_come_in_the_order_in_which_they_were_put() {
        let mut schedule = Schedule::new();
        for (at, what) in [(5, "c"), (3, "a"), (5, "d"), (3, "b")] {
            schedule.put(Moment(at), what);
        }
        let order: String = std::iter::from_fn(|| schedule.take()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcd");
    }
}
