//! Which endpoints a client uses, and for which part of its traffic each.
//!
//! Pure: the same arguments, the same subset. The endpoint set sorts them into ring
//! order, asks a [`Subsetter`] and connects to the answer. Start reading at [`Subsetter`]; when to
//! take which is said at each, with numbers.

mod deterministic;
mod full;
mod load_band;
mod rendezvous;
mod ringsteady;
#[cfg(test)]
mod tests;

pub use deterministic::{APERTURE_DEFAULT, DeterministicAperture};
pub use full::Full;
pub use load_band::{Band, BandError, LoadBand};
pub use rendezvous::Rendezvous;
pub use ringsteady::Ringsteady;

use crate::coordinate::Coordinate;
use crate::place::Place;
use crate::ring::Share;
use crate::time::Nanos;
use crate::weight::Weight;

/// Chooses the subset of the endpoints that one client uses.
pub trait Subsetter: Send {
    /// Chooses from all endpoints.
    ///
    /// * `candidates`: in ring order, the same for every peer that sees the same endpoints.
    /// * `widening`: how far to reach beyond the usual subset because too much of it is down.
    ///
    /// Total: answers an empty subset only if there are no candidates. What it answers for a
    /// larger `widening` holds what it answers for a smaller one. A candidate of weight 0 is left
    /// out unless all have weight 0.
    fn subset(&self, candidates: &[Candidate], widening: Widening) -> Subset;

    /// The client has learnt where it stands among its peers; answers whether the subset changes.
    fn on_position(&mut self, position: Position) -> bool {
        let _ = position;
        false
    }

    /// `outstanding` requests are under way over all endpoints at `now`, which must not go
    /// backwards; answers whether the subset changes. To be told several times a second.
    fn on_load(&mut self, now: Nanos, outstanding: u64) -> bool {
        let _ = (now, outstanding);
        false
    }
}

impl Subsetter for Box<dyn Subsetter> {
    fn subset(&self, candidates: &[Candidate], widening: Widening) -> Subset {
        (**self).subset(candidates, widening)
    }

    fn on_position(&mut self, position: Position) -> bool {
        (**self).on_position(position)
    }

    fn on_load(&mut self, now: Nanos, outstanding: u64) -> bool {
        (**self).on_load(now, outstanding)
    }
}

/// An endpoint as subsetters see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it sorts on the ring: a hash of its identity, the same for all peers of a group.
    pub place: Place,
    /// How much of the traffic it should get.
    pub weight: Weight,
    /// Its number among the endpoints, from 0 without holes, if endpoints are numbered.
    pub ordinal: Option<u32>,
}

/// The endpoints that a client uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subset {
    /// Each endpoint once, with its part of this client's traffic.
    pub shares: Vec<Share>,
    /// How often all peers together go round the ring; 0 where that has no meaning.
    pub laps: u32,
}

impl Subset {
    /// The sum of all units: what a share is a part of.
    pub fn units(&self) -> u128 {
        self.shares.iter().map(|share| share.units).sum()
    }

    /// The candidates at `indices` by their weights; all alike if all weights are zero.
    fn by_weight(candidates: &[Candidate], indices: impl Iterator<Item = usize>) -> Subset {
        let is_all_zero = candidates.iter().all(|candidate| candidate.weight == Weight::ZERO);
        let units = |index: usize| {
            if is_all_zero { 1 } else { u128::from(candidates[index].weight.0) }
        };
        let shares = indices.map(|index| Share { index, units: units(index) });
        Subset { shares: shares.filter(|share| share.units > 0).collect(), laps: 0 }
    }
}

/// How far a subset reaches beyond its usual size: that many times more of the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Widening(u8);

impl Widening {
    /// The usual subset.
    pub const NONE: Widening = Widening(0);
    /// Four times the usual subset. Beyond it, an outage is not local, and connecting to ever more
    /// endpoints would add a storm to it.
    pub const MAX: Widening = Widening(3);

    /// The next step, if there is one.
    pub fn next(self) -> Option<Widening> {
        (self < Widening::MAX).then_some(Widening(self.0 + 1))
    }

    /// The number of steps, from 0 to 3.
    pub fn steps(self) -> u8 {
        self.0
    }

    /// `size` endpoints, widened.
    fn of(self, size: usize) -> usize {
        size.saturating_mul(usize::from(self.0) + 1)
    }
}

/// What a client knows about its place among its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It stands there, and so do its peers.
    Settled(Coordinate),
    /// It is on its way, and so are its peers; see [`SteadyCoordinate`](crate::SteadyCoordinate).
    Moving(Move),
}

impl Position {
    /// The client's id, if it knows one.
    pub fn id(&self) -> Option<u32> {
        match self {
            Position::Unknown => None,
            Position::Settled(coordinate) => Some(coordinate.id()),
            Position::Moving(on_its_way) => Some(on_its_way.to.id()),
        }
    }
}

/// A client that goes from one coordinate to another, a part of its traffic at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where it comes from; `None` for a newcomer, whom its peers may not know of yet.
    pub from: Option<Coordinate>,
    /// Where it goes to.
    pub to: Coordinate,
    /// How many of [`Move::STEPS`] parts of its traffic have moved.
    pub step: u8,
}

impl Move {
    /// In how many parts traffic moves. Each is a rebuild, and a sixteenth of what can go wrong.
    pub const STEPS: u8 = 16;
}

/// The bits of `number` in reverse, as a fraction of 2³²: the van der Corput sequence.
///
/// Any run of numbers lies about evenly over the whole, and a further one moves no other.
fn van_der_corput(number: u32) -> u32 {
    number.reverse_bits()
}
