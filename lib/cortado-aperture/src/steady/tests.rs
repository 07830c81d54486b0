//! What a client makes of a changing number of peers, and what all of them do to the balance.

use super::*;
use crate::place::Place as RingPlace;
use crate::subset::{Candidate, DeterministicAperture, Subsetter, Widening};
use crate::weight::Weight;

const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> Nanos {
    Nanos(seconds * SECOND)
}

fn coordinate(id: u32, peers: u32) -> Coordinate {
    Coordinate::new(id, peers).expect("below the count")
}

fn moving(from: Option<Coordinate>, to: Coordinate, step: u8) -> Position {
    Position::Moving(Move { from, to, step })
}

#[test]
fn a_new_count_is_adopted_late_and_slowly() {
    let (old, new) = (coordinate(3, 100), coordinate(3, 110));
    let mut steady = SteadyCoordinate::settled(Pace::default(), old);
    steady.observe(at(100), new);
    assert_eq!(steady.position(at(100)), Position::Settled(old));
    assert_eq!(steady.position(at(109)), Position::Settled(old));
    assert_eq!(steady.position(at(110)), moving(Some(old), new, 0));
    assert_eq!(steady.position(at(140)), moving(Some(old), new, 8));
    assert_eq!(steady.position(at(170)), Position::Settled(new));
}

#[test]
fn a_count_that_does_not_stay_moves_nothing() {
    let (old, new) = (coordinate(3, 100), coordinate(3, 110));
    let mut steady = SteadyCoordinate::settled(Pace::default(), old);
    for round in 0..20 {
        steady.observe(at(100 + 10 * round), new);
        assert_eq!(steady.position(at(104 + 10 * round)), Position::Settled(old));
        steady.observe(at(105 + 10 * round), old);
        assert_eq!(steady.position(at(109 + 10 * round)), Position::Settled(old));
    }
}

#[test]
fn another_change_waits_for_the_end_of_the_move() {
    let [first, second, third] = [100, 110, 120].map(|peers| coordinate(3, peers));
    let mut steady = SteadyCoordinate::settled(Pace::default(), first);
    steady.observe(at(0), second);
    steady.position(at(10));
    steady.observe(at(15), third);
    assert_eq!(steady.position(at(69)), moving(Some(first), second, 15));
    assert_eq!(steady.position(at(70)), moving(Some(second), third, 0));
    assert_eq!(steady.position(at(130)), Position::Settled(third));
}

#[test]
fn a_newcomer_waits_aside() {
    let mut steady = SteadyCoordinate::new(Pace::default());
    assert_eq!(steady.position(at(0)), Position::Unknown);
    let place = coordinate(3, 110);
    steady.observe(at(5), place);
    assert_eq!(steady.position(at(14)), moving(None, place, 0));
    assert_eq!(steady.position(at(45)), moving(None, place, 8));
    assert_eq!(steady.position(at(75)), Position::Settled(place));
}

#[test]
fn no_pace_is_no_hysteresis() {
    let pace = Pace { settle: Duration::ZERO, glide: Duration::ZERO };
    let mut steady = SteadyCoordinate::new(pace);
    for peers in [100, 110] {
        steady.observe(at(1), coordinate(3, peers));
        assert_eq!(steady.position(at(1)), Position::Settled(coordinate(3, peers)));
    }
}

/// The most loaded of `endpoints` against the mean, if each of the peers stands at its position.
fn max_to_mean(endpoints: usize, positions: impl IntoIterator<Item = Position>) -> f64 {
    let candidates: Vec<Candidate> = (0..endpoints as u128)
        .map(|at| Candidate { place: RingPlace(at), weight: Weight::ONE, ordinal: None })
        .collect();
    let mut loads = vec![0.0; endpoints];
    for position in positions {
        let mut aperture = DeterministicAperture::default();
        aperture.on_position(position);
        let subset = aperture.subset(&candidates, Widening::NONE);
        let units = subset.units() as f64;
        subset.shares.iter().for_each(|share| loads[share.index] += share.units as f64 / units);
    }
    let mean = loads.iter().sum::<f64>() / endpoints as f64;
    loads.iter().copied().fold(0.0, f64::max) / mean
}

/// The worst moment of a resize from `before` to `after` peers, of whom a random half learns of it
/// 10 seconds later than the others; with the load of newcomers and without.
fn worst(before: u32, after: u32, endpoints: usize, pace: Pace) -> [f64; 2] {
    let is_late = |id: u32| crate::random::mix(u64::from(id) ^ 0x5EED).is_multiple_of(2);
    let mut peers: Vec<_> = (0..after)
        .map(|id| {
            if id < before {
                SteadyCoordinate::settled(pace, coordinate(id, before))
            } else {
                SteadyCoordinate::new(pace)
            }
        })
        .collect();
    let mut worst = [0.0_f64; 2];
    for second in 0..90 {
        let mut positions = Vec::new();
        for (id, peer) in (0..).zip(&mut peers) {
            // A client that has just started knows how many it found.
            let delay = if id < before && is_late(id) { 10 } else { 0 };
            if second >= delay {
                peer.observe(at(second), coordinate(id, after));
            }
            positions.push(peer.position(at(second)));
        }
        let old = positions[..before.min(after) as usize].to_vec();
        for (worst, positions) in worst.iter_mut().zip([positions, old]) {
            *worst = worst.max(max_to_mean(endpoints, positions));
        }
    }
    worst
}

const SUDDEN: Pace = Pace { settle: Duration::ZERO, glide: Duration::ZERO };

/// Half of the peers go by a stale count for as long as 10 seconds.
#[test]
fn late_peers_hardly_disturb_the_balance() {
    let resizes =
        [(100, 110, 100), (100, 101, 100), (110, 100, 100), (300, 330, 300), (1_000, 1_100, 100)];
    for (before, after, endpoints) in resizes {
        let [sudden, _] = worst(before, after, endpoints, SUDDEN);
        let [steady, _] = worst(before, after, endpoints, Pace::default());
        println!("{before} -> {after} x {endpoints}: {sudden:.2} at once, {steady:.2} steadily");
        assert!(steady <= 1.15, "{before} -> {after} x {endpoints}: {steady}");
    }
}

/// Where each endpoint hangs on one or two clients, every newcomer weighs as much as one of them,
/// and until it has its place it doubles the load somewhere. That is no matter of stale counts.
#[test]
fn newcomers_weigh_where_clients_are_few() {
    for (before, after, endpoints) in [(100, 110, 1_000), (10, 11, 1_000)] {
        let [sudden, old_sudden] = worst(before, after, endpoints, SUDDEN);
        let [steady, old] = worst(before, after, endpoints, Pace::default());
        println!("{before} -> {after} x {endpoints}: {sudden:.2} at once, {steady:.2} steadily");
        println!("without newcomers: {old_sudden:.2} at once, {old:.2} steadily");
        assert!(steady <= sudden);
    }
}
