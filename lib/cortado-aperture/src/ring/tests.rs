//! The edges of the ring, each with its exact shares.
//!
//! Source: the original's own tests, distilled.

use super::*;

fn equal(endpoints: usize) -> Ring {
    Ring::new(std::iter::repeat_n(Weight::ONE, endpoints))
}

/// What a sector of `offset`, `width` of `parts` holds, as `(index, units)` in ring order.
#[track_caller]
fn check(ring: &Ring, [offset, width, parts]: [u64; 3], want: &[(usize, u128)]) {
    let sector = Sector::new(offset, width, parts).expect("a sector");
    let mut shares = Vec::new();
    ring.shares(&sector, &mut shares);
    let got: Vec<_> = shares.iter().map(|share| (share.index, share.units)).collect();
    assert_eq!(got, want, "{sector:?}");
    let units: u128 = got.iter().map(|(_, units)| units).sum();
    assert_eq!(units, u128::from(width) * u128::from(ring.total()), "{sector:?}");
}

#[test]
fn aligned_sectors_hold_whole_endpoints() {
    let ring = equal(10);
    check(&ring, [1, 3, 10], &[(1, 10), (2, 10), (3, 10)]);
    check(&ring, [20, 70, 200], &[(1, 200), (2, 200), (3, 200), (4, 100)]);
    check(&equal(4), [1, 1, 4], &[(1, 4)]);
}

#[test]
fn a_sector_wraps_past_the_end() {
    let halves = [(7, 2), (8, 4), (9, 4), (0, 4), (1, 4), (2, 2)];
    check(&equal(10), [3, 2, 4], &halves);
    check(&equal(4), [3, 2, 4], &[(3, 4), (0, 4)]);
}

#[test]
fn the_whole_ring_holds_every_endpoint_once() {
    check(&equal(4), [1, 8, 8], &[(0, 8), (1, 8), (2, 8), (3, 8)]);
    // Begins and ends inside one arc: both ends are added.
    check(&equal(2), [1, 4, 4], &[(0, 4), (1, 4)]);
    check(&equal(3), [1, 2, 2], &[(1, 2), (2, 2), (0, 2)]);
    check(&equal(1), [5, 9, 9], &[(0, 9)]);
    check(&equal(1), [8, 2, 9], &[(0, 2)]);
}

#[test]
fn the_thinnest_sector_lies_on_one_endpoint() {
    let parts = u64::MAX;
    check(&equal(3), [0, 1, parts], &[(0, 3)]);
    check(&equal(3), [parts - 1, 1, parts], &[(2, 3)]);
    check(&equal(3), [1, 0, 3], &[]);
    let ring = equal(3);
    let position = Sector::new(1, 0, 3).expect("a sector");
    assert_eq!(ring.index_at(&position), Some(1));
}

#[test]
fn almost_the_whole_ring_reaches_every_endpoint() {
    let ring = equal(10);
    let mut shares = Vec::new();
    ring.shares(&Sector::new(0, 999_999, 1_000_000).expect("a sector"), &mut shares);
    assert_eq!(shares.len(), 10);
    for endpoints in [1, 9_999, 10_000] {
        shares.clear();
        equal(endpoints).shares(&Sector::FULL, &mut shares);
        assert!(shares.iter().map(|share| share.index).eq(0..endpoints));
    }
}

#[test]
fn weights_stretch_arcs_and_zero_takes_none() {
    let ring = Ring::new([1, 8, 1].map(Weight));
    check(&ring, [8, 6, 10], &[(1, 40), (2, 10), (0, 10)]);
    let ring = Ring::new([0, 2, 0, 4].map(Weight));
    check(&ring, [0, 1, 1], &[(1, 1), (3, 2)]);
    check(&ring, [1, 1, 3], &[(3, 3)]);
    assert_eq!(Ring::new([0, 0].map(Weight)), Ring::new([7, 7].map(Weight)));
    let extremes = Ring::new([u32::MAX, 1].map(Weight));
    check(&extremes, [0, 1, 1], &[(0, u128::from(u32::MAX)), (1, 1)]);
}

#[test]
fn nothing_is_on_an_empty_ring() {
    check(&equal(0), [0, 1, 1], &[]);
    assert_eq!(equal(0).index_at(&Sector::FULL), None);
    assert_eq!(equal(3).arc(3, 1), None);
}

#[test]
fn sectors_are_checked() {
    let no_parts = Err(SectorError::NoParts);
    assert_eq!(Sector::new(0, 0, 0), no_parts);
    let offset = Err(SectorError::OffsetTooLarge { offset: 4, parts: 4 });
    assert_eq!(Sector::new(4, 1, 4), offset);
    let width = Err(SectorError::WidthTooLarge { width: 5, parts: 4 });
    assert_eq!(Sector::new(0, 5, 4), width);
}
