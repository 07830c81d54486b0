//! How a node's calls of its own log or of its own store go, between two looks: a part of the
//! first layer of detection.
//!
//! Measures, and leaves the conclusions to the [`Detector`](crate::Detector). Start reading at
//! [`OwnCalls::append_evidence`] and [`OwnCalls::store_evidence`].

use crate::detector::Evidence;
use cortado_model::Millis;

/// Calls of one kind, of all replicas of a node together.
#[derive(Clone, Debug, Default)]
pub struct OwnCalls {
    under_way: u64,
    /// Since when some call has been under way without any having ended.
    silent_since: Millis,
    /// Those that ended since the last look.
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    slowest_ms: u64,
    last_done: bool,
    any_failed: bool,
}

impl OwnCalls {
    /// One more is under way.
    ///
    /// * `now`: a steady clock; also below.
    pub fn begin(&mut self, now: Millis) {
        if self.under_way == 0 {
            self.silent_since = now;
        }
        self.under_way += 1;
    }

    /// One has ended.
    ///
    /// * `done`: what was asked for has been done.
    pub fn end(&mut self, now: Millis, took_ms: u64, done: bool) {
        self.give_up(now);
        let before = self.ended;
        self.ended = Some(Ended {
            slowest_ms: before.map_or(0, |before| before.slowest_ms).max(took_ms),
            last_done: done,
            any_failed: !done || before.is_some_and(|before| before.any_failed),
        });
    }

    /// One is awaited no longer, and its outcome is unknown.
    pub fn give_up(&mut self, now: Millis) {
        self.under_way = self.under_way.saturating_sub(1);
        self.silent_since = now;
    }

    /// Whether none is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// What appends have shown since the last look: how the last one went, or how long all wait.
    pub fn append_evidence(&mut self, now: Millis) -> Option<Evidence> {
        match self.ended.take() {
            Some(Ended { last_done: true, slowest_ms, .. }) => {
                Some(Evidence::OwnAppend { took_ms: slowest_ms })
            }
            Some(Ended { last_done: false, .. }) => Some(Evidence::OwnAppendFailed),
            None => self.waited_ms(now).map(|waited_ms| Evidence::OwnAppendWaits { waited_ms }),
        }
    }

    /// What batches of the store have shown since the last look: whether one has failed, or how
    /// slow they are. What hangs counts as slow before it ends.
    pub fn store_evidence(&mut self, now: Millis) -> Option<Evidence> {
        let waited_ms = self.waited_ms(now).unwrap_or(0);
        match self.ended.take() {
            Some(Ended { any_failed: true, .. }) => Some(Evidence::OwnStoreFailed),
            Some(Ended { any_failed: false, slowest_ms, .. }) => {
                Some(Evidence::OwnStore { took_ms: slowest_ms.max(waited_ms) })
            }
            None => (waited_ms > 0).then_some(Evidence::OwnStore { took_ms: waited_ms }),
        }
    }

    /// For how long none has ended although some are under way.
    fn waited_ms(&self, now: Millis) -> Option<u64> {
        (self.under_way > 0).then(|| now.since(self.silent_since))
    }
}

/// Since when the appends of one replica have waited, and none of them was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppendWait {
    since: Option<Millis>,
}

/// Beats for which an append must have waited: as many as a stream's own delay explains.
const CUT_OFF_BEATS: u64 = 3;

impl AppendWait {
    /// One is sent.
    pub fn begin(&mut self, now: Millis) {
        self.since.get_or_insert(now);
    }

    /// One was acknowledged. What fails, or is given up, ends no wait: the next one goes the same
    /// way.
    ///
    /// * `oldest`: when the oldest one was sent that is not answered, if there is any.
    pub fn acknowledged(&mut self, oldest: Option<Millis>) {
        self.since = oldest;
    }

    /// Whether a leader has to tell its peers that it does not reach its partition's log.
    ///
    /// * `beats_silent`: own beats should have come back on some stream and have not. Without that
    ///   the log is slow, and not out of reach.
    pub fn is_cut_off(&self, now: Millis, beats_silent: bool, beat_ms: u64) -> bool {
        let long_ms = CUT_OFF_BEATS.saturating_mul(beat_ms);
        beats_silent && self.since.is_some() && self.waited_ms(now) >= long_ms
    }

    /// For how long some append has waited; 0 if none does.
    pub fn waited_ms(&self, now: Millis) -> u64 {
        self.since.map_or(0, |since| now.since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_out_of_reach_when_an_append_waits_and_own_beats_do_not_come_back() {
        let mut wait = AppendWait::default();
        let check = |wait: &AppendWait, now, silent, want| {
            assert_eq!(wait.is_cut_off(Millis(now), silent, 250), want, "at {now}");
        };
        check(&wait, 5_000, true, false);
        wait.begin(Millis(100));
        wait.begin(Millis(600));
        check(&wait, 849, true, false);
        check(&wait, 850, true, true);
        check(&wait, 850, false, false);
        wait.acknowledged(Some(Millis(600)));
        check(&wait, 1_349, true, false);
        check(&wait, 1_350, true, true);
        wait.acknowledged(None);
        check(&wait, 5_000, true, false);
    }

    #[test]
    fn an_append_that_hangs_is_told_before_it_ends() {
        let mut appends = OwnCalls::default();
        let check = |calls: &mut OwnCalls, now, want| {
            assert_eq!(calls.append_evidence(Millis(now)), want, "at {now}");
        };
        check(&mut appends, 0, None);
        appends.begin(Millis(100));
        appends.begin(Millis(200));
        check(&mut appends, 500, Some(Evidence::OwnAppendWaits { waited_ms: 400 }));
        appends.end(Millis(550), 450, true);
        check(&mut appends, 550, Some(Evidence::OwnAppend { took_ms: 450 }));
        check(&mut appends, 570, Some(Evidence::OwnAppendWaits { waited_ms: 20 }));
        appends.give_up(Millis(580));
        check(&mut appends, 600, None);
    }

    #[test]
    fn of_appends_the_last_one_counts_and_the_slowest() {
        let mut appends = OwnCalls::default();
        (0..2).for_each(|_| appends.begin(Millis(0)));
        appends.end(Millis(10), 10, false);
        appends.end(Millis(15), 5, true);
        let took = Evidence::OwnAppend { took_ms: 10 };
        assert_eq!(appends.append_evidence(Millis(20)), Some(took));
        appends.begin(Millis(20));
        appends.end(Millis(20), 0, false);
        assert_eq!(appends.append_evidence(Millis(20)), Some(Evidence::OwnAppendFailed));
        assert_eq!(appends.append_evidence(Millis(20)), None);
    }

    #[test]
    fn a_batch_that_hangs_counts_as_slow_before_it_ends() {
        let mut store = OwnCalls::default();
        let check = |calls: &mut OwnCalls, now, want: Option<u64>| {
            let want = want.map(|took_ms| Evidence::OwnStore { took_ms });
            assert_eq!(calls.store_evidence(Millis(now)), want, "at {now}");
        };
        check(&mut store, 0, None);
        store.begin(Millis(0));
        check(&mut store, 0, None);
        check(&mut store, 400, Some(400));
        store.begin(Millis(400));
        store.end(Millis(450), 450, true);
        check(&mut store, 460, Some(450));
        check(&mut store, 470, Some(20));
        store.end(Millis(500), 100, true);
        check(&mut store, 900, Some(100));
        check(&mut store, 900, None);
    }

    #[test]
    fn of_batches_any_that_fails_counts() {
        let mut store = OwnCalls::default();
        (0..2).for_each(|_| store.begin(Millis(0)));
        store.end(Millis(1), 1, false);
        store.end(Millis(2), 2, true);
        assert_eq!(store.store_evidence(Millis(3)), Some(Evidence::OwnStoreFailed));
        assert_eq!(store.store_evidence(Millis(3)), None);
    }
}
