//! A number that decays by itself, in one word that threads share without locks.
//!
//! What is kept is `ln(value) + now / tau`, which stays the same while the value decays: reading
//! changes nothing, so readers on many cores do not disturb one another. Start reading at
//! [`Decaying::read`].

use crate::sync::{AtomicU64, Ordering};
use crate::time::Nanos;
use std::time::Duration;

/// A number that is not negative and that shrinks by a factor of e in every `tau`.
#[derive(Debug)]
pub(crate) struct Decaying {
    /// Bits of `ln(value) + now / tau`; minus infinity for 0.
    level: AtomicU64,
}

/// How fast numbers decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decay {
    tau_nanos: f64,
}

impl Decay {
    pub(crate) fn new(tau: Duration) -> Decay {
        Decay { tau_nanos: (tau.as_nanos() as f64).max(1.0) }
    }

    /// `time` in units of tau.
    fn taus(self, time: Nanos) -> f64 {
        time.0 as f64 / self.tau_nanos
    }

    /// What is left of 1 after the time from `from` to `to`.
    pub(crate) fn factor(self, from: Nanos, to: Nanos) -> f64 {
        (-(to.0.saturating_sub(from.0) as f64) / self.tau_nanos).exp()
    }
}

impl Decaying {
    pub(crate) fn zero() -> Decaying {
        Decaying { level: AtomicU64::new(f64::NEG_INFINITY.to_bits()) }
    }

    /// The value at `now`.
    #[inline]
    pub(crate) fn read(&self, decay: Decay, now: Nanos) -> f64 {
        let level = f64::from_bits(self.level.load(Ordering::Relaxed));
        (level - decay.taus(now)).exp()
    }

    /// Makes the value at `now` what `next` makes of its value at `seen`.
    ///
    /// No change is lost: if another thread was faster, `next` is asked again.
    pub(crate) fn update(&self, decay: Decay, seen: Nanos, now: Nanos, next: impl Fn(f64) -> f64) {
        let renew = |bits: u64| {
            let value = next((f64::from_bits(bits) - decay.taus(seen)).exp());
            Some((value.ln() + decay.taus(now)).to_bits())
        };
        // The word stands for itself: no other memory is published with it.
        let renewed = self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, renew);
        renewed.expect("`renew` always answers");
    }
}
