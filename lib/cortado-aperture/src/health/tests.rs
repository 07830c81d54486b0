//! The life of an endpoint: alive, left alone, tried, alive.

use crate::health::{Accrual, Admission, Health, Status, Verdict};
use crate::outcome::Outcome;
use crate::time::Nanos;

const SECOND: u64 = 1_000_000_000;

fn accrual() -> Accrual {
    Accrual::default()
}

fn at(seconds: u64) -> Nanos {
    Nanos(seconds * SECOND)
}

fn finish(health: &Health, seconds: u64, outcome: Outcome) -> Verdict {
    health.finish(&accrual(), at(seconds), outcome)
}

/// An endpoint that five failures running have just stopped, at second 100.
fn paused() -> Health {
    let health = Health::new(7);
    for _ in 0..4 {
        assert_eq!(finish(&health, 100, Outcome::Failure), Verdict::Unchanged);
    }
    assert_eq!(finish(&health, 100, Outcome::Failure), Verdict::Paused);
    health
}

#[test]
fn five_failures_running_stop_an_endpoint() {
    let health = paused();
    assert_eq!(health.status(at(100)), Status::Busy);
    assert_eq!(health.admit(at(102)), Admission::Refused);
    // The first pause is from 2.5 to 5 seconds.
    assert_eq!(health.status(at(102)), Status::Busy);
    assert_eq!(health.status(at(105)), Status::Open);
}

#[test]
fn a_success_between_failures_starts_the_count_again() {
    let health = Health::new(7);
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(finish(&health, 1, Outcome::Failure), Verdict::Unchanged);
        }
        for _ in 0..40 {
            finish(&health, 1, Outcome::Success);
        }
        assert_eq!(finish(&health, 1, Outcome::Ignored), Verdict::Unchanged);
    }
    assert_eq!(health.status(at(1)), Status::Open);
}

#[test]
fn failing_every_third_request_stops_an_endpoint() {
    let life = |failing: u32| {
        let health = Health::new(7);
        let fails = |request: u32| request.is_multiple_of(failing);
        (1..400).find(|request| {
            let outcome = if fails(*request) { Outcome::Failure } else { Outcome::Success };
            finish(&health, 1, outcome) == Verdict::Paused
        })
    };
    assert!(life(3).is_some_and(|requests| requests < 60));
    assert_eq!(life(10), None, "9 of 10 is above 0.8");
}

#[test]
fn one_request_tries_and_its_outcome_decides() {
    let health = paused();
    assert_eq!(health.admit(at(105)), Admission::Probe);
    assert_eq!(health.admit(at(105)), Admission::Refused);
    assert_eq!(health.status(at(1_000)), Status::Busy);
    // What was sent before the pause ends, and decides nothing.
    assert_eq!(finish(&health, 106, Outcome::Success), Verdict::Unchanged);
    assert_eq!(health.finish_probe(&accrual(), at(106), Outcome::Success), Verdict::Revived);
    assert_eq!(health.admit(at(106)), Admission::Normal);
    assert_eq!(finish(&health, 107, Outcome::Failure), Verdict::Unchanged);
}

#[test]
fn a_try_that_says_nothing_is_repeated() {
    let health = paused();
    for _ in 0..2 {
        assert_eq!(health.admit(at(105)), Admission::Probe);
        let verdict = health.finish_probe(&accrual(), at(105), Outcome::Ignored);
        assert_eq!(verdict, Verdict::Unchanged);
    }
    assert_eq!(health.admit(at(105)), Admission::Probe);
    health.release_probe();
    assert_eq!(health.admit(at(105)), Admission::Probe);
}

#[test]
fn pauses_double_up_to_the_longest() {
    let health = paused();
    let mut now = 105;
    for longest in [10, 20, 40, 80, 160, 300, 300, 300] {
        assert_eq!(health.admit(at(now)), Admission::Probe);
        let verdict = health.finish_probe(&accrual(), at(now), Outcome::Failure);
        assert_eq!(verdict, Verdict::Paused);
        assert_eq!(health.status(at(now + longest / 2 - 1)), Status::Busy, "{longest}");
        assert_eq!(health.status(at(now + longest)), Status::Open, "{longest}");
        now += longest;
    }
}

/// A burst of failures ends one life, not several, and does not reach into the next.
#[test]
fn failures_during_a_pause_count_for_nothing() {
    let health = paused();
    for _ in 0..50 {
        assert_eq!(finish(&health, 101, Outcome::Failure), Verdict::Unchanged);
    }
    assert_eq!(health.admit(at(105)), Admission::Probe);
    assert_eq!(health.finish_probe(&accrual(), at(105), Outcome::Success), Verdict::Revived);
    assert_eq!(finish(&health, 106, Outcome::Failure), Verdict::Unchanged);
    for _ in 0..4 {
        finish(&health, 106, Outcome::Failure);
    }
    assert_eq!(health.status(at(111)), Status::Open, "a first pause again");
}

#[test]
fn who_cannot_be_connected_to_is_closed() {
    let health = Health::new(7);
    assert_eq!(health.close(&accrual(), at(1)), Verdict::Paused);
    assert_eq!(health.close(&accrual(), at(1)), Verdict::Unchanged);
    assert_eq!(health.status(at(2)), Status::Closed);
    assert_eq!(health.admit(at(6)), Admission::Probe);
    assert!(Status::Open > Status::Busy && Status::Busy > Status::Closed);
}

#[test]
fn peers_come_back_at_different_times() {
    let ends: std::collections::BTreeSet<u64> = (0..100)
        .map(|salt| {
            let health = Health::new(salt);
            health.close(&accrual(), at(1));
            (1_000..6_100).find(|ms| health.status(Nanos(ms * 1_000_000)) == Status::Open)
        })
        .map(|end| end.expect("a pause ends"))
        .collect();
    assert!(ends.len() > 80, "{}", ends.len());
}
