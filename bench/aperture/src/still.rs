//! What peers cover, enumerated: no request is sent, no time passes but where peers move.
//!
//! Traffic divides inside a subset by its shares, as picks do between idle endpoints. Start
//! reading at [`Coverage`].

mod outage;
pub mod resize;
mod spread;

pub(crate) use outage::{down, ring_of};
pub use spread::Spread;

use crate::contender::Contender;
use crate::draw::{Draw, seed_of};
use crate::key::Key;
use crate::scenario::Scenario;
use crate::size::Size;
use cortado_aperture::{Candidate, Coordinate, Position, RingOrder, Weight, Widening};
use std::collections::BTreeMap;

/// The numbers of one case; `None` where there is no such case at this size.
///
/// Of several groups the mean; of what is the worst of something, the worst.
pub fn figures(
    scenario: Scenario,
    case: &str,
    size: Size,
    contender: Contender,
    seed: u64,
) -> Option<Vec<(String, f64)>> {
    let groups = groups_at(size);
    let mut merged: Vec<(String, f64)> = Vec::new();
    for number in 0..groups {
        let group = Group::new(contender, size, seed, number);
        let values = match scenario {
            Scenario::Shares => shares(&group, case),
            Scenario::ResizeEndpoints => resize::endpoints(&group, case)?,
            Scenario::ResizeClients => resize::clients(&group, case)?,
            _ => outage::figures(&group, case),
        };
        merged.resize(values.len(), (String::new(), 0.0));
        for (merged, (name, value)) in merged.iter_mut().zip(values) {
            let before = merged.1;
            let merged_value = match name {
                "connections_max" | "churn_worst" => before.max(value),
                _ if is_resize(scenario) && name != "churn" => before.max(value),
                "left_min" if number > 0 => before.min(value),
                "left_min" => value,
                // A running mean of equal values stays what they are.
                _ => before + (value - before) / (number as f64 + 1.0),
            };
            *merged = (name.to_owned(), merged_value);
        }
    }
    Some(merged)
}

fn is_resize(scenario: Scenario) -> bool {
    matches!(scenario, Scenario::ResizeEndpoints | Scenario::ResizeClients)
}

/// Over how many groups of clients, each with its own order and seeds, a figure is averaged.
fn groups_at(size: Size) -> u64 {
    if u64::from(size.peers) * u64::from(size.endpoints) <= 100_000 { 8 } else { 2 }
}

/// A group of clients that agree about the order of the endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    contender: Contender,
    size: Size,
    seed: u64,
    order: RingOrder,
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

/// The endpoints in ring order.
#[derive(Clone, Debug)]
pub struct View {
    candidates: Vec<Candidate>,
    keys: Vec<Key>,
}

/// The endpoints of one peer, with their units of its traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    shares: Vec<(Key, u128)>,
}

impl Cover {
    /// How many endpoints it has to connect to.
    pub fn connections(&self) -> usize {
        self.shares.len()
    }

    fn units(&self) -> u128 {
        self.shares.iter().map(|(_, units)| units).sum()
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.shares.iter().map(|(key, _)| key)
    }
}

/// What all peers cover together.
#[derive(Clone, Debug)]
pub struct Coverage {
    covers: Vec<Cover>,
}

impl Coverage {
    /// The load of every endpoint in `view` or covered, if peer `id` sends `traffic(id)`.
    ///
    /// Whole numbers if all peers send alike and divide it by one measure, so that equal loads are
    /// equal to the last bit.
    pub fn loads(&self, view: &View, traffic: impl Fn(usize) -> f64) -> BTreeMap<Key, f64> {
        let mut totals = self.covers.iter().map(Cover::units);
        let first = totals.next().unwrap_or(1);
        let is_alike = totals.all(|total| total == first)
            && (0..self.covers.len()).all(|id| traffic(id) == traffic(0));
        let mut loads: BTreeMap<Key, f64> = view.keys.iter().map(|key| (*key, 0.0)).collect();
        for (id, cover) in self.covers.iter().enumerate() {
            let total = if is_alike { 1.0 } else { cover.units() as f64 };
            let scale = if is_alike { 1.0 } else { traffic(id) };
            for (key, units) in &cover.shares {
                *loads.entry(*key).or_insert(0.0) += *units as f64 * scale / total;
            }
        }
        loads
    }

    /// Connections of the mean peer and of the one with most.
    pub fn connections(&self) -> (f64, f64) {
        let counts = || self.covers.iter().map(|cover| cover.connections() as f64);
        let mean = counts().sum::<f64>() / self.covers.len().max(1) as f64;
        (mean, counts().fold(0.0, f64::max))
    }
}

/// Every peer at its place.
pub fn settled(peers: u32) -> Vec<Position> {
    let at = |id| Coordinate::new(id, peers).expect("below the count");
    (0..peers).map(|id| Position::Settled(at(id))).collect()
}

/// The weights of the scenarios with weights: 1, 2, 4 in turn, and 0 for each tenth endpoint.
pub fn weight_of(number: u32) -> Weight {
    if number % 10 == 9 { Weight::ZERO } else { Weight(1 << (number % 3)) }
}

/// What each client sends where they are unequal: the n-th sends 1/n of what the first one sends,
/// and their ids say nothing about who is which.
pub(crate) fn unequal(peers: u32, seed: u64) -> Vec<f64> {
    let order = Draw::new(seed, "unequal").choose(peers as usize, peers);
    order.into_iter().map(|rank| 1.0 / (f64::from(rank) + 1.0)).collect()
}

fn shares(group: &Group, case: &str) -> Vec<(&'static str, f64)> {
    let weight = |number| if case == "weights" { weight_of(number) } else { Weight::ONE };
    let keys = (0..group.size.endpoints).map(|number| (Key::first(number), weight(number)));
    let view = group.view(keys);
    let coverage = group.cover(&settled(group.size.peers), &view);
    let traffic = match case {
        "unequal" => unequal(group.size.peers, group.seed),
        _ => vec![1.0; group.size.peers as usize],
    };
    let loads = coverage.loads(&view, |id| traffic[id]);
    // Load for its weight; whoever should get nothing is left out, and counted.
    let idle = loads.iter().filter(|(key, load)| weight(key.number).0 == 0 && **load > 0.0).count();
    let weighed = loads.iter().filter(|(key, _)| weight(key.number).0 > 0);
    let spread = Spread::of(weighed.map(|(key, load)| load / f64::from(weight(key.number).0)));
    let (connections, connections_max) = coverage.connections();
    vec![
        ("connections", connections),
        ("connections_max", connections_max),
        ("rsd", spread.rsd),
        ("max_to_mean", spread.max_to_mean),
        ("without_load", spread.zeros),
        ("unwanted", idle as f64),
    ]
}
