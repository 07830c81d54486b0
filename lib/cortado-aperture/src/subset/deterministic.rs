//! The deterministic aperture: peers tile the ring, without talking to each other.
//!
//! Source: the algorithm of Twitter Finagle's aperture, restated in whole numbers.

use super::{Candidate, Move, Position, Subset, Subsetter, Widening, van_der_corput};
use crate::coordinate::Coordinate;
use crate::ring::{Ring, Sector, Share, gcd};
use std::num::NonZeroU32;

/// Endpoints of an aperture, unless said otherwise.
///
/// Of 12 endpoints, all are down at once with a probability of 0.4¹² = 0.0017 % even if 40 % of
/// them are; of 8, with 0.07 %. Fewer than 4 give an edge endpoint too much traffic.
pub const APERTURE_DEFAULT: NonZeroU32 = NonZeroU32::new(12).expect("12 is not 0");

/// Peers divide the ring among themselves, so that every endpoint has the same load to the unit.
///
/// Peer `id` of `M` covers the ring from `id / M` on, `N / M` wide, where `N` is the least number
/// of laps with which it reaches at least [`APERTURE_DEFAULT`] of `S` endpoints: `⌈12·M / S⌉`, at
/// most `M`. All peers together go round the ring exactly `N` times, so every endpoint is covered
/// by exactly `N` peers (endpoints on an edge by parts of two).
///
/// Take it when coordinates can be had and clients are about alike: load is even exactly, with
/// fewer than `12 + S/M + 2` connections. It costs connections when the number of *clients*
/// changes (100 × 1000: 27 % new ones for one client more), and, where there are few clients for
/// many endpoints, each endpoint hangs on few clients. A client that does not know its coordinate
/// uses every endpoint.
///
/// A widening adds sectors of the same width opposite on the ring, then at the quarters: also if
/// all peers widen, all endpoints are covered alike, and an outage of a stretch of the ring is left
/// behind in one step.
#[derive(Clone, Copy, Debug)]
pub struct DeterministicAperture {
    size: NonZeroU32,
    position: Position,
}

impl DeterministicAperture {
    /// An aperture of at least `size` endpoints, for a client that does not know its place yet.
    pub fn new(size: NonZeroU32) -> DeterministicAperture {
        DeterministicAperture { size, position: Position::Unknown }
    }

    /// The same for a client that knows its place.
    pub fn at(size: NonZeroU32, coordinate: Coordinate) -> DeterministicAperture {
        DeterministicAperture { size, position: Position::Settled(coordinate) }
    }

    /// How often `peers` together go round a ring of `endpoints`: `⌈min(size, S)·M / S⌉ ≤ M`.
    ///
    /// 0 if there are no endpoints.
    pub fn laps(size: NonZeroU32, peers: u32, endpoints: usize) -> u32 {
        let (peers, endpoints) = (u128::from(peers), endpoints as u128);
        let size = u128::from(size.get()).min(endpoints);
        let laps = (size * peers)
            .checked_div(endpoints)
            .map_or(0, |floor| floor + u128::from(!(size * peers).is_multiple_of(endpoints)));
        u32::try_from(laps.min(peers)).expect("at most the number of peers, which is a u32")
    }

    /// The sector of a settled peer; `None` if there are no endpoints.
    pub fn sector(size: NonZeroU32, coordinate: Coordinate, endpoints: usize) -> Option<Sector> {
        let laps = Self::laps(size, coordinate.peers(), endpoints);
        let [id, laps, peers] = [coordinate.id(), laps, coordinate.peers()].map(u64::from);
        (laps > 0).then(|| Sector::new(id, laps, peers).expect("id < peers and laps <= peers"))
    }
}

impl Default for DeterministicAperture {
    fn default() -> DeterministicAperture {
        DeterministicAperture::new(APERTURE_DEFAULT)
    }
}

impl Subsetter for DeterministicAperture {
    fn subset(&self, candidates: &[Candidate], widening: Widening) -> Subset {
        let endpoints = candidates.len();
        if endpoints == 0 {
            return Subset::default();
        }
        let ring = Ring::new(candidates.iter().map(|candidate| candidate.weight));
        match self.position {
            Position::Unknown => self.covered(&ring, Coordinate::ALONE, widening),
            Position::Settled(coordinate) => self.covered(&ring, coordinate, widening),
            Position::Moving(Move { from, to, step }) => {
                let after = self.covered(&ring, to, widening);
                let before = match from {
                    Some(from) => self.covered(&ring, from, widening),
                    None => {
                        let sector = scattered(to.id(), &self.sector_of(to, endpoints));
                        covered(&ring, &sector, after.laps, widening)
                    }
                };
                blended(before, after, step.min(Move::STEPS))
            }
        }
    }

    fn on_position(&mut self, position: Position) -> bool {
        std::mem::replace(&mut self.position, position) != position
    }
}

impl DeterministicAperture {
    fn sector_of(&self, coordinate: Coordinate, endpoints: usize) -> Sector {
        Self::sector(self.size, coordinate, endpoints).expect("there are endpoints")
    }

    fn covered(&self, ring: &Ring, coordinate: Coordinate, widening: Widening) -> Subset {
        let sector = self.sector_of(coordinate, ring.len());
        let laps = Self::laps(self.size, coordinate.peers(), ring.len());
        covered(ring, &sector, laps, widening)
    }
}

/// What `sector` covers, and the sectors opposite to it if it is widened.
fn covered(ring: &Ring, sector: &Sector, laps: u32, widening: Widening) -> Subset {
    let mut shares = Vec::new();
    // The whole ring leaves nothing to widen to.
    if widening == Widening::NONE || sector.width() == sector.parts() {
        ring.shares(sector, &mut shares);
        return Subset { shares, laps };
    }
    let mut turn = Vec::new();
    for step in 0..=widening.steps() {
        turn.clear();
        ring.shares(&turned(sector, step), &mut turn);
        shares.extend(&turn);
    }
    Subset { shares: merged(shares), laps: laps.saturating_mul(u32::from(widening.steps()) + 1) }
}

/// A subset of which `step` of [`Move::STEPS`] parts go by `after`, the others by `before`.
fn blended(before: Subset, after: Subset, step: u8) -> Subset {
    // Units count different parts of the ring on both sides; crosswise products even them out.
    let totals = [before.units(), after.units()];
    let divisor = gcd(totals[0], totals[1]).max(1);
    let scaled = |subset: &Subset, step: u8, total: u128| -> Vec<Share> {
        let factor = u128::from(step) * (total / divisor);
        let shares = subset.shares.iter().filter(|_| step > 0);
        shares.map(|share| Share { units: share.units * factor, ..*share }).collect()
    };
    let mut shares = scaled(&before, Move::STEPS - step, totals[1]);
    shares.extend(scaled(&after, step, totals[0]));
    Subset { shares: merged(shares), laps: after.laps }
}

/// Where a newcomer stands until its peers go by the new count.
///
/// In line behind the others, the newcomers of one resize would all cover the same stretch of the
/// ring. Scattered, they lie about evenly.
fn scattered(id: u32, sector: &Sector) -> Sector {
    let parts = sector.parts() << SCATTER_BITS;
    let place = u64::from(van_der_corput(id) >> (32 - SCATTER_BITS));
    Sector::new(place * sector.parts(), sector.width() << SCATTER_BITS, parts)
        .expect("a fraction of 2^30 is below 1")
}

/// With 32 bits of peers and 2 for quarters of the ring, 30 fill a number of 64.
const SCATTER_BITS: u32 = 30;

/// The sector turned by 0, a half, a quarter, three quarters of the ring.
fn turned(sector: &Sector, step: u8) -> Sector {
    let parts = 4 * sector.parts();
    let quarters = [0, 2, 1, 3][usize::from(step)];
    let offset = u128::from(sector.offset()) * 4 + u128::from(sector.parts()) * quarters;
    let offset = u64::try_from(offset % u128::from(parts)).expect("less than the parts");
    Sector::new(offset, 4 * sector.width(), parts).expect("a quarter of a turn stays on it")
}

/// Shares of several sectors as one list, in ring order.
fn merged(mut shares: Vec<Share>) -> Vec<Share> {
    shares.sort_unstable_by_key(|share| share.index);
    shares.dedup_by(|next, kept| {
        let is_same = next.index == kept.index;
        if is_same {
            kept.units += next.units;
        }
        is_same
    });
    shares
}
