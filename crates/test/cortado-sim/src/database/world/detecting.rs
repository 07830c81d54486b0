//! Who claims, and when: a simple policy, often wrong on purpose.
//!
//! Costs availability when it is wrong, never consistency. Start reading at [`World::detect`].

use super::shared_log::partition_id;
use super::{Address, World};
use crate::database::hosted::Suspicion;
use crate::database::plan::Policy;
use crate::kernel::time::MILLI;
use cortado_driver::{Event, News, ReplicaRole};
use cortado_replica::ClaimReason;

/// A leader that has not been heard of for so long is replaced although it seems to live.
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
        self.tell_clock(node);
        self.raise_levels(node);
        for partition in 0..self.plan.partitions {
            let Some(here) = self.address(node, partition) else { continue };
            if self.lacks_genesis(node, partition) {
                self.open_log(here);
            }
            self.tell_room(here);
            if self.plan.policy == Policy::Simple && self.should_claim(node, partition) {
                self.claim(node, partition);
            }
        }
        if self.plan.policy == Policy::Cluster {
            self.gossip(node);
            self.look_around(node);
        }
    }

    /// A node tries to take the leadership, for good reasons or bad ones.
    pub(super) fn claim(&mut self, node: usize, partition: usize) {
        if !self.may_claim(node, partition) {
            return;
        }
        let pause_us = self.kernel.random.between(60, 400) * MILLI;
        let not_before = self.kernel.now.plus(pause_us);
        let Some(to) = self.address(node, partition) else { return };
        let Some(hosted) = self.hosted_at(to) else { return };
        hosted.suspicion.not_before = not_before;
        self.tell(to, claim_event());
    }

    /// Whether a node may claim, whatever the reason: the rule that ships.
    pub(super) fn may_claim(&self, node: usize, partition: usize) -> bool {
        self.nodes[node].eligibility.may_claim(partition_id(partition))
    }

    /// A driver hears whether its node's store has room, when that changes.
    fn tell_room(&mut self, to: Address) {
        let has_room = !self.is_full(to.node);
        let Some(hosted) = self.hosted_at(to) else { return };
        if std::mem::replace(&mut hosted.has_room, has_room) != has_room {
            self.tell(to, Event::Room(has_room));
        }
    }

    /// What a replica tells makes its node believe in the leader again.
    pub(super) fn suspect_less(&mut self, from: Address, news: &News) {
        let now = self.kernel.now;
        let me = self.nodes[from.node].id;
        let obeys = self.plan.policy == Policy::Simple && self.may_claim(from.node, from.partition);
        let Some(hosted) = self.hosted_at(from) else { return };
        match news {
            News::Heard { .. } | News::NewGeneration { .. } => {
                hosted.suspicion.heard_at = now;
                hosted.suspicion.since = None;
            }
            News::SteppedDown { to, .. } => {
                hosted.suspicion = Suspicion { heard_at: now, ..Suspicion::default() };
                if *to == Some(me) && obeys {
                    hosted.inbox.push_back(crate::database::hosted::Job::Event(claim_event()));
                }
            }
            _ => {}
        }
    }

    fn should_claim(&mut self, node: usize, partition: usize) -> bool {
        let gone = self.seems_gone(node, partition);
        let nodes = self.nodes.len();
        let now = self.kernel.now;
        let Some(hosted) = self.nodes[node].hosted_mut(partition) else { return false };
        let follows = hosted.driver.role() == ReplicaRole::Follower;
        let Some(fold) = hosted.driver.fold().filter(|_| gone && follows) else {
            hosted.suspicion.since = None;
            return false;
        };
        let (generation, begun) = (fold.generation().0 as usize, fold.begun);
        let since = *hosted.suspicion.since.get_or_insert(now);
        let rank = (node + partition + generation) % nodes;
        let due = since.plus(RANK_US * (1 + rank as u64));
        now >= due && now >= hosted.suspicion.not_before && begun
    }

    /// Whether a replica has folded its whole log and not found its first record.
    fn lacks_genesis(&self, node: usize, partition: usize) -> bool {
        let fold = self.nodes[node].hosted(partition).and_then(|hosted| hosted.driver.fold());
        fold.is_some_and(|fold| !fold.begun && fold.position.offset == self.log.end(partition))
    }

    /// What this node's detectors say about the partition's leader.
    fn seems_gone(&self, node: usize, partition: usize) -> bool {
        let Some(hosted) = self.nodes[node].hosted(partition) else { return false };
        let Some(fold) = hosted.driver.fold() else { return false };
        let Some(claimant) = &fold.claimant else { return true };
        if fold.stepped_down.is_some() {
            return true;
        }
        let leader = self.nodes.iter().find(|node| node.id == claimant.node);
        let lives = leader.filter(|node| node.is_running()).and_then(|n| n.hosted(partition));
        let same = lives.is_some_and(|peer| {
            peer.driver.incarnation() == claimant.incarnation && peer.driver.fold().is_some()
        });
        !same || self.kernel.now.since(hosted.suspicion.heard_at) > SILENCE_US_MAX
    }
}

/// These claims are not audited.
fn claim_event() -> Event<crate::database::asker::Asker> {
    Event::Claim { reason: ClaimReason::Ordered, evidence: 0 }
}
