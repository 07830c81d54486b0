//! Endpoints are down, and every peer divides its traffic among the others of its subset.

use super::coverage::View;
use super::group::{Group, settled};
use super::spread::Spread;
use crate::contender::Contender;
use crate::draw::Draw;
use crate::key::Key;
use crate::scenario::outage;
use cortado_aperture::RingOrder;
use std::collections::BTreeSet;

/// The numbers of the endpoints in the order of the contender's own ring, so that "side by side"
/// is the worst that can happen to it.
pub(crate) fn ring_of(contender: Contender, order: RingOrder, endpoints: u32) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..endpoints).collect();
    match contender {
        Contender::Ringsteady => numbers.sort_by_key(|number| number.reverse_bits()),
        _ => numbers.sort_by_key(|number| order.place(&Key::first(*number))),
    }
    numbers
}

/// The endpoints that are down in `case`: scattered, or a stretch of `ring`.
pub(crate) fn down(case: &str, ring: &[u32], draw: &Draw) -> BTreeSet<u32> {
    let (percent, is_scattered) = outage(case);
    let count = ring.len() * percent as usize / 100;
    if is_scattered {
        return draw.choose(count, ring.len() as u32).into_iter().collect();
    }
    let start = draw.below(ring.len() as u64) as usize;
    ring.iter().cycle().skip(start).take(count).copied().collect()
}

pub(super) fn figures(group: &Group, case: &str) -> Vec<(&'static str, f64)> {
    let size = group.size;
    let view = group.view_of(size.endpoints);
    let mut coverage = group.cover(&settled(size.peers), &view);
    let ring = ring_of(group.contender, group.order, size.endpoints);
    let down = down(case, &ring, &Draw::new(group.seed, "down"));
    for cover in &mut coverage.covers {
        cover.shares.retain(|(key, _)| !down.contains(&key.number));
    }
    let stranded = coverage.covers.iter().filter(|cover| cover.shares.is_empty()).count();
    let least = coverage.covers.iter().map(|cover| cover.shares.len()).min().unwrap_or(0);
    coverage.covers.retain(|cover| !cover.shares.is_empty());
    let alive = size.endpoints as usize - down.len();
    let loads = coverage.loads(&View { candidates: Vec::new(), keys: Vec::new() }, |_| 1.0);
    let nothing = std::iter::repeat_n(0.0, alive.saturating_sub(loads.len()));
    let spread = Spread::of(loads.values().copied().chain(nothing));
    vec![
        ("rsd", spread.rsd),
        ("max_to_mean", spread.max_to_mean),
        ("stranded", stranded as f64),
        ("left_min", least as f64),
    ]
}
