//! Operators drain nodes and resume them, whatever else goes on; nodes hear of it sooner or later.
//!
//! Start reading at [`World::drain_or_resume`]. Source: docs/protocols/failover.md, "Pins and
//! drains".

use super::shared_log::partition_id;
use super::{Due, World};
use crate::database::coverage::CoveragePoint;
use crate::database::mutant::Mutant;
use crate::database::node::Place;
use crate::database::scenario::Scenario;
use crate::kernel::time::MILLI;
use cortado_cluster::WatchEvent;
use cortado_driver::ReplicaRole;
use cortado_model::NodeId;

/// Until a node that could not read `_cluster` tries again.
const AGAIN_US: u64 = 100 * MILLI;
/// So close must be who is to lead.
const LAG_RECORDS_MAX: u64 = 100;

impl World {
    /// An operator drains a node or resumes it. As in production, another node that runs must be
    /// left to lead.
    pub(super) fn drain_or_resume(&mut self) {
        let node = self.kernel.random.index(self.nodes.len());
        let id = self.nodes[node].id;
        let is_left = |other: &crate::database::node::Node| {
            other.id != id && other.process.is_some() && !self.drained.contains(&other.id)
        };
        let may_drain = self.nodes.iter().any(is_left);
        if self.drained.remove(&id) {
            self.coverage.reach(CoveragePoint::Resumed);
        } else if may_drain {
            self.drained.insert(id);
            self.coverage.reach(CoveragePoint::Drained);
        }
        for node in 0..self.nodes.len() {
            let in_us = self.kernel.random.between(1, 400) * MILLI;
            self.put(in_us, Due::HearOrders { node });
        }
    }

    /// A process that starts folds `_cluster` to its end.
    pub(super) fn fold_orders(&mut self, node: usize) {
        if self.plan.scenario == Scenario::Drained && !self.is(Mutant::ForgetsDrains) {
            let in_us = self.kernel.random.between(1, 400) * MILLI;
            self.put(in_us, Due::HearOrders { node });
        }
    }

    /// A node folds what operators want, as soon as it can, and tells its watch.
    pub(super) fn hear_orders(&mut self, node: usize) {
        if self.nodes[node].process.is_none() {
            // Its next process begins with that.
            return;
        }
        let pages = (Place::LogPages, Place::Node(node));
        if !self.nodes[node].is_running()
            || !self.network.is_open(pages.0, pages.1, self.kernel.now)
        {
            return self.put(AGAIN_US, Due::HearOrders { node });
        }
        self.nodes[node].drained.clone_from(&self.drained);
        for number in 0..self.plan.partitions {
            let placement = self.catalog_of(node).held(number);
            let placement = self.succession(node, number, placement);
            let partition = partition_id(number);
            self.tell_watch(node, WatchEvent::Placed { partition, placement });
        }
    }

    /// Whether `node` knows that `other` is drained.
    pub(super) fn knows_drained(&self, node: usize, other: NodeId) -> bool {
        let here = &self.nodes[node];
        let ignores = self.is(Mutant::IgnoresOwnDrain) && here.id == other;
        here.drained.contains(&other) && !ignores
    }

    /// After the faults: whether every partition is led by the node that should lead it, where
    /// operators have drained some.
    pub(super) fn are_in_place(&mut self) -> bool {
        if self.plan.scenario != Scenario::Drained {
            return true;
        }
        let now = self.kernel.now;
        let mut in_place = true;
        for number in 0..self.plan.partitions {
            let placement = self.catalog().held(number);
            let leader = self.led(number).0.map(|leader| self.nodes[leader].id);
            let is_drained = |node: &NodeId| self.drained.contains(node);
            let order = placement.ordered(None, |node| is_drained(&node));
            let order = order.nodes().iter();
            let able = |node: &&NodeId| self.is_able_to_lead(node.0 as usize - 1, number);
            let wanted = match leader {
                Some(leader) if is_drained(&leader) => {
                    order.filter(|node| !is_drained(node)).find(able)
                }
                Some(_) | None => order.take(1).find(able),
            };
            let wanted = wanted.copied();
            if leader.is_some_and(|leader| is_drained(&leader)) {
                self.coverage.reach(CoveragePoint::DrainedLed);
            }
            let misplaced = &mut self.partitions[number].misplaced;
            let looked = misplaced.look(number, leader, wanted, now);
            in_place &= misplaced.is_over();
            self.check(looked);
        }
        in_place
    }

    /// Whether the replica of `node` leads, or could.
    fn is_able_to_lead(&self, node: usize, partition: usize) -> bool {
        let known = &self.nodes[node];
        let fit = known.process.as_ref().is_some_and(|process| !process.observer.sick);
        let Some(hosted) = known.hosted(partition).filter(|_| known.is_running()) else {
            return false;
        };
        let folded = hosted.driver.fold().map(|fold| fold.position.offset.0);
        let close = |folded| self.log.end(partition).0 - folded <= LAG_RECORDS_MAX;
        let serves = matches!(hosted.driver.role(), ReplicaRole::Leader | ReplicaRole::Follower);
        fit && serves && !self.is_full(node) && folded.is_some_and(close)
    }
}
