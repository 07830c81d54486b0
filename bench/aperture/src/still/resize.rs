//! One side becomes larger or smaller, and not everyone knows at once.

use super::coverage::{Cover, Coverage};
use super::group::{Group, settled};
use super::spread::Spread;
use crate::contender::Contender;
use crate::draw::Draw;
use crate::scenario::resized;
use cortado_aperture::{Coordinate, Nanos, Pace, Position, SteadyCoordinate};
use std::collections::BTreeSet;
use std::time::Duration;

/// By how many seconds half of the peers are late.
pub(crate) const LATE_SECONDS: u64 = 10;
/// Seconds after which every peer has finished its move.
const END_SECONDS: u64 = 81;

/// Another number of endpoints; while half of the peers do not know it, and after.
pub(super) fn endpoints(group: &Group, case: &str) -> Option<Vec<(&'static str, f64)>> {
    let size = group.size;
    let after_count = resized(size.endpoints, case)?;
    let positions = settled(size.peers);
    let (before_view, after_view) = (group.view_of(size.endpoints), group.view_of(after_count));
    let before = group.cover(&positions, &before_view);
    let after = group.cover(&positions, &after_view);
    let late = late_peers(group);
    let mixed = (0..).zip(before.covers.iter().zip(&after.covers));
    let covers =
        mixed.map(|(id, (old, new))| if late.contains(&id) { old } else { new }.clone()).collect();
    let wider = if after_count > size.endpoints { &after_view } else { &before_view };
    let loads = Coverage { covers }.loads(wider, |_| 1.0);
    let mut figures = churn(&before, &after);
    figures.push(("max_to_mean", Spread::of(loads.into_values()).max_to_mean));
    Some(figures)
}

/// Another number of peers; while half of the old ones do not know it, and after.
pub(super) fn clients(group: &Group, case: &str) -> Option<Vec<(&'static str, f64)>> {
    let size = group.size;
    let after_count = resized(size.peers, case)?;
    let view = group.view_of(size.endpoints);
    let before = group.cover(&settled(size.peers), &view);
    let after = group.cover(&settled(after_count), &view);
    let mut figures = churn(&before, &after);
    let sudden = Pace { settle: Duration::ZERO, glide: Duration::ZERO };
    let at_once = worst(group, after_count, sudden);
    figures.push(("max_to_mean", at_once.with_newcomers));
    // No other policy looks at the number of peers.
    let steady = match group.contender {
        Contender::Deterministic => worst(group, after_count, Pace::default()),
        _ => at_once,
    };
    figures.push(("max_to_mean_steady", steady.with_newcomers));
    figures.push(("max_to_mean_steady_old", steady.without_newcomers));
    Some(figures)
}

/// The most loaded endpoint against the mean, second by second, with this pace.
pub fn series(group: &Group, after_count: u32, pace: Pace) -> Vec<(u64, f64)> {
    let moments = moments(group, after_count, pace);
    moments.into_iter().map(|(second, ratios)| (second, ratios.with_newcomers)).collect()
}

/// Loads of the most loaded endpoint, in means.
#[derive(Clone, Copy, Debug)]
struct Ratios {
    with_newcomers: f64,
    /// Of the traffic of those who were there before.
    without_newcomers: f64,
}

fn worst(group: &Group, after_count: u32, pace: Pace) -> Ratios {
    let least = Ratios { with_newcomers: 1.0, without_newcomers: 1.0 };
    moments(group, after_count, pace).into_iter().fold(least, |worst, (_, ratios)| Ratios {
        with_newcomers: worst.with_newcomers.max(ratios.with_newcomers),
        without_newcomers: worst.without_newcomers.max(ratios.without_newcomers),
    })
}

/// Follows every peer through the resize.
fn moments(group: &Group, after_count: u32, pace: Pace) -> Vec<(u64, Ratios)> {
    let before_count = group.size.peers;
    let late = late_peers(group);
    let view = group.view_of(group.size.endpoints);
    let at = |id, peers| Coordinate::new(id, peers).expect("below the count");
    let mut peers: Vec<SteadyCoordinate> = (0..after_count)
        .map(|id| match id < before_count {
            true => SteadyCoordinate::settled(pace, at(id, before_count)),
            false => SteadyCoordinate::new(pace),
        })
        .collect();
    let mut covers: Vec<Option<(Position, Cover)>> = vec![None; peers.len()];
    let mut ratios = Ratios { with_newcomers: 1.0, without_newcomers: 1.0 };
    let mut moments = Vec::new();
    for second in 0..=END_SECONDS {
        let now = Nanos(second * 1_000_000_000);
        let mut is_changed = false;
        for (id, peer) in (0..).zip(&mut peers) {
            if !late.contains(&id) || second >= LATE_SECONDS {
                peer.observe(now, at(id, after_count));
            }
            let position = peer.position(now);
            let cover = &mut covers[id as usize];
            if cover.as_ref().is_none_or(|(last, _)| *last != position) {
                *cover = Some((position, group.cover_one(id, position, &view)));
                is_changed = true;
            }
        }
        if is_changed {
            let all = |count: u32| {
                let covers = covers.iter().take(count as usize).flatten();
                let coverage = Coverage { covers: covers.map(|(_, each)| each.clone()).collect() };
                Spread::of(coverage.loads(&view, |_| 1.0).into_values()).max_to_mean
            };
            ratios = Ratios {
                with_newcomers: all(after_count),
                without_newcomers: all(after_count.min(before_count)),
            };
        }
        moments.push((second, ratios));
    }
    moments
}

/// A random half of those who were there before.
fn late_peers(group: &Group) -> BTreeSet<u32> {
    let draw = Draw::new(group.seed, "late");
    draw.choose(group.size.peers as usize / 2, group.size.peers).into_iter().collect()
}

/// New connections of those who are there before and after, against those they had.
fn churn(before: &Coverage, after: &Coverage) -> Vec<(&'static str, f64)> {
    let (mut opened, mut had, mut worst) = (0, 0, 0.0_f64);
    for (before, after) in before.covers.iter().zip(&after.covers) {
        let known: BTreeSet<_> = before.keys().collect();
        let new = after.keys().filter(|key| !known.contains(key)).count();
        opened += new;
        had += known.len();
        worst = worst.max(new as f64 / known.len().max(1) as f64);
    }
    vec![("churn", f64::from(opened as u32) / had.max(1) as f64), ("churn_worst", worst)]
}
