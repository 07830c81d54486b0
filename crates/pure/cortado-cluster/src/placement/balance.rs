//! The board on which placements are evened out: partitions, and the nodes of each by index.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// Which node (an index) holds which partition, in order of succession, and the counts of it.
pub(super) struct Board {
    partitions: Vec<Vec<usize>>,
    /// The nodes that have the data already; giving them up costs a copy.
    copies: Vec<Vec<usize>>,
    replicas: Vec<usize>,
    leaders: Vec<usize>,
    /// `seconds[n][m]`: partitions that `n` leads and `m` would take over.
    seconds: Vec<Vec<usize>>,
}

/// One replica given from a node to another.
#[derive(Clone, Copy)]
struct Step {
    partition: usize,
    place: usize,
    from: usize,
    to: usize,
}

impl Board {
    pub(super) fn new(nodes: usize) -> Board {
        Board {
            partitions: Vec::new(),
            copies: Vec::new(),
            replicas: vec![0; nodes],
            leaders: vec![0; nodes],
            seconds: vec![vec![0; nodes]; nodes],
        }
    }

    pub(super) fn partitions(&self) -> &[Vec<usize>] {
        &self.partitions
    }

    /// Adds a partition with these replicas, perhaps too few of them; they have the data.
    pub(super) fn add(&mut self, nodes: Vec<usize>) {
        self.count(&nodes, Counting::Up);
        self.copies.push(nodes.clone());
        self.partitions.push(nodes);
    }

    /// Adds a partition on the nodes that have least: first of leaderships, then of second choices
    /// of that leader, then of replicas. Ties go around in a circle, which keeps replicas close
    /// to even from the start.
    pub(super) fn place_next(&mut self, replication: usize) {
        let all = self.replicas.len();
        let Some(leader) = (0..all).min_by_key(|n| (self.leaders[*n], *n)) else {
            return;
        };
        let mut chosen = vec![leader];
        while chosen.len() < replication {
            let second = chosen.len() == 1;
            let others = (0..all).filter(|n| !chosen.contains(n));
            let least = others.min_by_key(|n| {
                let choices = if second { self.seconds[leader][*n] } else { 0 };
                (choices, self.replicas[*n], (n + all - leader) % all)
            });
            // There are at least `replication` nodes.
            chosen.extend(least);
        }
        self.add(chosen);
    }

    /// Gives every partition exactly `replication` replicas: drops the last ones, adds nodes that
    /// have least.
    pub(super) fn resize(&mut self, replication: usize) {
        for partition in 0..self.partitions.len() {
            let mut nodes = self.take(partition);
            while nodes.len() > replication {
                // Never the leader, unless it is one too many by itself.
                let most = (1..nodes.len()).max_by_key(|i| (self.replicas[nodes[*i]], *i));
                nodes.remove(most.unwrap_or(0));
            }
            while nodes.len() < replication {
                let others = (0..self.replicas.len()).filter(|n| !nodes.contains(n));
                let least = others.min_by_key(|n| (self.replicas[*n], *n));
                nodes.extend(least);
            }
            self.put(partition, nodes);
        }
    }

    /// Moves replicas from the node that has most to the one that has least, until all are even.
    ///
    /// First those that no node has copied yet: to move them costs nothing.
    pub(super) fn even_out_replicas(&mut self) {
        let weight = |board: &Board, node: usize| board.replicas[node];
        self.even_out(weight, Board::new_replica_steps, |nodes, step| nodes[step.place] = step.to);
        while let Some((most, least)) = spread(&self.replicas) {
            // `most` has more replicas than `least`, so it has one that `least` has not.
            let held = |nodes: &Vec<usize>| nodes.contains(&most) && !nodes.contains(&least);
            let candidates = (0..self.partitions.len()).filter(|p| held(&self.partitions[*p]));
            // Rather not a leader's replica, and rather one that is second choice too often.
            let best = candidates.min_by_key(|p| {
                let nodes = &self.partitions[*p];
                let second = nodes.get(1) == Some(&most);
                let often = if second { self.seconds[nodes[0]][most] } else { 0 };
                (nodes[0] == most, Reverse(often), *p)
            });
            let Some(partition) = best else {
                return;
            };
            let mut nodes = self.take(partition);
            for node in nodes.iter_mut().filter(|node| **node == most) {
                *node = least;
            }
            self.put(partition, nodes);
        }
    }

    /// Evens out replicas without touching leaders, or the evenness of second choices.
    pub(super) fn even_out_replicas_keeping_choices(&mut self) {
        let weight = |board: &Board, node: usize| board.replicas[node];
        self.even_out(weight, Board::replica_steps, |nodes, step| nodes[step.place] = step.to);
    }

    /// Exchanges leaders with other replicas of their partitions until leaderships are even.
    pub(super) fn even_out_leaders(&mut self) {
        let weight = |board: &Board, node: usize| board.leaders[node];
        self.even_out(weight, Board::leader_steps, |nodes, step| nodes.swap(0, step.place));
    }

    /// Exchanges second choices with later ones, for each leader on its own.
    pub(super) fn even_out_second_choices(&mut self) {
        for leader in 0..self.leaders.len() {
            let weight = |board: &Board, node: usize| board.seconds[leader][node];
            let steps = |board: &Board, from: usize| board.second_steps(leader, from);
            self.even_out(weight, steps, |nodes, step| nodes.swap(1, step.place));
        }
    }

    /// Gives on along chains of nodes, from one that has at least two more than the last one.
    ///
    /// Each chain lowers the sum of the squared weights, so this ends; and when it ends, no choice
    /// among the steps allowed would be more even.
    fn even_out(
        &mut self,
        weight: impl Fn(&Board, usize) -> usize,
        steps: impl Fn(&Board, usize) -> Vec<Step>,
        take_step: impl Fn(&mut Vec<usize>, Step),
    ) {
        loop {
            let mut sources: Vec<_> = (0..self.replicas.len()).collect();
            sources.sort_by_key(|node| (Reverse(weight(self, *node)), *node));
            let chain = sources.into_iter().find_map(|from| {
                let enough = weight(self, from).checked_sub(2)?;
                self.chain(from, &steps, |node| weight(self, node) <= enough)
            });
            let Some(chain) = chain else {
                return;
            };
            for step in chain {
                let mut nodes = self.take(step.partition);
                take_step(&mut nodes, step);
                self.put(step.partition, nodes);
            }
        }
    }

    /// The shortest chain of steps from `from` to a node for which `goal` holds.
    fn chain(
        &self,
        from: usize,
        steps: impl Fn(&Board, usize) -> Vec<Step>,
        goal: impl Fn(usize) -> bool,
    ) -> Option<Vec<Step>> {
        let mut reached: Vec<Option<Step>> = vec![None; self.replicas.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            for step in steps(self, node) {
                if step.to == from || reached[step.to].is_some() {
                    continue;
                }
                reached[step.to] = Some(step);
                if goal(step.to) {
                    let back = |step: &Step| reached[step.from];
                    let mut chain: Vec<_> = core::iter::successors(Some(step), back).collect();
                    chain.reverse();
                    return Some(chain);
                }
                queue.push_back(step.to);
            }
        }
        None
    }

    /// Replicas that `from` could give away: not those it leads, and as a second choice only to a
    /// node that this leader has chosen less often.
    fn replica_steps(&self, from: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        for (partition, nodes) in self.partitions.iter().enumerate() {
            let Some(place) = nodes.iter().position(|n| *n == from).filter(|place| *place > 0)
            else {
                continue;
            };
            let seconds = &self.seconds[nodes[0]];
            for to in (0..self.replicas.len()).filter(|n| !nodes.contains(n)) {
                if place > 1 || seconds[from] > seconds[to] {
                    steps.push(Step { partition, place, from, to });
                }
            }
        }
        steps
    }

    /// Replicas without data that `from` could give away.
    fn new_replica_steps(&self, from: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        for (partition, nodes) in self.partitions.iter().enumerate() {
            let Some(place) = nodes.iter().position(|n| *n == from) else {
                continue;
            };
            if !self.copies[partition].contains(&from) {
                let others = (0..self.replicas.len()).filter(|n| !nodes.contains(n));
                steps.extend(others.map(|to| Step { partition, place, from, to }));
            }
        }
        steps
    }

    /// Leaderships that `from` could give to another replica of the partition.
    fn leader_steps(&self, from: usize) -> Vec<Step> {
        self.steps_within(0, |nodes| nodes[0] == from)
    }

    /// Second choices of `leader` that `from` could give to a later one.
    fn second_steps(&self, leader: usize, from: usize) -> Vec<Step> {
        self.steps_within(1, |nodes| nodes[0] == leader && nodes.get(1) == Some(&from))
    }

    /// Exchanges of the replica at `rank` with a later one, in partitions for which `given` holds.
    fn steps_within(&self, rank: usize, given: impl Fn(&[usize]) -> bool) -> Vec<Step> {
        let mut steps = Vec::new();
        for (partition, nodes) in self.partitions.iter().enumerate() {
            if !nodes.is_empty() && given(nodes) {
                let from = nodes[rank];
                let later = nodes.iter().enumerate().skip(rank + 1);
                steps.extend(later.map(|(place, to)| Step { partition, place, from, to: *to }));
            }
        }
        steps
    }

    fn take(&mut self, partition: usize) -> Vec<usize> {
        let nodes = core::mem::take(&mut self.partitions[partition]);
        self.count(&nodes, Counting::Down);
        nodes
    }

    fn put(&mut self, partition: usize, nodes: Vec<usize>) {
        self.count(&nodes, Counting::Up);
        self.partitions[partition] = nodes;
    }

    fn count(&mut self, nodes: &[usize], counting: Counting) {
        let change = |count: &mut usize| match counting {
            Counting::Up => *count += 1,
            Counting::Down => *count -= 1,
        };
        nodes.iter().for_each(|node| change(&mut self.replicas[*node]));
        if let Some(leader) = nodes.first() {
            change(&mut self.leaders[*leader]);
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

/// The nodes that have most and least, if they differ by more than one.
fn spread(counts: &[usize]) -> Option<(usize, usize)> {
    let most = (0..counts.len()).max_by_key(|n| (counts[*n], Reverse(*n)))?;
    let least = (0..counts.len()).min_by_key(|n| (counts[*n], *n))?;
    (counts[most] > counts[least] + 1).then_some((most, least))
}
