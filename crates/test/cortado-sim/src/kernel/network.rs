//! The ways between places: how long they take, and when nothing passes.
//!
//! Start reading at [`Network::passes`].

use super::random::{PerMillion, Random};
use super::time::Moment;
use std::collections::BTreeMap;

/// A network whose places are `P`. Each direction between two places is a way of its own.
#[derive(Clone, Debug)]
pub struct Network<P> {
    /// Mean time on the way, in one direction.
    pub delay_us: u64,
    /// What is lost without a trace.
    pub loss: PerMillion,
    cut_until: BTreeMap<(P, P), Moment>,
}

impl<P: Ord + Copy> Network<P> {
    /// A network on which nothing is cut or lost.
    pub fn new(delay_us: u64) -> Network<P> {
        Network { delay_us, loss: PerMillion(0), cut_until: BTreeMap::new() }
    }

    /// Time on the way.
    pub fn delay(&self, random: &mut Random) -> u64 {
        random.around(self.delay_us)
    }

    /// Whether something that is sent now arrives.
    pub fn passes(&self, from: P, to: P, now: Moment, random: &mut Random) -> bool {
        self.is_open(from, to, now) && !random.happens(self.loss)
    }

    /// Whether the way is not cut.
    pub fn is_open(&self, from: P, to: P, now: Moment) -> bool {
        self.cut_until.get(&(from, to)).is_none_or(|until| *until <= now)
    }

    /// Nothing passes from `from` to `to` before `until`.
    pub fn cut(&mut self, from: P, to: P, until: Moment) {
        self.cut_until.insert((from, to), until);
    }

    /// Everything passes again.
    pub fn heal(&mut self) {
        self.cut_until.clear();
        self.loss = PerMillion(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_cut_in_one_direction_for_a_while() {
        let mut random = Random::of(1);
        let mut network = Network::new(100);
        network.cut('a', 'b', Moment(10));
        assert!(!network.passes('a', 'b', Moment(9), &mut random));
        assert!(network.passes('b', 'a', Moment(9), &mut random));
        assert!(network.passes('a', 'b', Moment(10), &mut random));
        network.loss = PerMillion(1_000_000);
        assert!(!network.passes('a', 'b', Moment(10), &mut random));
        network.heal();
        assert!(network.passes('a', 'b', Moment(0), &mut random));
    }
}
