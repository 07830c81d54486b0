//! What a client has asked for and not taken.
//!
//! Few bytes now and then keep a connection alive, but they must not keep a long answer in memory
//! for days. On HTTP/2 each stream has a window of its own, too: one that is never opened holds an
//! answer back while the bytes of the others flow, and the connection shows nothing of it. Start
//! reading at [`Owed::owe`].

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, interval};

/// What a client must take at least, beside the time that it has for anything.
const BYTES_PER_SECOND_MIN: u64 = 16 << 10;

/// The answers of one connection, and pieces of streams, that are on their way.
#[derive(Debug)]
pub(crate) struct Owed {
    stall_time: Duration,
    debts: Mutex<Debts>,
}

#[derive(Debug, Default)]
struct Debts {
    /// How many there were before.
    number: u64,
    /// Since when each is there, by number: the oldest is the first.
    since: BTreeMap<u64, Instant>,
    /// Of all of them together.
    bytes: u64,
    /// The most that this has been since there was last nothing owed.
    peak_bytes: u64,
}

impl Owed {
    /// * `stall_time`: what a client has for anything, however short.
    pub(crate) fn new(stall_time: Duration) -> Arc<Owed> {
        Arc::new(Owed { stall_time, debts: Mutex::default() })
    }

    /// Counts `bytes` until they are dropped, the connection having taken the last of them.
    pub(crate) fn owe(self: &Arc<Owed>, bytes: usize) -> Debt {
        let mut debts = self.debts.lock();
        let (number, bytes) = (debts.number, bytes as u64);
        debts.number += 1;
        debts.since.insert(number, Instant::now());
        debts.bytes += bytes;
        debts.peak_bytes = debts.peak_bytes.max(debts.bytes);
        Debt { owed: Arc::clone(self), number, bytes }
    }

    /// When the oldest must have been taken. It shares the way with everything else that is owed,
    /// so it has the time for all of that.
    fn due(&self) -> Option<Instant> {
        let debts = self.debts.lock();
        let (_, since) = debts.since.first_key_value()?;
        let taking_time = Duration::from_secs(debts.peak_bytes / BYTES_PER_SECOND_MIN);
        Some(*since + self.stall_time + taking_time)
    }

    /// Waits until something has not been taken in time, and somewhat longer.
    pub(crate) async fn overdue(&self) {
        let mut look_again = interval(self.stall_time / 4);
        while self.due().is_none_or(|due| Instant::now() < due) {
            look_again.tick().await;
        }
    }
}

/// Something that was not taken yet.
#[derive(Debug)]
pub(crate) struct Debt {
    owed: Arc<Owed>,
    number: u64,
    bytes: u64,
}

impl Drop for Debt {
    fn drop(&mut self) {
        let mut debts = self.owed.debts.lock();
        debts.since.remove(&self.number);
        debts.bytes -= self.bytes;
        if debts.since.is_empty() {
            debts.peak_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL_TIME: Duration = Duration::from_secs(75);

    /// Seconds that the oldest debt has beside the time for anything.
    fn taking_s(owed: &Owed) -> Option<u64> {
        Some((owed.due()? - Instant::now() - STALL_TIME).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_the_time_for_everything_that_shares_its_way() {
        let owed = Owed::new(STALL_TIME);
        assert_eq!(owed.due(), None);
        let short = owed.owe(1);
        assert_eq!(taking_s(&owed), Some(0));
        // Asked for later, and sent at the same time.
        let others: Vec<Debt> = (0..127).map(|_| owed.owe(160 << 10)).collect();
        assert_eq!(taking_s(&owed), Some(1_270));
        drop(others);
        assert_eq!(taking_s(&owed), Some(1_270), "they have cost that time");
        drop(short);
        assert_eq!(owed.due(), None);
        let next = owed.owe(16 << 10);
        assert_eq!(taking_s(&owed), Some(1));
        tokio::time::advance(STALL_TIME).await;
        let _later = owed.owe(1);
        tokio::time::timeout(Duration::from_secs(30), owed.overdue()).await.expect("it is late");
        drop(next);
        assert!(owed.due().is_some_and(|due| due > Instant::now()), "the later one is not");
    }
}
