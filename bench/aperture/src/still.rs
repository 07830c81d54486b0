//! What peers cover, enumerated: no request is sent, no time passes but where peers move.
//!
//! Traffic divides inside a subset by its shares, as picks do between idle endpoints. Start
//! reading at [`Coverage`].

mod coverage;
mod group;
mod outage;
pub mod resize;
mod spread;

pub use coverage::{Cover, Coverage, View};
pub use group::{Group, settled};
pub(crate) use outage::{down, ring_of};
pub use spread::Spread;

use crate::contender::Contender;
use crate::draw::Draw;
use crate::key::Key;
use crate::scenario::Scenario;
use crate::size::Size;
use cortado_aperture::Weight;

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
    // Load for its weight; an endpoint that should get nothing is left out, and counted.
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
