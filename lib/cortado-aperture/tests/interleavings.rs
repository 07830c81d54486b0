//! Every interleaving of the lock-free parts, explored by loom.
//!
//! The files under test are compiled a second time here, with loom's atomics in the place of the
//! standard library's: they take theirs from `crate::sync`.

#![allow(dead_code, unreachable_pub, reason = "they are public in the crate, and partly called")]

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}
#[path = "../src/time.rs"]
mod time;
#[path = "../src/outcome.rs"]
mod outcome;
mod random {
    /// Health needs no good randomness here.
    pub(crate) fn mix(number: u64) -> u64 {
        number
    }
}
#[path = "../src/health.rs"]
mod health;
#[path = "../src/load/decaying.rs"]
mod decaying;

use decaying::{Decay, Decaying};
use health::{Accrual, Admission, Health, Status, Verdict};
use loom::sync::Arc;
use loom::thread;
use outcome::Outcome;
use std::time::Duration;
use time::Nanos;

fn accrual() -> Accrual {
    Accrual { failure_streak: 2, ..Accrual::default() }
}

/// Runs `first` and `second` in two threads on one health.
fn both<A: Send + 'static, B>(
    health: Health,
    first: impl FnOnce(&Health) -> A + Send + 'static,
    second: impl FnOnce(&Health) -> B,
) -> (A, B, Arc<Health>) {
    let health = Arc::new(health);
    let other = Arc::clone(&health);
    let thread = thread::spawn(move || first(&other));
    let second = second(&health);
    (thread.join().expect("no panic"), second, health)
}

/// An endpoint that was paused at 1 and is due for a try at `DUE`.
fn paused() -> Health {
    let health = Health::new(0);
    assert_eq!(health.close(&accrual(), Nanos(1)), Verdict::Paused);
    health
}

const DUE: Nanos = Nanos(10_000_000_000);

#[test]
fn one_of_two_gets_the_try() {
    loom::model(|| {
        let admit = |health: &Health| health.admit(DUE);
        let (first, second, _) = both(paused(), admit, admit);
        let probes = [first, second].iter().filter(|each| **each == Admission::Probe).count();
        assert_eq!(probes, 1);
        assert!(!matches!((first, second), (Admission::Normal, _) | (_, Admission::Normal)));
    });
}

#[test]
fn of_many_failures_one_pauses() {
    loom::model(|| {
        let health = Health::new(0);
        health.finish(&accrual(), Nanos(1), Outcome::Failure);
        let fail = |health: &Health| health.finish(&accrual(), Nanos(2), Outcome::Failure);
        let (first, second, health) = both(health, fail, fail);
        let pauses = [first, second].iter().filter(|each| **each == Verdict::Paused).count();
        assert_eq!(pauses, 1);
        assert_eq!(health.status(Nanos(2)), Status::Busy);
        // The first pause, not the second: it ends within five seconds.
        assert_eq!(health.status(Nanos(5_000_000_002)), Status::Open);
    });
}

/// Whatever else happens while the try is under way, its outcome decides.
#[test]
fn the_try_decides() {
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
        loom::model(move || {
            let health = paused();
            assert_eq!(health.admit(DUE), Admission::Probe);
            let (_, verdict, health) = both(
                health,
                |health| {
                    health.finish(&accrual(), DUE, Outcome::Failure);
                    health.finish(&accrual(), DUE, Outcome::Success);
                    health.close(&accrual(), DUE)
                },
                move |health| health.finish_probe(&accrual(), DUE, outcome),
            );
            let status = health.status(DUE);
            match outcome {
                Outcome::Success => {
                    assert_eq!(verdict, Verdict::Revived);
                    // Alive, unless the other thread has closed it after that.
                    assert!(matches!(status, Status::Open | Status::Closed));
                }
                Outcome::Failure => assert_eq!(status, Status::Busy),
                Outcome::Ignored => assert_eq!(health.admit(DUE), Admission::Probe),
            }
        });
    }
}

#[test]
fn no_change_of_a_decaying_number_is_lost() {
    loom::model(|| {
        let decay = Decay::new(Duration::from_secs(10));
        let number = Arc::new(Decaying::zero());
        let other = Arc::clone(&number);
        let thread = thread::spawn(move || {
            other.update(decay, Nanos(5), Nanos(5), |value| value + 1.0);
        });
        number.update(decay, Nanos(5), Nanos(5), |value| value + 2.0);
        thread.join().expect("no panic");
        assert!((number.read(decay, Nanos(5)) - 3.0).abs() < 1e-9);
    });
}

/// A peak that another thread sees at the same moment as a dip is not forgotten.
#[test]
fn a_peak_survives_a_race_with_a_dip() {
    loom::model(|| {
        let decay = Decay::new(Duration::from_secs(10));
        let number = Arc::new(Decaying::zero());
        let observe = move |number: &Decaying, rtt: f64| {
            number.update(decay, Nanos(9), Nanos(9), |cost| cost.max(rtt));
        };
        let other = Arc::clone(&number);
        let thread = thread::spawn(move || observe(&other, 100.0));
        observe(&number, 1.0);
        thread.join().expect("no panic");
        assert!((number.read(decay, Nanos(9)) - 100.0).abs() < 1e-6);
    });
}
