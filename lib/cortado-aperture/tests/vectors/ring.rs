//! Coordinates, widths and the ring itself: kinds coord, width, adjust, ring, ringweight,
//! ringindex and intersect.

use super::parse::{Exact, Vector, common, of_kind};
use cortado_aperture::{
    Coordinate, CoordinateError, DeterministicAperture, Ring, Sector, Share, Weight,
};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

#[test]
fn coordinates() {
    for vector in of_kind("coord") {
        let (peers, id): (u32, i64) = (vector.number(0), vector.number(1));
        let Ok(id) = u32::try_from(id) else { continue };
        let got = Coordinate::new(id, peers);
        if vector.is_error(2) {
            assert_eq!(got, Err(CoordinateError::NoPeers), "{vector}");
        } else if id >= peers {
            // The original puts it on an occupied place; the exact column says on which.
            assert_eq!(got, Err(CoordinateError::IdTooLarge { id, peers }), "{vector}");
            assert_eq!(format!("{}/{peers}", id % peers), vector.text(4), "{vector}");
        } else {
            let got = got.expect("an id below the count");
            assert_eq!(format!("{}/{}", got.id(), got.peers()), vector.text(4), "{vector}");
            let offset = f64::from(got.id()) / f64::from(got.peers());
            assert!((offset - vector.number::<f64>(2)).abs() < 1e-9, "{vector}");
        }
    }
}

#[test]
fn laps_and_widths() {
    for vector in of_kind("width") {
        let (peers, endpoints): (u32, usize) = (vector.number(0), vector.number(1));
        let size = vector.number(2);
        let laps = DeterministicAperture::laps(size, peers, endpoints);
        assert_eq!(laps, vector.number::<u32>(5), "{vector}");
        assert_eq!(laps != vector.number::<u32>(4), vector.has_flag("lap"), "{vector}");
        let is_equal = (f64::from(laps) / f64::from(peers) - vector.number::<f64>(3)).abs() < 1e-9;
        assert_eq!(is_equal, !vector.is_flagged(), "{vector}");
    }
}

#[test]
fn arcs_in_free_sectors() {
    for vector in of_kind("adjust") {
        if vector.is_error(3) {
            assert!(vector.text(0).contains('-'), "{vector}: a negative weight has no spelling");
            continue;
        }
        let weights = exact(&vector, 0);
        let Given::Sector(sector) = sector(vector.text(1), vector.text(2)) else {
            panic!("{vector}")
        };
        let ring = ring_of(&weights);
        let shares = shares(&ring, &sector);
        let set: BTreeSet<usize> = shares.keys().copied().collect();
        assert_eq!(set, vector.exact_set(6, 3), "{vector}");
        let exact = vector.by_index(7);
        assert_eq!(exact.len(), shares.len(), "{vector}");
        for (index, units) in &shares {
            let want = Exact::parse(exact[index]);
            assert!(want.equals(*units, ring.units(sector.parts())), "{vector}: {index}");
        }
        check_original(&vector, &set, 3);
    }
}

#[test]
fn sectors_of_equal_endpoints() {
    let mut skipped = 0;
    for vector in of_kind("ring") {
        let ring = equal_ring(vector.number(0));
        let sector = match sector(vector.text(3), vector.text(4)) {
            Given::Sector(sector) => sector,
            Given::TooFine => {
                skipped += 1;
                continue;
            }
            Given::Refused => {
                assert!(vector.is_error(5), "{vector}");
                continue;
            }
        };
        if vector.is_error(5) {
            assert_eq!(ring.index_at(&sector), None, "{vector}");
            continue;
        }
        let shares = shares(&ring, &sector);
        // An empty sector still lies on one endpoint, with none of it.
        let first = ring.index_at(&sector).expect("endpoints");
        let mut set: BTreeSet<usize> = shares.keys().copied().collect();
        set.insert(first);
        assert_eq!(set, vector.exact_set(13, 7), "{vector}");
        let units = |index| shares.get(&index).copied().unwrap_or(0);
        // In ring order, the last one is before the first where a sector that wraps has ended.
        let last = (0..set.len() - 1).fold(first, |at, _| next_in(&set, at));
        let parts = u128::from(sector.parts());
        for (column, index) in [(14, first), (15, last)] {
            // Fractions of an arc that is `parts` long; written as doubles.
            let want: f64 = vector.number(column);
            let got = units(index) as f64 / parts as f64;
            assert!((got - want).abs() < 1e-9, "{vector}: {index} has {got}");
        }
        if !vector.is_flagged() {
            assert_eq!(set.len(), vector.number::<usize>(5), "{vector}: range");
            assert_eq!(first, vector.number::<usize>(6), "{vector}: first");
        }
        check_original(&vector, &set, 7);
    }
    assert_eq!(skipped, SKIPPED_RINGS);
}

#[test]
fn weight_of_one_endpoint() {
    let mut skipped = 0;
    for vector in of_kind("ringweight") {
        let index: usize = vector.number(1);
        let ring = equal_ring(vector.number(0));
        let sector = match sector(vector.text(4), vector.text(5)) {
            Given::Sector(sector) => sector,
            Given::TooFine => {
                skipped += 1;
                continue;
            }
            Given::Refused => {
                assert!(vector.is_error(6), "{vector}");
                continue;
            }
        };
        if vector.is_error(6) {
            assert_eq!(ring.arc(index, 1), None, "{vector}");
            continue;
        }
        let units = shares(&ring, &sector).get(&index).copied().unwrap_or(0);
        let arc = ring.arc(index, sector.parts()).expect("an endpoint");
        assert!(Exact::parse(vector.text(7)).equals(units, arc), "{vector}: {units}/{arc}");
        let is_close = (units as f64 / arc as f64 - vector.number::<f64>(6)).abs() < 1e-9;
        assert!(is_close || vector.is_flagged(), "{vector}");
    }
    assert_eq!(skipped, SKIPPED_WEIGHTS);
}

#[test]
fn endpoint_at_a_position() {
    for vector in of_kind("ringindex") {
        let endpoints: usize = vector.number(0);
        let position = match sector(vector.text(2), "0/1") {
            Given::Sector(sector) => sector,
            Given::TooFine => panic!("{vector}"),
            Given::Refused => {
                assert!(vector.is_error(3), "{vector}");
                continue;
            }
        };
        let index = equal_ring(endpoints).index_at(&position).expect("endpoints");
        assert_eq!(index, vector.number::<usize>(4), "{vector}");
        assert_eq!(index != vector.number::<usize>(3), vector.has_flag("index"), "{vector}");
    }
}

/// The crate has no such function; what two segments have in common is what the first endpoint of
/// a ring has in a sector.
#[test]
fn segments_in_common() {
    for vector in of_kind("intersect") {
        let numbers: Vec<Exact> = (0..4).map(|at| Exact::parse(vector.text(at))).collect();
        let (numbers, parts) = common(&numbers);
        let [begin, end] = [numbers[0].max(numbers[2]), numbers[1].min(numbers[3])];
        let got = end.saturating_sub(begin) as f64 / parts as f64;
        assert!((got - vector.number::<f64>(4)).abs() < 1e-9, "{vector}");
    }
}

/// Those whose width is the least positive double, which tests the last bit of one.
const SKIPPED_RINGS: usize = 7;
const SKIPPED_WEIGHTS: usize = 1;

/// Without a flag the set is that of the original; with one that speaks of the set it is not.
#[track_caller]
fn check_original(vector: &Vector, set: &BTreeSet<usize>, column: usize) {
    let is_about_sets = ["phantom", "extra", "missing"].iter().any(|flag| vector.has_flag(flag));
    if !vector.is_flagged() || is_about_sets {
        assert_eq!(*set == vector.set(column), !vector.is_flagged(), "{vector}");
    }
}

fn next_in(set: &BTreeSet<usize>, at: usize) -> usize {
    let next = set.range(at + 1..).next().or(set.first());
    *next.expect("a set with an index")
}

/// What comes of an offset and a width in a vector.
enum Given {
    Sector(Sector),
    /// The crate refuses it, or, for negative numbers, has no way to spell it.
    Refused,
    /// The fractions are of more parts than a sector can have.
    TooFine,
}

fn sector(offset: &str, width: &str) -> Given {
    if offset.starts_with('-') || width.starts_with('-') {
        return Given::Refused;
    }
    if width == "least" {
        return Given::TooFine;
    }
    let (numbers, parts) = common(&[Exact::parse(offset), Exact::parse(width)]);
    let fit = |number| u64::try_from(number).ok();
    match (fit(numbers[0]), fit(numbers[1]), fit(parts)) {
        (Some(offset), Some(width), Some(parts)) => {
            Sector::new(offset, width, parts).map_or(Given::Refused, Given::Sector)
        }
        _ => Given::TooFine,
    }
}

fn equal_ring(endpoints: usize) -> Ring {
    Ring::new(std::iter::repeat_n(Weight::ONE, endpoints))
}

fn exact(vector: &Vector, column: usize) -> Vec<Exact> {
    vector.list(column).iter().map(|text| Exact::parse(text)).collect()
}

/// A ring of decimal weights, brought to whole numbers.
fn ring_of(weights: &[Exact]) -> Ring {
    let (weights, _) = common(weights);
    Ring::new(weights.iter().map(|weight| Weight(u32::try_from(*weight).expect("fits"))))
}

fn shares(ring: &Ring, sector: &Sector) -> BTreeMap<usize, u128> {
    let mut shares = Vec::new();
    ring.shares(sector, &mut shares);
    let map: BTreeMap<usize, u128> =
        shares.iter().map(|Share { index, units }| (*index, *units)).collect();
    assert_eq!(map.len(), shares.len(), "an endpoint is listed once");
    map
}

/// Keeps the type of sizes in one place.
pub(super) fn size(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("a size")
}
