//! What an HTTP/2 client has asked for and not taken.
//!
//! Each of its streams has a window of its own. One that is never opened holds an answer back while
//! the bytes of the others flow, so the connection as a whole shows nothing of it. Start reading at
//! [`Owed::owe`].

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, interval};

/// What a client must take at least, beside the time that it has for anything.
const BYTES_PER_SECOND_MIN: u64 = 16 << 10;

/// The answers of one connection, and pieces of streams, that are on their way.
#[derive(Debug)]
pub(crate) struct Owed {
    stall_time: Duration,
    number: AtomicU64,
    /// When each must have been taken.
    dues: Mutex<BTreeSet<(Instant, u64)>>,
}

impl Owed {
    /// * `stall_time`: what a client has for anything, however short.
    pub(crate) fn new(stall_time: Duration) -> Arc<Owed> {
        Arc::new(Owed { stall_time, number: AtomicU64::new(0), dues: Mutex::default() })
    }

    /// Counts `bytes` until they are dropped, the connection having taken the last of them.
    pub(crate) fn owe(self: &Arc<Owed>, bytes: usize) -> Debt {
        let taking_time = Duration::from_secs(bytes as u64 / BYTES_PER_SECOND_MIN);
        let due = Instant::now() + self.stall_time + taking_time;
        let entry = (due, self.number.fetch_add(1, Ordering::Relaxed));
        self.dues.lock().insert(entry);
        Debt { owed: Arc::clone(self), entry }
    }

    /// Waits until something has not been taken in time, and somewhat longer.
    pub(crate) async fn overdue(&self) {
        let mut look_again = interval(self.stall_time / 4);
        while self.dues.lock().first().is_none_or(|(due, _)| Instant::now() < *due) {
            look_again.tick().await;
        }
    }
}

/// Something that was not taken yet.
#[derive(Debug)]
pub(crate) struct Debt {
    owed: Arc<Owed>,
    entry: (Instant, u64),
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.owed.dues.lock().remove(&self.entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bytes_have_more_time_and_none_when_they_are_taken() {
        let owed = Owed::new(Duration::from_secs(75));
        let (long, short) = (owed.owe(32 << 20), owed.owe(1));
        assert_eq!(owed.dues.lock().first(), Some(&short.entry));
        assert!(long.entry.0 > short.entry.0 + Duration::from_secs(2_000));
        drop(short);
        assert_eq!(owed.dues.lock().first(), Some(&long.entry));
        drop(long);
        assert!(owed.dues.lock().is_empty());
    }
}
