//! Who claims, and when: a simple policy, often wrong on purpose.
//!
//! Costs availability when it is wrong, never consistency. Start reading at [`World::detect`].

use super::{Address, World};
use crate::driver::{Job, Suspicion};
use crate::plan::Policy;
use crate::time::MILLI;
use cortado_replica::{ClaimReason, Event, Input, Role};

/// A leader that nobody has heard of for so long is replaced although it seems to live.
const SILENCE_US_MAX: u64 = 1_500 * MILLI;
/// How much later than its neighbour a candidate claims.
const RANK_US: u64 = 25 * MILLI;

impl World {
    /// A node looks after the leaders of its partitions, again and again.
    pub(super) fn detect(&mut self, node: usize) {
        self.plan_next_look(node);
        if !self.nodes[node].is_running() {
            return;
        }
        for partition in 0..self.plan.partitions {
            let driver = self.nodes[node].driver(partition);
            let incarnation = driver.map(|driver| driver.incarnation);
            if let Some(incarnation) = incarnation.filter(|_| self.lacks_genesis(node, partition)) {
                self.open_log(Address { node, partition, incarnation });
            }
            if self.plan.policy == Policy::Simple && self.should_claim(node, partition) {
                self.claim(node, partition);
            }
        }
        if self.plan.policy == Policy::Cluster {
            self.look_around(node);
        }
    }

    /// A node tries to take the leadership, for good reasons or bad ones.
    pub(super) fn claim(&mut self, node: usize, partition: usize) {
        let pause_us = self.random.between(60, 400) * MILLI;
        let not_before = self.now.plus(pause_us);
        let Some(driver) = self.nodes[node].driver_mut(partition) else { return };
        driver.suspicion.not_before = not_before;
        driver.inbox.push_back(Job::Input(claim_input()));
        self.run_driver(node, partition);
    }

    /// What a replica tells makes its node believe in the leader again.
    pub(super) fn suspect_less(&mut self, from: Address, event: &Event) {
        let now = self.now;
        let Some(driver) = self.driver_at(from) else { return };
        match event {
            Event::Heard { .. } | Event::NewGeneration { .. } => {
                driver.suspicion.heard_at = now;
                driver.suspicion.since = None;
            }
            Event::SteppedDown { to, .. } => {
                driver.suspicion = Suspicion { heard_at: now, ..Suspicion::default() };
                let me = self.nodes[from.node].id;
                if *to == Some(me) && self.plan.policy == Policy::Simple {
                    self.claim_after_step_down(from);
                }
            }
            Event::Serving { .. }
            | Event::Resigned { .. }
            | Event::ClaimLost { .. }
            | Event::Void { .. }
            | Event::Republishing { .. }
            | Event::GapBegan(_)
            | Event::GapEnded { .. }
            | Event::Stopped { .. } => {}
        }
    }

    fn claim_after_step_down(&mut self, successor: Address) {
        if let Some(driver) = self.driver_at(successor) {
            driver.inbox.push_back(Job::Input(claim_input()));
        }
    }

    fn should_claim(&mut self, node: usize, partition: usize) -> bool {
        let gone = self.seems_gone(node, partition);
        let nodes = self.nodes.len();
        let now = self.now;
        let Some(driver) = self.nodes[node].driver_mut(partition) else { return false };
        if !gone || driver.resyncing || driver.replica.role() != Role::Follower {
            driver.suspicion.since = None;
            return false;
        }
        let since = *driver.suspicion.since.get_or_insert(now);
        let generation = driver.replica.fold().generation().0 as usize;
        let rank = (node + partition + generation) % nodes;
        let due = since.plus(RANK_US * (1 + rank as u64));
        now >= due && now >= driver.suspicion.not_before && driver.replica.fold().begun
    }

    /// Whether a replica has folded its whole log and not found its first record.
    fn lacks_genesis(&self, node: usize, partition: usize) -> bool {
        self.nodes[node].driver(partition).is_some_and(|driver| {
            let fold = driver.replica.fold();
            !fold.begun && fold.position.offset == self.log.end(partition)
        })
    }

    /// What this node's detectors say about the partition's leader.
    fn seems_gone(&self, node: usize, partition: usize) -> bool {
        let Some(driver) = self.nodes[node].driver(partition) else { return false };
        let fold = driver.replica.fold();
        let Some(claimant) = &fold.claimant else { return true };
        if fold.stepped_down.is_some() {
            return true;
        }
        let leader = self.nodes.iter().find(|node| node.id == claimant.node);
        let lives = leader.filter(|node| node.is_running()).and_then(|n| n.driver(partition));
        let same = lives.is_some_and(|d| d.incarnation == claimant.incarnation && !d.resyncing);
        !same || self.now.since(driver.suspicion.heard_at) > SILENCE_US_MAX
    }
}

/// Nobody audits these claims.
fn claim_input() -> Input {
    Input::Claim { reason: ClaimReason::Ordered, evidence: 0 }
}
