//! Choosing between two, and drawing by shares.

use super::*;
use crate::endpoint::{Context, Endpoint};
use crate::health::Accrual;
use crate::load::LeastLoaded;
use crate::outcome::Outcome;
use std::sync::Arc;

fn status(text: &str) -> Status {
    match text {
        "Open" => Status::Open,
        "Busy" => Status::Busy,
        "Closed" => Status::Closed,
        other => panic!("{other} is no status"),
    }
}

/// Without the original's absolute guard, the exact column holds.
#[test]
fn golden_vectors() {
    let text = include_str!("../../testdata/aperture-vectors.tsv");
    let mut count = 0;
    for line in text.lines().filter(|line| line.starts_with("choose\t")) {
        let columns: Vec<_> = line.split('\t').collect();
        let [flag, original, exact] = [columns[1], columns[8], columns[9]];
        let contender = |at: usize| Contender {
            status: status(columns[at]),
            load: columns[at + 1].parse().expect("a load"),
            weight: columns[at + 2].parse().expect("a weight"),
        };
        let got = if is_better(&contender(5), &contender(2)) { "b" } else { "a" };
        assert_eq!(got, exact, "{line}");
        assert_eq!(got == original, flag == "-", "{line}");
        count += 1;
    }
    assert_eq!(count, 24);
}

/// Endpoints numbered from 0 with these shares.
fn snapshot(shares: &[u128]) -> Snapshot<usize, (), LeastLoaded> {
    let context = Arc::new(Context::new(Some(Accrual::default())));
    let endpoint = |key| Arc::new(Endpoint::new(key, (), &LeastLoaded, key as u64, &context));
    Snapshot::new(shares.iter().enumerate().map(|(key, units)| (endpoint(key), *units)).collect())
}

/// How often each endpoint is picked if `held` requests are always under way.
fn picks(snapshot: &Snapshot<usize, (), LeastLoaded>, held: usize, count: usize) -> Vec<f64> {
    let random = Random::new(42);
    let mut counts = vec![0.0; snapshot.len()];
    let mut permits = std::collections::VecDeque::new();
    for _ in 0..count {
        let picked = snapshot.pick(Nanos(0), &random).expect("endpoints");
        counts[*picked.endpoint.key()] += 1.0;
        permits.push_back(picked.permit);
        if permits.len() > held {
            permits.pop_front();
        }
    }
    counts
}

#[test]
fn idle_endpoints_are_used_by_their_shares() {
    // As peer 1 of 4 sees 18 endpoints: half of the first, all of 13 others.
    let mut shares = vec![4; 14];
    shares[0] = 2;
    for held in [0, 200] {
        let counts = picks(&snapshot(&shares), held, 540_000);
        let whole = counts[1..].iter().sum::<f64>() / 13.0;
        let part = counts[0] / whole;
        assert!((0.48..0.53).contains(&part), "{held} held: {part} of a whole endpoint");
        let worst = counts[1..].iter().map(|count| (count / whole - 1.0).abs()).fold(0.0, f64::max);
        assert!(worst < 0.03, "{held} held: {worst}");
    }
}

#[test]
fn few_endpoints_are_fine() {
    assert!(snapshot(&[]).pick(Nanos(0), &Random::new(1)).is_none());
    assert_eq!(picks(&snapshot(&[5]), 3, 10), [10.0]);
    let counts = picks(&snapshot(&[1, 1_000_000_000]), 0, 1_000);
    assert!(counts[1] > 990.0);
    let counts = picks(&snapshot(&[1, 1, 1]), 0, 3_000);
    assert!(counts.iter().all(|count| (950.0..1_050.0).contains(count)), "{counts:?}");
}

/// A snapshot of 12 of which `down` fail.
fn with_failures(down: usize) -> Snapshot<usize, (), LeastLoaded> {
    let snapshot = snapshot(&[1; 12]);
    for seat in &snapshot.seats[..down] {
        for _ in 0..5 {
            seat.endpoint.admit_anyway(Nanos(1)).finish(Nanos(1), Outcome::Failure);
        }
        assert_eq!(seat.endpoint.status(Nanos(1)), Status::Busy);
    }
    snapshot
}

#[test]
fn picks_panic_as_often_as_four_pairs_are_down() {
    for down in [0, 1, 3, 6, 9, 11, 12] {
        let snapshot = with_failures(down);
        let random = Random::new(7);
        let (mut panics, mut failed) = (0, 0);
        let total = 100_000;
        for _ in 0..total {
            let picked = snapshot.pick(Nanos(2), &random).expect("endpoints");
            panics += u32::from(picked.is_panic);
            failed += u32::from(*picked.endpoint.key() < down);
            assert!(picked.is_panic || *picked.endpoint.key() >= down);
        }
        let down = down as f64;
        let pair = (down / 12.0) * (down - 1.0).max(0.0) / 11.0;
        let got = f64::from(panics) / f64::from(total);
        assert!((got - pair.powi(4)).abs() < 0.01, "{down} down: {got}");
        assert!(failed <= panics);
    }
}

#[test]
fn who_is_due_for_a_try_gets_one_request() {
    let snapshot = with_failures(12);
    let later = Nanos(10_000_000_000);
    let random = Random::new(7);
    let picks: Vec<_> = (0..200).map(|_| snapshot.pick(later, &random).expect("some")).collect();
    let tries = picks.iter().filter(|picked| !picked.is_panic).count();
    assert_eq!(tries, 12, "one each; all others panic");
}
