//! A leader loses its way to the log, in both directions or in one, and goes on among its peers.
//!
//! Start reading at [`World::cut_off`].

use super::{Due, World};
use crate::database::coverage::Fault;
use crate::database::invariants::cut_off;
use crate::database::node::Place;
use crate::database::scenario::Scenario;
use crate::kernel::time::{MILLI, SECOND};

/// All replicas follow and lead by then.
const BEGUN_US: u64 = 3 * SECOND;
/// Longer than a leader would be borne with that does not say so.
const CUT_US: u64 = 5 * SECOND;

impl World {
    /// A leader will be cut off, in worlds that are about that.
    pub(super) fn begin_to_cut_off(&mut self) {
        if self.plan.scenario == Scenario::CutOff {
            let in_us = BEGUN_US + self.kernel.random.between(0, 1_000) * MILLI;
            self.put(in_us, Due::CutOff);
        }
    }

    /// A leader is cut off, or dies.
    pub(super) fn cut_off(&mut self) {
        if self.plan.scenario == Scenario::LeaderDies {
            return self.leader_dies();
        }
        let partition = self.kernel.random.index(self.plan.partitions);
        let Some(node) = (0..self.nodes.len()).find(|node| self.leads(*node, partition)) else {
            return self.put(50 * MILLI, Due::CutOff);
        };
        let (here, until) = (Place::Node(node), self.kernel.now.plus(CUT_US));
        self.network.cut(here, Place::LogHead, until);
        self.network.cut(here, Place::Beats, until);
        if self.kernel.random.coin() {
            self.network.cut(Place::LogPages, here, until);
            self.network.cut(Place::LogHead, here, until);
            self.network.cut(Place::Beats, here, until);
            self.coverage.fault(Fault::CutBoth);
        } else {
            self.coverage.fault(Fault::CutAppend);
        }
        self.put(cut_off::REPLACED_US_MAX, Due::CutOffFor { node });
    }

    /// It has been for as long as that may be felt.
    pub(super) fn cut_off_for_long(&mut self, node: usize) {
        if self.plan.scenario == Scenario::LeaderDies {
            return self.leader_dead_for_long(node);
        }
        let others = |partition: &usize| {
            (0..self.nodes.len()).any(|other| other != node && self.leads(other, *partition))
        };
        let unled: Vec<_> = (0..self.plan.partitions).filter(|each| !others(each)).collect();
        self.check(cut_off::check(&unled));
    }

    pub(super) fn leads(&self, node: usize, partition: usize) -> bool {
        self.nodes[node].hosted(partition).is_some_and(|hosted| hosted.leads())
    }
}
