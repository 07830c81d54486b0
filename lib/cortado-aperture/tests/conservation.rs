//! What all peers together put on each endpoint: the same, to the unit, whatever the numbers.
//!
//! Start reading at [`every_endpoint_is_covered_alike_up_to_512`].

use cortado_aperture::{
    APERTURE_DEFAULT, Candidate, Coordinate, DeterministicAperture, Place, Ring, Subsetter, Weight,
    Widening,
};
use proptest::prelude::*;

/// Adds up what each of `peers` covers of each of `endpoints`, and checks each peer's connections.
#[track_caller]
fn check_equal(peers: u32, endpoints: usize) {
    let ring = Ring::new(std::iter::repeat_n(Weight::ONE, endpoints));
    let laps = DeterministicAperture::laps(APERTURE_DEFAULT, peers, endpoints);
    let mut covered = vec![0_u64; endpoints];
    let mut shares = Vec::new();
    let aperture = (APERTURE_DEFAULT.get() as usize).min(endpoints);
    for id in 0..peers {
        let coordinate = Coordinate::new(id, peers).expect("below the count");
        let sector = DeterministicAperture::sector(APERTURE_DEFAULT, coordinate, endpoints);
        shares.clear();
        ring.shares(&sector.expect("endpoints"), &mut shares);
        for share in &shares {
            covered[share.index] += u64::try_from(share.units).expect("fits");
        }
        // Fewer than 12 + S/M + 2 connections, at least 12, and none without a share.
        let count = shares.len();
        assert!(aperture <= count && count <= endpoints, "{peers} x {endpoints}: {count}");
        let excess = count.saturating_sub(aperture + 2) as u64;
        assert!(excess * u64::from(peers) < endpoints as u64 || excess == 0, "{count}");
    }
    // Each endpoint's arc is `peers` units long and lies in `laps` sectors.
    let want = u64::from(laps) * u64::from(peers);
    assert!(covered.iter().all(|units| *units == want), "{peers} x {endpoints}: {covered:?}");
}

#[test]
fn every_endpoint_is_covered_alike_up_to_512() {
    // Odd and even numbers of peers, so that two cores share the work about evenly.
    std::thread::scope(|scope| {
        for first in [1, 2] {
            scope.spawn(move || {
                for peers in (first..=512).step_by(2) {
                    (1..=512).for_each(|endpoints| check_equal(peers, endpoints));
                }
            });
        }
    });
}

#[test]
fn every_endpoint_is_covered_alike_up_to_4096() {
    let edges = [1, 2, 11, 12, 13, 509, 1_021, 2_047, 2_048, 2_049, 3_072, 4_093, 4_095, 4_096];
    for peers in edges {
        for endpoints in edges {
            check_equal(peers, endpoints as usize);
        }
    }
}

/// The sum over all peers of each endpoint's units, as subsets with this widening give them.
fn covered(peers: u32, weights: &[u32], size: u32, widening: Widening) -> Vec<u128> {
    let candidates: Vec<Candidate> = (0..)
        .zip(weights)
        .map(|(at, weight)| Candidate { place: Place(at), weight: Weight(*weight), ordinal: None })
        .collect();
    let mut covered = vec![0; weights.len()];
    let size = size.try_into().expect("not 0");
    for id in 0..peers {
        let coordinate = Coordinate::new(id, peers).expect("below the count");
        let subset = DeterministicAperture::at(size, coordinate).subset(&candidates, widening);
        for share in &subset.shares {
            assert!(share.units > 0, "a phantom");
            covered[share.index] += share.units;
        }
    }
    covered
}

fn widening(steps: u8) -> Widening {
    (0..steps).fold(Widening::NONE, |widening, _| widening.next().expect("at most 3 steps"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Also with weights, any size, and when every peer has widened.
    #[test]
    fn load_is_proportional_to_weight(
        peers in 1_u32..80,
        weights in prop::collection::vec(prop_oneof![Just(0), Just(1), 0..1_000_u32], 1..120),
        size in 1_u32..40,
        steps in 0_u8..=3,
    ) {
        let covered = covered(peers, &weights, size, widening(steps));
        let total: u128 = covered.iter().sum();
        let is_all_zero = weights.iter().all(|weight| *weight == 0);
        let weight = |at: usize| if is_all_zero { 1 } else { u128::from(weights[at]) };
        let weights_total: u128 = (0..weights.len()).map(weight).sum();
        for (at, units) in covered.iter().enumerate() {
            prop_assert_eq!(units * weights_total, weight(at) * total);
        }
    }

    /// One endpoint more or less, one peer more or less, another weight: still the same for all.
    #[test]
    fn every_change_conserves_the_balance(
        mut peers in 1_u32..60,
        mut weights in prop::collection::vec(1_u32..5, 1..60),
        changes in prop::collection::vec((0_u8..5, any::<prop::sample::Index>(), 1_u32..5), 1..12),
    ) {
        for (kind, at, weight) in changes {
            let index = at.index(weights.len());
            match kind {
                0 => weights.insert(index, weight),
                1 if weights.len() > 1 => drop(weights.remove(index)),
                2 => peers += 1,
                3 if peers > 1 => peers -= 1,
                _ => weights[index] = weight,
            }
            let covered = covered(peers, &weights, 12, Widening::NONE);
            for (units, weight) in covered.iter().zip(&weights) {
                let [first, weight] = [weights[0], *weight].map(u128::from);
                prop_assert_eq!(units * first, covered[0] * weight);
            }
        }
    }
}
