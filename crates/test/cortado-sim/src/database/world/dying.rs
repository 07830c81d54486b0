//! A node that leads dies: its machine refuses connections from then on, or is gone with it, and
//! all packets to it are lost.
//!
//! Start reading at [`World::leader_dies`].

use super::{Due, World};
use crate::database::coverage::{CoveragePoint, Fault};
use crate::database::dead_leader::DeadLeader;
use crate::database::invariants::dead_leader;
use crate::database::node::Place;
use crate::database::scenario::Scenario;
use crate::kernel::time::{MILLI, SECOND};

/// All replicas follow and lead by then, and no node has claimed a moment ago.
const BEGUN_US: u64 = 4 * SECOND;

impl World {
    /// A leader will die, in worlds that are about that.
    pub(super) fn begin_to_die(&mut self) {
        if self.plan.scenario == Scenario::LeaderDies {
            let in_us = BEGUN_US + self.kernel.random.between(0, 1_000) * MILLI;
            self.put(in_us, Due::CutOff);
        }
    }

    /// A node that leads dies, and stays dead for as long as that may be felt.
    pub(super) fn leader_dies(&mut self) {
        let partition = self.kernel.random.index(self.plan.partitions);
        let Some(node) = (0..self.nodes.len()).find(|node| self.leads(*node, partition)) else {
            return self.put(50 * MILLI, Due::CutOff);
        };
        let unserved = (0..self.plan.partitions).filter(|led| self.leads(node, *led)).collect();
        let bound_us = match self.kernel.random.coin() {
            true => dead_leader::REFUSED_US_MAX,
            false => {
                self.lose_packets_of(node);
                dead_leader::LOST_US_MAX
            }
        };
        let since = self.kernel.now;
        self.dead_leader = Some(DeadLeader { node, since, bound_us, unserved });
        self.coverage.fault(Fault::NodeCrash);
        self.crash(node);
        self.put(bound_us, Due::CutOffFor { node, broker: None });
    }

    fn lose_packets_of(&mut self, node: usize) {
        let until = self.kernel.now.plus(dead_leader::LOST_US_MAX);
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.network.cut(Place::Node(node), Place::Node(other), until);
            self.network.cut(Place::Node(other), Place::Node(node), until);
        }
        self.coverage.fault(Fault::CutPeersOut);
        self.coverage.fault(Fault::CutPeersIn);
    }

    /// A node has served a write.
    pub(super) fn note_served(&mut self, partition: usize) {
        let now = self.kernel.now;
        let Some(dead) = &mut self.dead_leader else { return };
        if !dead.unserved.remove(&partition) {
            return;
        }
        let (node, took_us) = (dead.node, now.since(dead.since));
        self.coverage.reach(CoveragePoint::ServedForDead);
        self.kernel.note(&[96, partition as u64, took_us], || {
            format!("p{partition} is served {took_us} µs after the death of n{}", node + 1)
        });
    }

    /// It has been dead for as long as that may be felt, and starts again.
    pub(super) fn leader_dead_for_long(&mut self, node: usize) {
        let Some(dead) = self.dead_leader.take() else { return };
        self.check(dead_leader::check(&dead.unserved, dead.bound_us));
        self.put(0, Due::Start { node });
    }
}
