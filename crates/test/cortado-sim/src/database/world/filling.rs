//! Stores that fill up, all at nearly the same time, and stay so for a while: what they hold can be
//! read, so a replica must lead, and refuse what is new.
//!
//! Start reading at [`World::begin_to_fill`].

use super::{Address, Due, Phase, World};
use crate::database::coverage::Fault;
use crate::database::invariants::led;
use crate::database::node::Node;
use crate::database::scenario::Scenario;
use crate::kernel::time::{MILLI, SECOND};

/// What has been begun has come to an end by then.
const REST_US: u64 = 600 * MILLI;
/// Between the first store and the last one: as long as a leader takes to look for another node.
const SPREAD_US_MAX: u64 = 80 * MILLI;
/// From then on: longer than the slowest detection, with every candidate at its turn.
const FULL_US: u64 = 6 * SECOND;

impl World {
    /// The faults stop, and stores fill up; answers whether this world comes to that.
    pub(super) fn begin_to_fill(&mut self) -> bool {
        if self.plan.scenario != Scenario::NoRoom || self.phase != Phase::Faults {
            return false;
        }
        self.phase = Phase::Filling;
        self.stop_faults();
        for node in 0..self.nodes.len() {
            let spread_us = self.kernel.random.between(0, SPREAD_US_MAX);
            self.put(REST_US + spread_us, Due::Fill { node });
        }
        self.put(REST_US + FULL_US, Due::Heal);
        true
    }

    /// A node's stores take nothing more; its process may die of it.
    pub(super) fn fill(&mut self, node: usize) {
        self.coverage.fault(Fault::StoreFull);
        self.nodes[node].store_full_until = self.kernel.now.plus(FULL_US);
        if self.kernel.random.below(4) == 0 {
            self.crash(node);
        }
    }

    /// Whether a replica has been told that its store takes nothing more.
    pub(super) fn knows_of_no_room(&mut self, here: Address) -> bool {
        self.hosted_at(here).is_some_and(|hosted| !hosted.has_room)
    }

    /// Every partition is led of which some replica shows everything that is committed.
    pub(super) fn check_led(&mut self) {
        for partition in 0..self.plan.partitions {
            let truth = &self.partitions[partition].truth;
            let newest = truth.transactions.last().map(|each| each.scn).unwrap_or_default();
            let whole = self.nodes.iter().any(|node| {
                let lives = node.hosted(partition).is_some_and(|each| each.driver.fold().is_some());
                lives && node.disk[partition].image().last_transaction == newest
            });
            let leads = |node: &Node| node.hosted(partition).is_some_and(|hosted| hosted.leads());
            let result = led::check(partition, whole, self.nodes.iter().any(leads));
            self.check(result);
        }
    }
}
