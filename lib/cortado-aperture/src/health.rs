//! Whether an endpoint can be used, judged by how its requests end.
//!
//! Atomics only: requests end on many threads, and a pick asks two endpoints. An endpoint that
//! fails is left alone for a while, then tried with one request. Start reading at [`Health`].
//!
//! Source: failure accrual of Twitter Finagle. The success rate here counts requests, not seconds:
//! a quiet endpoint is not condemned by one failure after a pause, and a success costs no clock.

use crate::outcome::Outcome;
use crate::random::mix;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::time::Nanos;
use std::time::Duration;

/// How usable an endpoint is; the greater, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It could not be connected to, and the next try is not due.
    Closed,
    /// It fails its requests, and the next try is not due or under way.
    Busy,
    /// As far as is known, it works.
    Open,
}

/// When an endpoint is taken to fail, and for how long it is left alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accrual {
    /// so many failures one after the other; at least 1.
    pub failure_streak: u32,
    /// Or a smaller part of its last 30 or so requests succeeded; from 0, which is never, to 1.
    pub success_rate_min: f64,
    /// How long it is left alone the first time. At the second time it is twice as long, and so
    /// on; a random part of up to a half is taken off, so that peers do not try all at once.
    pub pause_min: Duration,
    /// It is never left alone for longer. Invariant: `pause_min <= pause_max`.
    pub pause_max: Duration,
}

impl Default for Accrual {
    fn default() -> Accrual {
        Accrual {
            failure_streak: 5,
            success_rate_min: 0.8,
            pause_min: Duration::from_secs(5),
            pause_max: Duration::from_secs(300),
        }
    }
}

/// The health of one endpoint.
#[derive(Debug)]
pub(crate) struct Health {
    /// [`ALIVE`], [`PROBED`], or when to try again, with [`CLOSED`] set if it has no connection.
    state: AtomicU64,
    failure_streak: AtomicU32,
    /// Of recent requests, in parts of [`WHOLE`].
    success_rate: AtomicU32,
    /// How often running it has been left alone.
    pauses: AtomicU32,
    /// Makes the random part of its pauses differ from those of others.
    salt: u64,
}

/// Nothing is wrong.
const ALIVE: u64 = 0;
/// The one request that tries again is under way.
const PROBED: u64 = u64::MAX;
/// Set in a state that says when to try again. Time has 62 bits left: 146 years.
const CLOSED: u64 = 1 << 62;
/// A success rate of 1.
const WHOLE: u32 = 1 << 24;
/// Over how many requests a success rate is averaged.
const RATE_REQUESTS: u32 = 30;

/// How a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Like any other.
    Normal,
    /// As the one that finds out whether the endpoint works again.
    Probe,
    /// Not now.
    Refused,
}

/// What an outcome has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Unchanged,
    /// It is left alone from now on.
    Paused,
    /// It works again.
    Revived,
}

impl Health {
    pub(crate) fn new(salt: u64) -> Health {
        Health {
            state: AtomicU64::new(ALIVE),
            failure_streak: AtomicU32::new(0),
            success_rate: AtomicU32::new(WHOLE),
            pauses: AtomicU32::new(0),
            salt,
        }
    }

    #[inline]
    pub(crate) fn status(&self, now: Nanos) -> Status {
        match self.state.load(Ordering::Relaxed) {
            ALIVE => Status::Open,
            PROBED => Status::Busy,
            state if state & !CLOSED <= now.0 => Status::Open,
            state if state & CLOSED != 0 => Status::Closed,
            _ => Status::Busy,
        }
    }

    /// Whether nothing is known against it: not paused, nor being tried.
    pub(crate) fn is_alive(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ALIVE
    }

    /// Whether it is alive and the latest request that has ended did not fail.
    pub(crate) fn is_trusted(&self) -> bool {
        self.is_alive() && self.failure_streak.load(Ordering::Relaxed) == 0
    }

    /// Asks for the right to send a request. Of all that ask when a try is due, one gets it.
    #[inline]
    pub(crate) fn admit(&self, now: Nanos) -> Admission {
        let state = self.state.load(Ordering::Relaxed);
        if state == ALIVE {
            return Admission::Normal;
        }
        if state == PROBED || state & !CLOSED > now.0 {
            return Admission::Refused;
        }
        let taken =
            self.state.compare_exchange(state, PROBED, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_ok() { Admission::Probe } else { Admission::Refused }
    }

    /// A request that was admitted as a probe has ended.
    pub(crate) fn finish_probe(&self, accrual: &Accrual, now: Nanos, outcome: Outcome) -> Verdict {
        match outcome {
            Outcome::Success => {
                self.revive();
                Verdict::Revived
            }
            Outcome::Failure => {
                let until = self.pause_end(accrual, now);
                self.pauses.fetch_add(1, Ordering::Relaxed);
                self.state.store(until, Ordering::Relaxed);
                Verdict::Paused
            }
            Outcome::Ignored => {
                self.release_probe();
                Verdict::Unchanged
            }
        }
    }

    /// A request that was sent in spite of a pause has ended: a success ends the pause.
    pub(crate) fn finish_in_spite(
        &self,
        accrual: &Accrual,
        now: Nanos,
        outcome: Outcome,
    ) -> Verdict {
        if outcome != Outcome::Success || self.is_alive() {
            return self.finish(accrual, now, outcome);
        }
        self.revive();
        Verdict::Revived
    }

    /// It has shown that it works.
    fn revive(&self) {
        self.forget();
        self.pauses.store(0, Ordering::Relaxed);
        self.state.store(ALIVE, Ordering::Relaxed);
    }

    /// The probe was given up before it said anything: the next request is one.
    pub(crate) fn release_probe(&self) {
        self.state.store(ALIVE + 1, Ordering::Relaxed);
    }

    /// Any other request has ended.
    #[inline]
    pub(crate) fn finish(&self, accrual: &Accrual, now: Nanos, outcome: Outcome) -> Verdict {
        match outcome {
            Outcome::Success => {
                // Stores only what changes, so that healthy endpoints stay in every core's cache.
                if self.failure_streak.load(Ordering::Relaxed) != 0 {
                    self.failure_streak.store(0, Ordering::Relaxed);
                }
                if self.success_rate.load(Ordering::Relaxed) != WHOLE {
                    self.rate(|rate| rate + (WHOLE - rate).div_ceil(RATE_REQUESTS));
                }
                Verdict::Unchanged
            }
            Outcome::Failure => self.fail(accrual, now),
            Outcome::Ignored => Verdict::Unchanged,
        }
    }

    /// A connection could not be made: no further evidence is needed.
    pub(crate) fn close(&self, accrual: &Accrual, now: Nanos) -> Verdict {
        self.pause(self.pause_end(accrual, now) | CLOSED)
    }

    #[cold]
    fn fail(&self, accrual: &Accrual, now: Nanos) -> Verdict {
        let failures = self.failure_streak.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let rate = self.rate(|rate| rate - rate / RATE_REQUESTS);
        let is_low = f64::from(rate) < accrual.success_rate_min * f64::from(WHOLE);
        if failures < accrual.failure_streak && !is_low {
            return Verdict::Unchanged;
        }
        self.pause(self.pause_end(accrual, now))
    }

    /// Leaves a living endpoint alone. Of many failures at once, one does it.
    fn pause(&self, until: u64) -> Verdict {
        let paused =
            self.state.compare_exchange(ALIVE, until, Ordering::Relaxed, Ordering::Relaxed);
        if paused.is_err() {
            return Verdict::Unchanged;
        }
        self.pauses.fetch_add(1, Ordering::Relaxed);
        self.forget();
        Verdict::Paused
    }

    /// Or what was sent before its pause and failed during it would end its next life at once.
    fn forget(&self) {
        self.failure_streak.store(0, Ordering::Relaxed);
        self.success_rate.store(WHOLE, Ordering::Relaxed);
    }

    /// Changes the success rate; answers the new one.
    fn rate(&self, change: impl Fn(u32) -> u32) -> u32 {
        let before = self
            .success_rate
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |rate| Some(change(rate)))
            .expect("the closure always answers");
        change(before)
    }

    /// When a pause that begins now would end.
    fn pause_end(&self, accrual: &Accrual, now: Nanos) -> u64 {
        let before = self.pauses.load(Ordering::Relaxed).min(30);
        let longest = accrual.pause_max.max(accrual.pause_min);
        let pause = accrual.pause_min.saturating_mul(1 << before).min(longest);
        let random = mix(now.0 ^ self.salt) as u32;
        let taken_off = pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
        now.after(pause - taken_off).0.clamp(ALIVE + 1, CLOSED - 1)
    }
}
