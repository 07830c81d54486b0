//! Whole apertures: kinds aperture, weighted and classic.

use super::parse::{Exact, Vector, common, of_kind};
use super::ring::size;
use cortado_aperture::{
    Candidate, Coordinate, DeterministicAperture, Place, Ring, Subset, Subsetter, Weight, Widening,
};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn equal_endpoints() {
    for vector in of_kind("aperture") {
        let weights = vec![Weight::ONE; vector.number(2)];
        check(&vector, 3, &weights, Columns { set: 8, weights: 9, exact: 11 });
    }
}

#[test]
fn weighted_endpoints() {
    for vector in of_kind("weighted") {
        let exact: Vec<Exact> = vector.list(4).iter().map(|text| Exact::parse(text)).collect();
        let (weights, _) = common(&exact);
        let weights: Vec<Weight> =
            weights.iter().map(|weight| Weight(u32::try_from(*weight).expect("fits"))).collect();
        assert_eq!(weights.len(), vector.number::<usize>(2), "{vector}");
        check(&vector, 3, &weights, Columns { set: 9, weights: 10, exact: 12 });
    }
}

/// The unweighted ring of earlier releases: its weights are parts of one endpoint, not of the ring.
#[test]
fn classic_ring() {
    for vector in of_kind("classic") {
        let weights = vec![Weight::ONE; vector.number(2)];
        let subset = check_exact(&vector, 3, &weights, Columns { set: 8, weights: 0, exact: 12 });
        if vector.is_flagged() {
            continue;
        }
        let peers: u32 = vector.number(0);
        for (column, share) in [(9, subset.shares.first()), (10, subset.shares.last())] {
            let got = share.expect("a share").units as f64 / f64::from(peers);
            assert!((got - vector.number::<f64>(column)).abs() < 1e-9, "{vector}: {got}");
        }
    }
}

/// Where a kind has its columns: the original's set and weights, and the first of the exact ones.
struct Columns {
    set: usize,
    weights: usize,
    exact: usize,
}

#[track_caller]
fn check(vector: &Vector, size_column: usize, weights: &[Weight], columns: Columns) {
    let weights_column = columns.weights;
    let subset = check_exact(vector, size_column, weights, columns);
    if vector.is_flagged() {
        return;
    }
    let peers: u64 = vector.number(0);
    let units = Ring::new(weights.iter().copied()).units(peers) as f64;
    let want = vector.by_index(weights_column);
    for share in &subset.shares {
        let (got, want) = (share.units as f64 / units, want[&share.index]);
        let want: f64 = want.parse().expect("a weight");
        assert!((got - want).abs() < 1e-9, "{vector}: {} has {got}", share.index);
    }
}

/// Compares with the exact columns, and the set with the original's.
#[track_caller]
fn check_exact(
    vector: &Vector,
    size_column: usize,
    weights: &[Weight],
    columns: Columns,
) -> Subset {
    let (peers, id): (u32, u32) = (vector.number(0), vector.number(1));
    // An id that no peer has is refused; the exact columns speak of the place that it would share.
    let coordinate = Coordinate::new(id % peers, peers).expect("below the count");
    let aperture = DeterministicAperture::at(size(vector.number(size_column)), coordinate);
    let subset = aperture.subset(&candidates(weights), Widening::NONE);
    let got: BTreeMap<usize, u128> =
        subset.shares.iter().map(|share| (share.index, share.units)).collect();
    let set: BTreeSet<usize> = got.keys().copied().collect();

    assert_eq!(subset.laps, vector.number::<u32>(columns.exact), "{vector}");
    assert_eq!(set, vector.exact_set(columns.exact + 1, columns.set), "{vector}");
    let want: BTreeMap<usize, u128> = vector
        .by_index(columns.exact + 2)
        .into_iter()
        .map(|(index, units)| (index, units.parse().expect("units")))
        .collect();
    assert_eq!(got, want, "{vector}");
    let units = Ring::new(weights.iter().copied()).units(u64::from(peers));
    assert_eq!(units, vector.number::<u128>(columns.exact + 3), "{vector}");

    let original = vector.set(columns.set);
    let is_about_sets = ["phantom", "extra", "missing"].iter().any(|flag| vector.has_flag(flag));
    if !vector.is_flagged() || is_about_sets {
        assert_eq!(set == original, !vector.is_flagged(), "{vector}");
    }
    subset
}

fn candidates(weights: &[Weight]) -> Vec<Candidate> {
    let places = weights.iter().zip(0..);
    places
        .map(|(weight, at)| Candidate { place: Place(at), weight: *weight, ordinal: None })
        .collect()
}
