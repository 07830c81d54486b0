//! Partitions that have too few, too many or badly placed replicas get what they should have.
//!
//! Start reading at [`Board::place`], for new ones, and [`Board::resize`].

use super::board::Board;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

impl Board {
    /// Places a partition on the nodes that have least: first of leaderships, then of second
    /// choices of that leader, then of replicas, each for what it can carry. Ties go around in a
    /// circle, which keeps replicas close to even from the start.
    pub(super) fn place(&mut self, partition: usize) {
        let all = self.len();
        let mut chosen: Vec<usize> = Vec::new();
        while chosen.len() < self.replication(partition) {
            let leader = chosen.first().copied();
            let least = self.addable(partition, &chosen).min_by_key(|n| {
                let replicas = self.pressure(self.held(*n).len(), *n);
                match leader {
                    None => (self.pressure(self.led(*n).len(), *n), 0, *n),
                    Some(leader) => {
                        let seconds = self.pressure(self.seconds(leader, *n), *n);
                        let seconds = if chosen.len() == 1 { seconds } else { 0 };
                        (seconds, replicas, (n + all - leader) % all)
                    }
                }
            });
            // Zones never bar all nodes as long as some replica is missing.
            let Some(least) = least else { break };
            chosen.push(least);
            self.looked += all as u64;
        }
        self.set(partition, chosen);
    }

    /// Gives a partition exactly the replicas that it should have: drops the last ones, adds nodes
    /// that have least, and moves what stands in the wrong zone.
    pub(super) fn resize(&mut self, partition: usize) {
        let mut nodes = self.nodes(partition).to_vec();
        while nodes.len() > self.replication(partition) {
            // Never the leader, unless it is one too many by itself.
            let surplus = |place: usize| {
                let zone = self.roster.zone_of[nodes[place]];
                let shared = nodes.iter().filter(|n| self.roster.zone_of[**n] == zone).count();
                (shared, self.replica_surplus(nodes[place]), place)
            };
            let most = (1..nodes.len()).max_by_key(|place| surplus(*place));
            nodes.remove(most.unwrap_or(0));
            self.set(partition, nodes.clone());
        }
        self.complete(partition);
        self.spread_over_zones(partition);
    }

    /// Adds nodes that have least while a partition has too few replicas.
    pub(super) fn complete(&mut self, partition: usize) {
        let mut nodes = self.nodes(partition).to_vec();
        while nodes.len() < self.replication(partition) {
            let least = self.absent(&nodes).min_by_key(|n| {
                let barred = !self.allows_beginning(partition, &with(&nodes, *n));
                (barred, self.replica_surplus(*n), self.closeness(&nodes, *n), *n)
            });
            let Some(least) = least else { break };
            nodes.push(least);
            self.set(partition, nodes.clone());
            self.looked += self.len() as u64;
        }
    }

    /// Moves replicas out of zones that have too many of the partition's.
    fn spread_over_zones(&mut self, partition: usize) {
        while let Some((from, to)) = self.misplaced(partition) {
            let nodes = self.nodes(partition).to_vec();
            let places = (0..nodes.len()).filter(|p| self.roster.zone_of[nodes[*p]] == from);
            // Rather not a replica that has the data, nor the leader.
            let place = places.max_by_key(|place| {
                let node = nodes[*place];
                let copied = self.has_copy(partition, node);
                (!copied, *place > 0, self.replica_surplus(node), Reverse(*place))
            });
            let absent = self.absent(&nodes).filter(|n| self.roster.zone_of[*n] == to);
            let least =
                absent.min_by_key(|n| (self.replica_surplus(*n), self.closeness(&nodes, *n), *n));
            let (Some(place), Some(least)) = (place, least) else { return };
            let mut moved = nodes;
            moved[place] = least;
            self.set(partition, moved);
            self.looked += self.len() as u64;
        }
    }

    /// How many partitions `node` holds together with `nodes`.
    pub(super) fn closeness(&self, nodes: &[usize], node: usize) -> usize {
        nodes.iter().filter(|other| **other != node).map(|other| self.pairs(*other, node)).sum()
    }

    /// The nodes that `nodes` lacks.
    fn absent(&self, nodes: &[usize]) -> impl Iterator<Item = usize> + use<> {
        let nodes = nodes.to_vec();
        (0..self.len()).filter(move |node| !nodes.contains(node))
    }

    /// Those of them that zones allow to come next.
    fn addable<'a>(
        &'a self,
        partition: usize,
        nodes: &'a [usize],
    ) -> impl Iterator<Item = usize> + 'a {
        let allowed = move |n: &usize| self.allows_beginning(partition, &with(nodes, *n));
        self.absent(nodes).filter(allowed)
    }

    /// How much one more would weigh on a node that has `count`.
    fn pressure(&self, count: usize, node: usize) -> u128 {
        ((2 * count as u128 + 1) << 64) / u128::from(self.roster.capacities[node])
    }
}

fn with(nodes: &[usize], node: usize) -> Vec<usize> {
    let mut more = vec![node];
    more.extend(nodes);
    more
}
