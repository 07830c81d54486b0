//! What each subsetter chooses, and what it keeps when something changes.

use super::*;
use crate::random::mix;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

fn size(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not 0")
}

fn coordinate(id: u32, peers: u32) -> Coordinate {
    Coordinate::new(id, peers).expect("below the count")
}

fn newcomer(id: u32, peers: u32) -> Position {
    Position::Moving(Move { from: None, to: coordinate(id, peers), step: 0 })
}

/// Numbered endpoints of weight 1 in the order of a hash.
fn endpoints(count: u32) -> Vec<Candidate> {
    let mut endpoints: Vec<_> = (0..count)
        .map(|number| Candidate {
            place: Place(u128::from(mix(u64::from(number) + 1)) << 64),
            weight: Weight::ONE,
            ordinal: Some(number),
        })
        .collect();
    endpoints.sort_by_key(|endpoint| endpoint.place);
    endpoints
}

/// The numbers of the endpoints in a subset.
fn numbers(candidates: &[Candidate], subset: &Subset) -> BTreeSet<u32> {
    subset.shares.iter().map(|share| candidates[share.index].ordinal.expect("numbered")).collect()
}

#[test]
fn a_deterministic_aperture_tiles_the_ring() {
    let check = |id, peers, endpoint_count, laps, first: usize, count: usize| {
        let candidates = endpoints(endpoint_count);
        let aperture = DeterministicAperture::at(APERTURE_DEFAULT, coordinate(id, peers));
        let subset = aperture.subset(&candidates, Widening::NONE);
        assert_eq!(subset.laps, laps);
        let got: Vec<_> = subset.shares.iter().map(|share| share.index).collect();
        let want: Vec<_> = (first..first + count).map(|at| at % candidates.len()).collect();
        assert_eq!(got, want, "{id} of {peers} x {endpoint_count}");
    };
    check(0, 12, 24, 6, 0, 12);
    check(1, 12, 24, 6, 2, 12);
    check(1, 4, 18, 3, 4, 14);
    check(1, 4, 10, 4, 2, 10);
    check(0, 1, 100, 1, 0, 100);
    check(6, 65, 13, 60, 1, 13);
    check(9, 10, 1_000, 1, 900, 100);
    check(5, 6, 18, 4, 15, 12);
}

#[test]
fn half_an_endpoint_counts_half() {
    let aperture = DeterministicAperture::at(APERTURE_DEFAULT, coordinate(1, 4));
    let subset = aperture.subset(&endpoints(18), Widening::NONE);
    // Endpoint 4 begins at 16/72 of the ring, the sector at 18/72.
    assert_eq!(subset.shares[0], Share { index: 4, units: 2 });
    assert!(subset.shares[1..].iter().all(|share| share.units == 4));
}

#[test]
fn who_knows_no_coordinate_uses_all() {
    for unknown in [
        Box::new(DeterministicAperture::default()) as Box<dyn Subsetter>,
        Box::new(Ringsteady::new(APERTURE_DEFAULT)),
        Box::new(Full),
    ] {
        assert_eq!(unknown.subset(&endpoints(40), Widening::NONE).shares.len(), 40);
        assert_eq!(unknown.subset(&[], Widening::MAX), Subset::default());
    }
}

#[test]
fn only_a_new_position_changes_a_subset() {
    let mut aperture = DeterministicAperture::default();
    let settled = Position::Settled(coordinate(1, 2));
    assert!(aperture.on_position(settled));
    assert!(!aperture.on_position(settled));
    assert!(aperture.on_position(newcomer(1, 2)));
    assert!(aperture.on_position(Position::Unknown));

    let mut steady = Ringsteady::new(APERTURE_DEFAULT);
    assert!(steady.on_position(settled));
    assert!(!steady.on_position(newcomer(1, 200)));
}

#[test]
fn widening_keeps_what_there_was_and_reaches_the_other_side() {
    let candidates = endpoints(400);
    let place = coordinate(3, 100);
    let subsetters: [Box<dyn Subsetter>; 4] = [
        Box::new(DeterministicAperture::at(APERTURE_DEFAULT, place)),
        Box::new(Rendezvous::new(APERTURE_DEFAULT, 7)),
        Box::new(Ringsteady::at(APERTURE_DEFAULT, place)),
        Box::new(LoadBand::new(Band { size_min: size(12), ..Band::default() }, 7).expect("fits")),
    ];
    for subsetter in subsetters {
        let mut before = BTreeSet::new();
        let mut widening = Some(Widening::NONE);
        while let Some(step) = widening {
            let subset = subsetter.subset(&candidates, step);
            let now = numbers(&candidates, &subset);
            assert!(now.is_superset(&before));
            assert_eq!(now.len(), 12 * (usize::from(step.steps()) + 1));
            (before, widening) = (now, step.next());
        }
    }
    let aperture = DeterministicAperture::at(APERTURE_DEFAULT, place);
    let widened = aperture.subset(&candidates, Widening(1));
    assert_eq!(widened.laps, 6);
    let (near, far): (Vec<Share>, Vec<Share>) =
        widened.shares.iter().copied().partition(|share| share.index < 200);
    assert_eq!((near[0].index, far[0].index), (12, 212));
}

#[test]
fn newcomers_lie_scattered_and_as_wide_as_all() {
    let candidates = endpoints(100);
    let mut hits = vec![0_u32; 100];
    for id in 100..110 {
        let position = newcomer(id, 110);
        let mut aperture = DeterministicAperture::default();
        aperture.on_position(position);
        let subset = aperture.subset(&candidates, Widening::NONE);
        assert!(subset.shares.len() <= 15);
        subset.shares.iter().for_each(|share| hits[share.index] += 1);
    }
    let most = hits.iter().max().expect("endpoints");
    assert!(*most <= 3, "{most} of 10 newcomers on one endpoint");
}

#[test]
fn a_move_takes_its_traffic_along_in_parts() {
    let candidates = endpoints(90);
    let (from, to) = (coordinate(7, 40), coordinate(7, 50));
    let fractions = |position| {
        let mut aperture = DeterministicAperture::default();
        aperture.on_position(position);
        let subset = aperture.subset(&candidates, Widening::NONE);
        let mut fractions = vec![0.0; 90];
        for share in &subset.shares {
            fractions[share.index] = share.units as f64 / subset.units() as f64;
        }
        fractions
    };
    let newcomer = fractions(newcomer(7, 50));
    let [before, after] = [from, to].map(|place| fractions(Position::Settled(place)));
    for (from, before) in [(Some(from), before), (None, newcomer)] {
        for step in 0..=Move::STEPS {
            let moving = fractions(Position::Moving(Move { from, to, step }));
            let moved = f64::from(step) / f64::from(Move::STEPS);
            for index in 0..90 {
                let want = (1.0 - moved) * before[index] + moved * after[index];
                assert!((moving[index] - want).abs() < 1e-12, "{step}: {index}");
            }
        }
    }
}

#[test]
fn another_endpoint_moves_at_most_one_of_a_rendezvous() {
    for seed in 0..50 {
        let subsetter = Rendezvous::new(APERTURE_DEFAULT, seed);
        let of = |count| {
            let candidates = endpoints(count);
            numbers(&candidates, &subsetter.subset(&candidates, Widening::NONE))
        };
        assert!(of(101).difference(&of(100)).count() <= 1);
        assert_eq!(of(5).len(), 5);
    }
}

#[test]
fn ringsteady_is_even_for_as_many_clients_as_endpoints() {
    let candidates = endpoints(100);
    let mut hits = vec![0_u32; 100];
    for id in 0..100 {
        let subsetter = Ringsteady::at(APERTURE_DEFAULT, coordinate(id, 100));
        let subset = subsetter.subset(&candidates, Widening::NONE);
        subset.shares.iter().for_each(|share| hits[share.index] += 1);
    }
    assert!(hits.iter().all(|hits| *hits == 12), "{hits:?}");
}

#[test]
fn zero_weights_are_left_out() {
    let mut candidates = endpoints(30);
    candidates.iter_mut().skip(1).step_by(2).for_each(|each| each.weight = Weight::ZERO);
    let place = coordinate(1, 3);
    let subsetters: [Box<dyn Subsetter>; 4] = [
        Box::new(Full),
        Box::new(DeterministicAperture::at(APERTURE_DEFAULT, place)),
        Box::new(Rendezvous::new(APERTURE_DEFAULT, 7)),
        Box::new(Ringsteady::at(APERTURE_DEFAULT, place)),
    ];
    for subsetter in subsetters {
        let subset = subsetter.subset(&candidates, Widening::NONE);
        assert!(!subset.shares.is_empty());
        assert!(subset.shares.iter().all(|share| share.index % 2 == 0 && share.units > 0));
        let none = candidates.iter().map(|each| Candidate { weight: Weight::ZERO, ..*each });
        let none: Vec<_> = none.collect();
        assert!(!subsetter.subset(&none, Widening::NONE).shares.is_empty());
    }
}

#[test]
fn a_load_band_follows_the_load_to_within_one() {
    let mut band = LoadBand::new(Band::default(), 7).expect("fits");
    let mut now = Nanos(0);
    for outstanding in [0, 40, 400, 41, 3, 0] {
        for _ in 0..1_000 {
            now = now.after(Duration::from_millis(250));
            band.on_load(now, outstanding);
        }
        let load = outstanding as f64 / f64::from(band.size());
        let is_smallest = band.size() == 2;
        assert!(load < 1.126 && (is_smallest || load > 0.874), "{outstanding}: {}", band.size());
    }
}

#[test]
fn a_load_band_keeps_its_size_while_the_load_stays() {
    let mut band = LoadBand::new(Band::default(), 7).expect("fits");
    assert!(band.on_load(Nanos(0), 400));
    assert!(!band.on_load(Nanos(0).after(Duration::from_millis(100)), 401));
    let grown = band.size();
    assert_eq!(band.subset(&endpoints(1_000), Widening::NONE).shares.len(), grown as usize);
    // The original falls back to its smallest size when an endpoint leaves.
    assert_eq!(band.subset(&endpoints(999), Widening::NONE).shares.len(), grown as usize);
}

#[test]
fn bands_are_checked() {
    let band = |low, high, smooth_ms| {
        let smooth = Duration::from_millis(smooth_ms);
        LoadBand::new(Band { low, high, smooth, ..Band::default() }, 0).map(|_| ())
    };
    assert_eq!(band(0.5, 2.0, 1), Ok(()));
    assert_eq!(band(0.5, 2.0, 0), Err(BandError::NoSmoothing));
    for (low, high) in [(0.0, 1.0), (2.0, 1.0), (1.0, f64::INFINITY), (f64::NAN, 1.0)] {
        assert_eq!(band(low, high, 1), Err(BandError::BadLimits));
    }
}
