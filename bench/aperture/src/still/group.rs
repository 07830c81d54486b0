//! Clients that agree about the order of the endpoints, and where each of them stands.
//!
//! Start reading at [`Group`].

use super::coverage::{Cover, Coverage, View};
use crate::contender::Contender;
use crate::draw::seed_of;
use crate::key::Key;
use crate::size::Size;
use cortado_aperture::{Candidate, Coordinate, Position, RingOrder, Weight, Widening};

/// A group of clients that agree about the order of the endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub(super) contender: Contender,
    pub(super) size: Size,
    pub(super) seed: u64,
    pub(super) order: RingOrder,
}

impl Group {
    /// Group `number` of those of one seed.
    pub fn new(contender: Contender, size: Size, seed: u64, number: u64) -> Group {
        let seed = seed_of(seed.wrapping_add(number), "group");
        Group { contender, size, seed, order: RingOrder::of_group(&seed.to_string()) }
    }

    /// What the peers at `positions` cover of `view`; their ids count from 0.
    pub fn cover(&self, positions: &[Position], view: &View) -> Coverage {
        let covers = (0..).zip(positions).map(|(id, position)| self.cover_one(id, *position, view));
        Coverage { covers: covers.collect() }
    }

    /// What one peer covers.
    pub fn cover_one(&self, id: u32, position: Position, view: &View) -> Cover {
        let mut subsetter = self.contender.subsetter(self.size, id, self.seed);
        subsetter.on_position(position);
        let subset = subsetter.subset(&view.candidates, Widening::NONE);
        let shares = subset.shares.iter().map(|share| (view.keys[share.index], share.units));
        Cover { shares: shares.collect() }
    }

    /// Endpoints of these weights, as this group orders them.
    pub fn view(&self, weights: impl IntoIterator<Item = (Key, Weight)>) -> View {
        let mut all: Vec<_> = weights
            .into_iter()
            .map(|(key, weight)| {
                let ordinal = Some(key.number);
                (Candidate { place: self.order.place(&key), weight, ordinal }, key)
            })
            .collect();
        all.sort_unstable_by_key(|(candidate, key)| (candidate.place, *key));
        let (candidates, keys) = all.into_iter().unzip();
        View { candidates, keys }
    }

    /// So many endpoints of one weight.
    pub fn view_of(&self, endpoints: u32) -> View {
        self.view((0..endpoints).map(|number| (Key::first(number), Weight::ONE)))
    }
}

/// Every peer at its place.
pub fn settled(peers: u32) -> Vec<Position> {
    let at = |id| Coordinate::new(id, peers).expect("below the count");
    (0..peers).map(|id| Position::Settled(at(id))).collect()
}
