//! What replicas say to one another of themselves: each question and each answer travels alone, and
//! is late, lost or cut off in one direction.
//!
//! Start reading at [`World::ask_peers`].

use super::{Address, Due, World};
use crate::database::coverage::Fault;
use crate::database::hosted::{Asked, Hosted};
use crate::database::mutant::Mutant;
use crate::database::scenario::Scenario;
use crate::kernel::time::MILLI;
use cortado_driver::{Event, JobId, PeerAnswers, PeerStanding, ReplicaRole};
use cortado_model::NodeId;
use cortado_replica::ClaimReason;

/// Peers that have not answered by then count as unheard.
const ANSWERS_US_MAX: u64 = 100 * MILLI;
/// A process that does not run is asked again after this.
const PAUSED_US: u64 = 20 * MILLI;
/// The longest time by which a message is late: longer than any claimant waits.
const LATE_US_MAX: u64 = 600 * MILLI;

impl World {
    /// A replica asks all others that are thought to live how they stand.
    pub(super) fn ask_peers(&mut self, here: Address, job: JobId) {
        let holds =
            |node: &usize| self.holds_as_known(here.node, here.partition, self.nodes[*node].id);
        let held: Vec<usize> = (0..self.nodes.len()).filter(holds).collect();
        let placed = held.len();
        let others: Vec<usize> = held.into_iter().filter(|node| *node != here.node).collect();
        let awaited: Vec<usize> =
            others.into_iter().filter(|node| self.seems_to_live(here.node, *node)).collect();
        let disputes = |hosted: &mut Hosted| hosted.driver.role() == ReplicaRole::Disputed;
        let alone = self.is(Mutant::DisputesAlone) && self.hosted_at(here).is_some_and(disputes);
        let may_claim =
            self.may_claim(here.node, here.partition) || self.is(Mutant::DisputesUnregistered);
        let answers = PeerAnswers { placed, may_claim, ..PeerAnswers::default() };
        if self.is(Mutant::SkipsPeerComparison) || alone || awaited.is_empty() {
            return self.tell_in(MILLI, here, Event::Peers(job, answers));
        }
        for node in &awaited {
            if let Some(delay_us) = self.way_between(here.node, *node) {
                self.put(delay_us, Due::PeerAsked { node: *node, from: here, job });
            }
        }
        let Some(hosted) = self.hosted_at(here) else { return };
        hosted.asked = Some(Asked { job, awaited: awaited.into_iter().collect(), answers });
        self.put(ANSWERS_US_MAX, Due::NoMoreAnswers { to: here, job });
    }

    /// Whether a node is thought to live: never without a process, and not always with one.
    fn seems_to_live(&mut self, from: usize, node: usize) -> bool {
        let lives = self.nodes[node].process.is_some();
        let well = self.nodes[node].is_running() && self.can_talk(from, node);
        let mistaken = match (well, self.plan.scenario) {
            (true, Scenario::Blind) => false,
            (true, _) => self.kernel.random.below(4) == 0,
            (false, _) => self.kernel.random.coin(),
        };
        lives && !mistaken
    }

    /// The question reaches a node.
    pub(super) fn peer_asked(&mut self, node: usize, from: Address, job: JobId) {
        let wall = self.nodes[node].clock.read(self.kernel.now).wall;
        let Some(hosted) = self.nodes[node].hosted(from.partition) else { return };
        let standing = hosted.driver.standing(wall);
        if !self.nodes[node].is_running() {
            return self.put(PAUSED_US, Due::PeerAsked { node, from, job });
        }
        if let Some(delay_us) = self.way_between(node, from.node) {
            self.put(delay_us, Due::PeerAnswered { to: from, job, standing: Box::new(standing) });
        }
    }

    /// An answer has come; the driver hears of all of them together.
    pub(super) fn peer_answered(&mut self, to: Address, job: JobId, standing: PeerStanding) {
        let Some(hosted) = self.hosted_at(to) else { return };
        let Some(asked) = hosted.asked.as_mut().filter(|asked| asked.job == job) else { return };
        if asked.awaited.remove(&(standing.node.0 as usize - 1)) {
            asked.answers.heard.push(standing);
        }
        if asked.awaited.is_empty() {
            self.peers_due(to, job);
        }
    }

    /// The replica gets the answers that have come, and waits for no more.
    pub(super) fn peers_due(&mut self, to: Address, job: JobId) {
        let Some(hosted) = self.hosted_at(to) else { return };
        let Some(asked) = hosted.asked.take_if(|asked| asked.job == job) else { return };
        for peer in &asked.answers.heard {
            self.hear_clock(to.node, peer.node, peer.wall);
        }
        let unheard = asked.awaited.len();
        self.tell(to, Event::Peers(job, PeerAnswers { unheard, ..asked.answers }));
    }

    /// A diverged claimant asks another replica to lead.
    pub(super) fn ask_to_claim(&mut self, here: Address, node: NodeId) {
        let node = node.0 as usize - 1;
        let delay_us = self.way_between(here.node, node);
        let Some(to) = self.address(node, here.partition) else { return };
        if !self.may_claim(node, here.partition) {
            return;
        }
        let claim = Event::Claim { reason: ClaimReason::ClaimantDiverged, evidence: 0 };
        if let Some(delay_us) = delay_us {
            self.tell_in(delay_us, to, claim);
        }
    }

    /// How long a message takes that is sent now; `None` if it never arrives.
    pub(super) fn way_between(&mut self, from: usize, to: usize) -> Option<u64> {
        let delay_us = self.delay();
        if !self.can_talk(from, to) || self.strikes(Fault::PeerMessageLost) {
            return None;
        }
        let late_us = match self.strikes(Fault::PeerMessageLate) {
            true => self.kernel.random.between(1, LATE_US_MAX),
            false => 0,
        };
        Some(delay_us + late_us)
    }
}
