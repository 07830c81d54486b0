//! Evens out what a board holds: replicas over nodes, then leaderships, then second choices.
//!
//! Start reading at [`Board::even_out_replicas`].

use super::board::Board;
use super::shares::ONE;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// One replica, or one rank, given from a node to another.
#[derive(Clone, Copy)]
struct Step {
    partition: usize,
    place: usize,
    from: usize,
    to: usize,
}

/// What a step does.
#[derive(Clone, Copy)]
enum Act {
    /// Another node holds the replica.
    Exchange,
    /// Two replicas of the partition change places; this is the first of them.
    Swap(usize),
}

/// Chains that zones have broken in the middle before evening out gives up: what is left is uneven
/// by a few, and right.
const BROKEN_CHAINS_MAX: u32 = 200;

impl Board {
    /// Moves replicas from nodes that have more than their share to those that have less, until all
    /// are even.
    ///
    /// First those that no node has copied yet: to move them costs nothing. Then, while it can be,
    /// in one step each, so that no more is copied than must be.
    pub(super) fn even_out_replicas(&mut self) {
        let surplus = |board: &Board, node: usize| board.replica_surplus(node);
        self.even_out(surplus, Board::uncopied_steps, Act::Exchange);
        while let Some(step) = self.best_exchange() {
            self.take(step, Act::Exchange);
        }
        self.even_out(surplus, Board::exchanges, Act::Exchange);
    }

    /// Evens out replicas without touching leaders, or the evenness of second choices.
    pub(super) fn even_out_replicas_keeping_choices(&mut self) {
        let surplus = |board: &Board, node: usize| board.replica_surplus(node);
        self.even_out(surplus, Board::quiet_exchanges, Act::Exchange);
    }

    /// Exchanges leaders with other replicas of their partitions until leaderships are even.
    pub(super) fn even_out_leaders(&mut self) {
        let surplus = |board: &Board, node: usize| board.leader_surplus(node);
        self.even_out(surplus, Board::leader_steps, Act::Swap(0));
    }

    /// Exchanges second choices with later ones, for each leader on its own.
    pub(super) fn even_out_second_choices(&mut self) {
        for leader in 0..self.len() {
            let surplus = |board: &Board, node: usize| board.second_surplus(leader, node);
            let steps = |board: &mut Board, from: usize| board.second_steps(leader, from);
            self.even_out(surplus, steps, Act::Swap(1));
        }
    }

    /// Gives on along chains of nodes, from one that has more by over one than the last one.
    ///
    /// Each chain lowers the sum of the squared surpluses, so this ends; and when it ends, no
    /// choice among the steps allowed would be more even.
    fn even_out(
        &mut self,
        surplus: impl Fn(&Board, usize) -> i64,
        mut steps: impl FnMut(&mut Board, usize) -> Vec<Step>,
        act: Act,
    ) {
        let mut broken = 0;
        while broken < BROKEN_CHAINS_MAX {
            let mut sources: Vec<usize> = (0..self.len()).collect();
            sources.sort_by_key(|node| (Reverse(surplus(self, *node)), *node));
            let Some(least) = sources.last().map(|node| surplus(self, *node)) else { return };
            let chain = sources.into_iter().find_map(|from| {
                let most = surplus(self, from) - ONE;
                if least >= most {
                    return None;
                }
                let goal = |board: &Board, node: usize| surplus(board, node) < most;
                self.chain(from, &mut steps, goal)
            });
            let Some(chain) = chain else { return };
            broken += u32::from(!self.take_chain(chain, act));
        }
    }

    /// The shortest chain of steps from `from` to a node for which `goal` holds.
    fn chain(
        &mut self,
        from: usize,
        steps: &mut impl FnMut(&mut Board, usize) -> Vec<Step>,
        goal: impl Fn(&Board, usize) -> bool,
    ) -> Option<Vec<Step>> {
        let mut reached: Vec<Option<Step>> = vec![None; self.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            for step in steps(self, node) {
                if step.to == from || reached[step.to].is_some() {
                    continue;
                }
                reached[step.to] = Some(step);
                if goal(self, step.to) {
                    let back = |step: &Step| reached[step.from];
                    return Some(core::iter::successors(Some(step), back).collect());
                }
                queue.push_back(step.to);
            }
        }
        None
    }

    /// Takes the steps of a chain, the last one first. Zones may bar one that others have changed
    /// the partition of: then the rest is not taken, and `false` answered.
    fn take_chain(&mut self, chain: Vec<Step>, act: Act) -> bool {
        chain.into_iter().all(|step| {
            let nodes = self.nodes(step.partition);
            let holds = nodes.get(step.place) == Some(&step.from);
            let possible = match act {
                Act::Exchange => {
                    holds
                        && !nodes.contains(&step.to)
                        && self.allows_exchange(step.partition, step.from, step.to)
                }
                Act::Swap(first) => nodes.get(first) == Some(&step.from),
            };
            if possible {
                self.take(step, act);
            }
            possible
        })
    }

    fn take(&mut self, step: Step, act: Act) {
        let mut nodes = self.nodes(step.partition).to_vec();
        match act {
            Act::Exchange => nodes[step.place] = step.to,
            Act::Swap(first) => nodes.swap(first, step.place),
        }
        self.set(step.partition, nodes);
    }

    /// What the node with the greatest surplus gives to the one with the least, or the next ones.
    fn best_exchange(&mut self) -> Option<Step> {
        let mut nodes: Vec<usize> = (0..self.len()).collect();
        nodes.sort_by_key(|node| (Reverse(self.replica_surplus(*node)), *node));
        let uneven = |from: &usize, to: &usize| {
            self.replica_surplus(*to) + ONE < self.replica_surplus(*from)
        };
        let pairs = nodes.iter().flat_map(|from| {
            let receivers = nodes.iter().rev().take_while(move |to| uneven(from, to));
            receivers.map(move |to| (*from, *to))
        });
        let pairs: Vec<_> = pairs.collect();
        pairs.into_iter().find_map(|(from, to)| self.best_exchange_between(from, to))
    }

    /// Of all replicas that `from` could give to `to`: rather not a leader's, unless it leads too
    /// much, and rather one of a partition whose other nodes have little in common with `to`.
    fn best_exchange_between(&mut self, from: usize, to: usize) -> Option<Step> {
        self.looked += self.held(from).len() as u64;
        let leads_too_much = self.leader_surplus(from) > 0;
        let given = self.held(from).iter().filter(|partition| {
            !self.held(to).contains(partition) && self.allows_exchange(**partition, from, to)
        });
        let cost = |partition: &usize| {
            let nodes = self.nodes(*partition);
            let led = nodes[0] == from && !leads_too_much;
            let near = self.closeness(nodes, to) as i64 - self.closeness(nodes, from) as i64;
            (led, near, *partition)
        };
        let partition = given.copied().min_by_key(cost)?;
        let place = self.nodes(partition).iter().position(|node| *node == from)?;
        Some(Step { partition, place, from, to })
    }

    /// Replicas that `from` could give away.
    fn exchanges(&mut self, from: usize) -> Vec<Step> {
        self.exchanges_where(from, |_, _| true, |_, _| true)
    }

    /// Those without data.
    fn uncopied_steps(&mut self, from: usize) -> Vec<Step> {
        let uncopied = |board: &Board, partition| !board.has_copy(partition, from);
        self.exchanges_where(from, uncopied, |_, _| true)
    }

    /// Not those that it leads, and as a second choice only to a node that this leader has chosen
    /// less often.
    fn quiet_exchanges(&mut self, from: usize) -> Vec<Step> {
        let follows = |board: &Board, partition: usize| board.nodes(partition)[0] != from;
        self.exchanges_where(from, follows, |board, step| {
            let leader = board.nodes(step.partition)[0];
            let second = |node| board.second_surplus(leader, node);
            step.place > 1 || second(step.from) > second(step.to)
        })
    }

    fn exchanges_where(
        &mut self,
        from: usize,
        given: impl Fn(&Board, usize) -> bool,
        wanted: impl Fn(&Board, &Step) -> bool,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut looked = self.held(from).len();
        for partition in self.held(from).iter().copied().filter(|p| given(self, *p)) {
            looked += self.len();
            let nodes = self.nodes(partition);
            let Some(place) = nodes.iter().position(|node| *node == from) else { continue };
            let others = (0..self.len()).filter(|node| !nodes.contains(node));
            let allowed = others.filter(|to| self.allows_exchange(partition, from, *to));
            let each = allowed.map(|to| Step { partition, place, from, to });
            steps.extend(each.filter(|step| wanted(self, step)));
        }
        self.looked += looked as u64;
        steps
    }

    /// Leaderships that `from` could give to another replica of the partition.
    fn leader_steps(&mut self, from: usize) -> Vec<Step> {
        self.looked += self.led(from).len() as u64;
        let led = self.led(from).iter().copied();
        led.flat_map(|partition| self.swaps(partition, 0)).collect()
    }

    /// Second choices of `leader` that `from` could give to a later one.
    fn second_steps(&mut self, leader: usize, from: usize) -> Vec<Step> {
        self.looked += self.led(leader).len() as u64;
        let led = self.led(leader).iter().copied();
        let chosen = led.filter(|partition| self.nodes(*partition).get(1) == Some(&from));
        chosen.flat_map(|partition| self.swaps(partition, 1)).collect()
    }

    /// Exchanges of the replica at `rank` with a later one.
    fn swaps(&self, partition: usize, rank: usize) -> impl Iterator<Item = Step> + '_ {
        let nodes = self.nodes(partition);
        let later = nodes.iter().enumerate().skip(rank + 1);
        later.map(move |(place, to)| Step { partition, place, from: nodes[rank], to: *to })
    }
}
