//! The board on which placements are made: partitions, the nodes of each by index, and all counts.
//!
//! Decides nothing but what zones allow. Start reading at [`Board`].

use super::roster::Roster;
use super::shares::{ONE, Shares, ZoneBounds, zone_bounds};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

/// Which node (an index) holds which partition, in order of succession, and the counts of it.
pub(super) struct Board {
    pub(super) roster: Roster,
    partitions: Vec<Slots>,
    /// The partitions that each node holds.
    held: Vec<BTreeSet<usize>>,
    /// The partitions that each node leads.
    led: Vec<BTreeSet<usize>>,
    /// `seconds[n][m]`: partitions that `n` leads and `m` would take over.
    seconds: Vec<Vec<usize>>,
    /// `pairs[n][m]`: partitions that both hold.
    pairs: Vec<Vec<usize>>,
    /// By replication, what each zone may hold of a partition.
    bounds: BTreeMap<usize, Vec<ZoneBounds>>,
    shares: Shares,
    /// How much was looked at, to bound the work in tests.
    pub(super) looked: u64,
}

/// A partition's replicas.
struct Slots {
    /// In order of succession.
    nodes: Vec<usize>,
    /// The nodes that have the data already; giving them up costs a copy.
    copies: Vec<usize>,
    /// How many there should be; at most as many as there are nodes.
    replication: usize,
}

impl Board {
    /// A board for partitions of these replications, none of which has a replica yet.
    pub(super) fn new(roster: Roster, replications: impl Iterator<Item = u32>) -> Board {
        let all = roster.len();
        let within = |wanted: u32| usize::try_from(wanted).unwrap_or(all).clamp(1, all);
        let replications: Vec<usize> = replications.map(within).collect();
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        replications.iter().for_each(|wanted| *counts.entry(*wanted).or_default() += 1);
        let bounds = |wanted: &usize| (*wanted, zone_bounds(&roster.zone_sizes, *wanted));
        let slots = |replication| Slots { nodes: Vec::new(), copies: Vec::new(), replication };
        Board {
            bounds: counts.keys().map(bounds).collect(),
            shares: Shares::of(&roster, &counts),
            partitions: replications.into_iter().map(slots).collect(),
            held: vec![BTreeSet::new(); all],
            led: vec![BTreeSet::new(); all],
            seconds: vec![vec![0; all]; all],
            pairs: vec![vec![0; all]; all],
            roster,
            looked: 0,
        }
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.roster.len()
    }

    /// How many partitions there are.
    pub(super) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// The nodes of a partition, in order of succession.
    pub(super) fn nodes(&self, partition: usize) -> &[usize] {
        &self.partitions[partition].nodes
    }

    /// How many replicas it should have.
    pub(super) fn replication(&self, partition: usize) -> usize {
        self.partitions[partition].replication
    }

    /// The partitions that `node` holds.
    pub(super) fn held(&self, node: usize) -> &BTreeSet<usize> {
        &self.held[node]
    }

    /// The partitions that `node` leads.
    pub(super) fn led(&self, node: usize) -> &BTreeSet<usize> {
        &self.led[node]
    }

    /// How many partitions `leader` leads and `node` would take over.
    pub(super) fn seconds(&self, leader: usize, node: usize) -> usize {
        self.seconds[leader][node]
    }

    /// How many partitions both hold.
    pub(super) fn pairs(&self, node: usize, other: usize) -> usize {
        self.pairs[node][other]
    }

    /// Whether `node` has the data of `partition` already.
    pub(super) fn has_copy(&self, partition: usize, node: usize) -> bool {
        self.partitions[partition].copies.contains(&node)
    }

    /// The partition has these replicas, perhaps too few or too many; they have the data.
    pub(super) fn begin(&mut self, partition: usize, nodes: Vec<usize>) {
        self.partitions[partition].copies.clone_from(&nodes);
        self.set(partition, nodes);
    }

    /// The partition has these replicas, in order of succession.
    pub(super) fn set(&mut self, partition: usize, nodes: Vec<usize>) {
        let before = core::mem::take(&mut self.partitions[partition].nodes);
        self.count(partition, &before, Counting::Down);
        self.count(partition, &nodes, Counting::Up);
        self.partitions[partition].nodes = nodes;
    }

    /// By how much `node` holds more replicas than its share, in parts of [`ONE`].
    pub(super) fn replica_surplus(&self, node: usize) -> i64 {
        self.held[node].len() as i64 * ONE - self.shares.replicas[node]
    }

    /// By how much it leads more partitions than its share.
    pub(super) fn leader_surplus(&self, node: usize) -> i64 {
        self.led[node].len() as i64 * ONE - self.shares.leaders[node]
    }

    /// By how much it would take over more than its share of what `leader` leads.
    pub(super) fn second_surplus(&self, leader: usize, node: usize) -> i64 {
        let others = self.roster.capacity() - self.roster.capacities[leader];
        let led = self.led[leader].len() as i128 * i128::from(ONE);
        let share = led * i128::from(self.roster.capacities[node]) / i128::from(others.max(1));
        self.seconds[leader][node] as i64 * ONE - share as i64
    }

    /// Whether zones allow `nodes` to become the beginning of a partition's replicas.
    pub(super) fn allows_beginning(&self, partition: usize, nodes: &[usize]) -> bool {
        let replication = self.replication(partition);
        let counts = self.zone_counts(nodes);
        let bounds = &self.bounds[&replication];
        let within = counts.iter().zip(bounds).all(|(count, bounds)| *count <= bounds.most);
        let lacking: usize =
            counts.iter().zip(bounds).map(|(n, bounds)| bounds.least.saturating_sub(*n)).sum();
        within && nodes.len() + lacking <= replication
    }

    /// Whether zones allow a partition to exchange `from` for `to`; whatever was wrong before
    /// must become no worse.
    pub(super) fn allows_exchange(&self, partition: usize, from: usize, to: usize) -> bool {
        let (out, into) = (self.roster.zone_of[from], self.roster.zone_of[to]);
        if out == into {
            return true;
        }
        let nodes = self.nodes(partition);
        let count = |zone| nodes.iter().filter(|n| self.roster.zone_of[**n] == zone).count();
        let bounds = &self.bounds[&self.replication(partition)];
        count(out) > bounds[out].least && count(into) < bounds[into].most
    }

    /// A zone that has too many of a partition's replicas beside one that has too few; `None` if
    /// all is well.
    pub(super) fn misplaced(&self, partition: usize) -> Option<(usize, usize)> {
        let counts = self.zone_counts(self.nodes(partition));
        let bounds = &self.bounds[&self.replication(partition)];
        let zones = || 0..counts.len();
        let over = zones().find(|z| counts[*z] > bounds[*z].most);
        let under = zones().find(|z| counts[*z] < bounds[*z].least);
        if over.is_none() && under.is_none() {
            return None;
        }
        let from = over.or_else(|| zones().find(|z| counts[*z] > bounds[*z].least))?;
        let to = under.or_else(|| zones().find(|z| counts[*z] < bounds[*z].most))?;
        Some((from, to))
    }

    fn zone_counts(&self, nodes: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.roster.zone_sizes.len()];
        nodes.iter().for_each(|node| counts[self.roster.zone_of[*node]] += 1);
        counts
    }

    fn count(&mut self, partition: usize, nodes: &[usize], counting: Counting) {
        let change = |count: &mut usize| match counting {
            Counting::Up => *count += 1,
            Counting::Down => *count -= 1,
        };
        let mark = |set: &mut BTreeSet<usize>| match counting {
            Counting::Up => set.insert(partition),
            Counting::Down => set.remove(&partition),
        };
        for node in nodes {
            mark(&mut self.held[*node]);
            let others = nodes.iter().filter(|other| *other != node);
            others.for_each(|other| change(&mut self.pairs[*node][*other]));
        }
        if let Some(leader) = nodes.first() {
            mark(&mut self.led[*leader]);
        }
        if let [leader, second, ..] = nodes {
            change(&mut self.seconds[*leader][*second]);
        }
    }
}

#[derive(Clone, Copy)]
enum Counting {
    Up,
    Down,
}
