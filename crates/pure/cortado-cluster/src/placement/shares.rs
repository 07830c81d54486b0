//! How much each node should carry: in proportion to its capacity, within what can be.
//!
//! Counts in parts of [`ONE`], so that no rounding depends on a machine. Start reading at
//! [`Shares::of`].

use super::roster::Roster;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

/// A share of one replica, or of one leadership.
pub(super) const ONE: i64 = 1 << 16;

/// How many replicas of a partition a zone may hold, so that as few as possible fail together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ZoneBounds {
    pub(super) least: usize,
    pub(super) most: usize,
}

/// What is right for each node, by index, in parts of [`ONE`].
#[derive(Clone, Debug)]
pub(super) struct Shares {
    pub(super) replicas: Vec<i64>,
    pub(super) leaders: Vec<i64>,
}

impl Shares {
    /// The shares of partitions, so many of each replication.
    pub(super) fn of(roster: &Roster, partitions: &BTreeMap<usize, usize>) -> Shares {
        let mut replicas = vec![0; roster.len()];
        for (replication, count) in partitions {
            let bounds = zone_bounds(&roster.zone_sizes, *replication);
            let of_zones = zone_shares(roster, *replication, *count, &bounds);
            for (zone, total) in of_zones.into_iter().enumerate() {
                let members = || (0..roster.len()).filter(|node| roster.zone_of[*node] == zone);
                // No node holds a partition twice.
                let most = parts(*count);
                let claims = members().map(|node| Claim::new(roster.capacities[node], 0, most));
                let shares = divide(total, &claims.collect::<Vec<_>>());
                members().zip(shares).for_each(|(node, share)| replicas[node] += share);
            }
        }
        let of_node = |node: usize| Claim::new(roster.capacities[node], 0, replicas[node]);
        let claims: Vec<_> = (0..roster.len()).map(of_node).collect();
        let leaders = divide(parts(partitions.values().sum()), &claims);
        Shares { replicas, leaders }
    }
}

/// How many replicas of a partition each zone may hold: as evenly as zones have nodes.
pub(super) fn zone_bounds(zone_sizes: &[usize], replication: usize) -> Vec<ZoneBounds> {
    let held = |level: usize| zone_sizes.iter().map(|size| level.min(*size)).sum::<usize>();
    // Every zone has so many, or all that it can have; what is left goes to different zones.
    let level = (0..=replication).rev().find(|level| held(*level) <= replication).unwrap_or(0);
    let more = usize::from(held(level) < replication);
    let bounds =
        |size: &usize| ZoneBounds { least: level.min(*size), most: (level + more).min(*size) };
    zone_sizes.iter().map(bounds).collect()
}

/// How many replicas all nodes of each zone should hold together.
fn zone_shares(
    roster: &Roster,
    replication: usize,
    partitions: usize,
    bounds: &[ZoneBounds],
) -> Vec<i64> {
    let capacity_of = |zone: usize| {
        let members = (0..roster.len()).filter(|node| roster.zone_of[*node] == zone);
        members.map(|node| roster.capacities[node]).sum()
    };
    let claim = |(zone, bounds): (usize, &ZoneBounds)| {
        let (least, most) = (parts(bounds.least * partitions), parts(bounds.most * partitions));
        Claim::new(capacity_of(zone), least, most)
    };
    let claims: Vec<_> = bounds.iter().enumerate().map(claim).collect();
    divide(parts(replication * partitions), &claims)
}

fn parts(count: usize) -> i64 {
    // A cluster has thousands of replicas; 2^47 of them would fit.
    count as i64 * ONE
}

/// A part of something that is divided by weight, within bounds.
#[derive(Clone, Copy, Debug)]
struct Claim {
    weight: u64,
    least: i64,
    most: i64,
}

impl Claim {
    fn new(weight: u64, least: i64, most: i64) -> Claim {
        Claim { weight, least, most }
    }
}

/// Divides `total` in proportion to weights; who would leave its bounds gets what is nearest, and
/// the others divide the rest. Bounds that leave no way give what is nearest to all.
fn divide(total: i64, claims: &[Claim]) -> Vec<i64> {
    let mut settled: Vec<Option<i64>> = vec![None; claims.len()];
    loop {
        let open = || (0..claims.len()).filter(|n| settled[*n].is_none());
        let rest = total - settled.iter().flatten().sum::<i64>();
        let weights: u64 = open().map(|n| claims[n].weight).sum();
        if weights == 0 {
            return settled.into_iter().map(|share| share.unwrap_or(0)).collect();
        }
        let share = |n: usize| {
            let share = i128::from(rest) * i128::from(claims[n].weight) / i128::from(weights);
            share as i64
        };
        let over = |n: usize| (share(n) - claims[n].most).max(0);
        let under = |n: usize| (claims[n].least - share(n)).max(0);
        let (overs, unders) = (open().map(over).sum::<i64>(), open().map(under).sum::<i64>());
        let settles: Vec<(usize, i64)> = if overs == 0 && unders == 0 {
            open().map(|n| (n, share(n))).collect()
        } else if overs >= unders {
            open().filter(|n| over(*n) > 0).map(|n| (n, claims[n].most)).collect()
        } else {
            open().filter(|n| under(*n) > 0).map(|n| (n, claims[n].least)).collect()
        };
        settles.into_iter().for_each(|(n, share)| settled[n] = Some(share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_bounds(sizes: &[usize], replication: usize, want: &[(usize, usize)]) {
        let found = zone_bounds(sizes, replication);
        let found: Vec<_> = found.iter().map(|bounds| (bounds.least, bounds.most)).collect();
        assert_eq!(found, want, "{replication} replicas in zones of {sizes:?}");
    }

    #[test]
    fn zones_share_a_partition_as_evenly_as_they_have_nodes() {
        check_bounds(&[5, 5, 5], 3, &[(1, 1), (1, 1), (1, 1)]);
        check_bounds(&[5, 5, 5, 5], 3, &[(0, 1), (0, 1), (0, 1), (0, 1)]);
        check_bounds(&[5, 5], 3, &[(1, 2), (1, 2)]);
        check_bounds(&[5, 1], 3, &[(2, 2), (1, 1)]);
        check_bounds(&[5, 5, 1], 5, &[(2, 2), (2, 2), (1, 1)]);
        check_bounds(&[4], 3, &[(3, 3)]);
        check_bounds(&[1, 1, 1, 1], 2, &[(0, 1), (0, 1), (0, 1), (0, 1)]);
    }

    #[test]
    fn what_is_divided_stays_within_bounds_and_adds_up() {
        let claims = [(100, 0, 1_000), (100, 0, 10), (200, 50, 1_000), (1, 30, 1_000)];
        let claims = claims.map(|(weight, least, most)| Claim::new(weight, least, most));
        let shares = divide(370, &claims);
        assert_eq!(shares, [110, 10, 220, 30]);
        assert_eq!(divide(40, &[Claim::new(1, 0, 10), Claim::new(3, 0, 100)]), [10, 30]);
        assert_eq!(divide(0, &[]), Vec::<i64>::new());
    }
}
