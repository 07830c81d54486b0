//! When a read that takes long is sent to a second server, too. Decides only; never waits or sends.
//!
//! Start reading at [`Hedging`].
//!
//! Source: Dean and Barroso, "The tail at scale": a second request after the 95th percentile.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Duration;

/// How long reads took lately, and how many more second requests they pay for.
#[derive(Debug, Default)]
pub(crate) struct Hedging {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The latest, the newest last; bounded by [`SEEN_MAX`].
    took: VecDeque<Duration>,
    /// In parts of [`HEDGE_PRICE`]: each read adds one.
    saved: u32,
}

/// Enough for a percentile that follows within seconds, and little to sort.
const SEEN_MAX: usize = 200;
/// Before that many, nothing is known that would deserve the name of a percentile.
const SEEN_MIN: usize = 20;
/// So many reads pay for one second request: 5 % more requests at most.
const HEDGE_PRICE: u32 = 20;
/// No more than five second requests come at once, when all servers become slow together.
const SAVED_MAX: u32 = 5 * HEDGE_PRICE;
/// What takes less is not worth a second request.
const DELAY_MIN: Duration = Duration::from_millis(1);

impl Hedging {
    /// After what time a read that is sent now may be sent to a second server; `None` while too
    /// few have been answered. Counts the read.
    pub(crate) fn begin(&self) -> Option<Duration> {
        let mut state = self.state.lock();
        state.saved = (state.saved + 1).min(SAVED_MAX);
        if state.took.len() < SEEN_MIN {
            return None;
        }
        let mut took: Vec<Duration> = state.took.iter().copied().collect();
        let place = took.len() * 95 / 100;
        let (_, percentile, _) = took.select_nth_unstable(place);
        Some((*percentile).max(DELAY_MIN))
    }

    /// Whether a second request may be sent; it is counted then.
    pub(crate) fn take(&self) -> bool {
        let mut state = self.state.lock();
        let left = state.saved.checked_sub(HEDGE_PRICE);
        state.saved = left.unwrap_or(state.saved);
        left.is_some()
    }

    /// A read has been answered.
    pub(crate) fn observe(&self, took: Duration) {
        let mut state = self.state.lock();
        if state.took.len() == SEEN_MAX {
            state.took.pop_front();
        }
        state.took.push_back(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn reads_are_hedged_after_the_95th_percentile() {
        let hedging = Hedging::default();
        for took in 1..=19 {
            assert_eq!(hedging.begin(), None);
            hedging.observe(ms(took));
        }
        hedging.observe(ms(20));
        assert_eq!(hedging.begin(), Some(ms(20)));
        (1..=200).for_each(|took| hedging.observe(ms(took)));
        assert_eq!(hedging.begin(), Some(ms(191)));
        // What was long ago is forgotten.
        (0..200).for_each(|_| hedging.observe(Duration::from_micros(3)));
        assert_eq!(hedging.begin(), Some(DELAY_MIN));
    }

    #[test]
    fn at_most_one_read_in_twenty_pays_for_a_second_request() {
        let hedging = Hedging::default();
        assert!(!hedging.take(), "nothing is paid for");
        let mut taken = 0;
        for _ in 0..1_000 {
            hedging.begin();
            taken += u32::from(hedging.take());
        }
        assert_eq!(taken, 50);
        for _ in 0..10_000 {
            hedging.begin();
        }
        let at_once = (0..100).filter(|_| hedging.take()).count();
        assert_eq!(at_once, 5);
    }
}
