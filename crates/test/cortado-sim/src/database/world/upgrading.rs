//! Nodes are restarted with the next build, one after the other and back, while the cluster goes
//! on; the gate is opened when the last one can read what is written from then on.
//!
//! Start reading at [`World::upgrade`]. Source: docs/protocols/replication.md, "Feature levels".

use super::{Due, World};
use crate::database::coverage::CoveragePoint;
use crate::database::invariants::gate;
use crate::database::mutant::Mutant;
use crate::database::scenario::Scenario;
use crate::kernel::time::{MILLI, Moment};
use cortado_cluster::Gate;
use cortado_driver::Event;
use cortado_model::NodeId;
use cortado_replica::{Config, FEATURE_LEVEL_MAX, FEATURE_LEVEL_NEXT};

/// The longest time until what an operator has decided is in `_cluster`.
const DECLARED_US_MAX: u64 = 600 * MILLI;

impl World {
    fn is_rolling(&self) -> bool {
        self.plan.scenario == Scenario::Rolling
    }

    /// An operator installs another build on a node and restarts it, or finishes the upgrade.
    pub(super) fn upgrade(&mut self) {
        if self.kernel.random.below(3) == 0 {
            return self.finish_upgrade();
        }
        let node = self.kernel.random.index(self.nodes.len());
        let goes_back = self.nodes[node].level == FEATURE_LEVEL_NEXT;
        if goes_back && (self.upgrade.level == FEATURE_LEVEL_NEXT || self.kernel.random.coin()) {
            return;
        }
        if goes_back {
            self.coverage.reach(CoveragePoint::RolledBack);
        }
        self.nodes[node].level = if goes_back { FEATURE_LEVEL_MAX } else { FEATURE_LEVEL_NEXT };
        self.stop(node);
    }

    /// An operator lets the newest level be used that all nodes read, if they all do.
    pub(super) fn finish_upgrade(&mut self) {
        let counts = |node: &&crate::database::node::Node| {
            !self.is(Mutant::CountsWhoRuns) || node.process.is_some()
        };
        let declared = self.nodes.iter().filter(counts);
        let declared: Vec<(NodeId, u32)> =
            declared.map(|node| (node.id, u32::from(node.declared))).collect();
        match Gate::of(u32::from(self.upgrade.level), &declared) {
            Gate::Open => {}
            Gate::Held { .. } => self.coverage.reach(CoveragePoint::GateHeld),
            Gate::Ready { .. } => {
                let in_us = self.kernel.random.between(1, DECLARED_US_MAX);
                self.put(in_us, Due::OpenGate { version: self.upgrade.version });
            }
        }
    }

    /// The order reaches `_cluster`, and counts if nothing has changed on which it rests.
    pub(super) fn open_gate(&mut self, version: u64) {
        if version != self.upgrade.version && !self.is(Mutant::OpensOnOldWord) {
            return;
        }
        self.upgrade.level = FEATURE_LEVEL_NEXT;
        self.upgrade.version += 1;
        self.coverage.reach(CoveragePoint::GateOpened);
    }

    /// A process registers as it starts. Answers whether it may: one that is too old is refused,
    /// and its operator installs a newer build.
    pub(super) fn declare_build(&mut self, node: usize) -> bool {
        if !self.is_rolling() {
            return true;
        }
        if self.nodes[node].level < self.upgrade.level {
            self.coverage.reach(CoveragePoint::TooOld);
            self.nodes[node].level = FEATURE_LEVEL_NEXT;
            let again_us = self.kernel.random.between(10, 300) * MILLI;
            self.put(again_us, Due::Start { node });
            return false;
        }
        let (declared, level) = (self.nodes[node].declared, self.nodes[node].level);
        if declared != level {
            self.upgrade.version += 1;
            self.nodes[node].declared = level;
        }
        true
    }

    /// Leaders publish the level that they may use, as soon as they hear of it.
    pub(super) fn raise_levels(&mut self, node: usize) {
        if !self.is_rolling() || self.upgrade.level == FEATURE_LEVEL_MAX {
            return;
        }
        for partition in 0..self.plan.partitions {
            let Some(hosted) = self.nodes[node].hosted(partition) else { continue };
            let level = hosted.driver.fold().map(|fold| fold.feature_level);
            let is_behind = level.is_some_and(|level| level < self.upgrade.level);
            if hosted.leads() && is_behind && self.kernel.random.coin() {
                let Some(to) = self.address(node, partition) else { continue };
                let level = self.upgrade.level;
                self.tell(to, Event::Configure(Config::Feature { level }));
            }
        }
    }

    /// After the faults: whether the upgrade is over in every partition. The rest of it goes on.
    pub(super) fn is_upgraded(&mut self, healed: Moment) -> bool {
        if !self.is_rolling() {
            return true;
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].level == FEATURE_LEVEL_MAX {
                self.nodes[node].level = FEATURE_LEVEL_NEXT;
                self.stop(node);
            }
        }
        if self.upgrade.level == FEATURE_LEVEL_MAX {
            self.finish_upgrade();
        }
        let levels = (0..self.plan.partitions).map(|partition| {
            let hosted = self.nodes.iter().filter_map(|node| node.hosted(partition));
            let folds = hosted.filter_map(|hosted| hosted.driver.fold());
            folds.map(|fold| fold.feature_level).min().unwrap_or_default()
        });
        let behind = levels.filter(|level| *level < FEATURE_LEVEL_NEXT).count();
        let result = gate::check_over(behind, healed, self.kernel.now);
        self.check(result);
        behind == 0
    }
}
