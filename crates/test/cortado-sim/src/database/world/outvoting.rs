//! A replica that has lost the last record leads, and has not been told so: those that have the
//! record do not follow it, and one of them leads instead before anything was built on the loss.
//!
//! Start reading at [`World::begin_to_outvote`].

use super::{Address, Due, Phase, World};
use crate::database::asker::Asker;
use crate::database::coverage::Fault;
use crate::database::invariants::disputes;
use crate::database::node::{ELIGIBLE, Place};
use crate::database::scenario::Scenario;
use crate::kernel::time::{MILLI, SECOND};
use bytes::Bytes;
use cortado_cluster::{Eligibility, LifeStanding};
use cortado_driver::{Event, ReplicaRole, Reply};
use cortado_model::LogOffset;
use cortado_replica::{Body, ClaimReason, ReadNeed, decode};

/// Clients go on for so long, and the replica does not see what they write.
const UNSEEN_US: u64 = 60 * MILLI;
/// What has been begun has come to an end by then.
const REST_US: u64 = SECOND;
/// Between two claims, until one is accepted.
const AGAIN_US: u64 = 200 * MILLI;
/// Between two reads of who leads then.
const PROBED_US: u64 = 20 * MILLI;
/// The longest time that a claim takes which races a write.
const HELD_US_MAX: u64 = 300 * MILLI;
/// How long it may not hear of such a claim: longer than a lease.
const DEAF_US: u64 = 2 * SECOND;
/// From the first claim on: longer than those who dispute it need to hear of one another.
const OUTVOTED_US: u64 = 15 * SECOND;

impl World {
    /// The faults stop, and one replica loses the last record; answers whether this world comes to
    /// that.
    pub(super) fn begin_to_outvote(&mut self) -> bool {
        if self.plan.scenario != Scenario::Outvoted || self.phase != Phase::Faults {
            return false;
        }
        self.stop_faults();
        let (quiet_from, races) = (self.kernel.now.plus(UNSEEN_US), self.kernel.random.coin());
        self.phase = Phase::Outvoting { quiet_from, races };
        let leads = |node: &usize| self.nodes[*node].hosted(0).is_some_and(|each| each.leads());
        let leader = (0..self.nodes.len()).find(leads).unwrap_or_default();
        let unheard = (leader + 1) % self.nodes.len();
        self.unheard = Some(unheard);
        let here = Place::Node(unheard);
        self.network.cut(Place::LogPages, here, self.kernel.now.plus(REST_US / 2));
        let until = self.kernel.now.plus(REST_US + OUTVOTED_US);
        for node in (0..self.nodes.len()).map(Place::Node) {
            self.network.cut(here, node, until);
            self.network.cut(node, here, until);
        }
        self.put(REST_US, Due::Usurp);
        self.put(REST_US + OUTVOTED_US, Due::Heal);
        true
    }

    /// Whether clients are quiet, since a replica is to lose the last record.
    pub(super) fn is_hushed(&self) -> bool {
        matches!(self.phase, Phase::Outvoting { quiet_from, .. } if self.kernel.now >= quiet_from)
    }

    /// Hides the last transaction from the replica that is to lose it.
    pub(super) fn hide_last(&mut self, to: Address, entries: &mut [(LogOffset, Bytes)]) {
        if !self.is_hushed() || self.unheard != Some(to.node) {
            return;
        }
        let uuid = self.genesis(to.partition).identity.partition;
        let last = self.partitions[to.partition].truth.transactions.last().map(|each| each.scn);
        for (_, bytes) in entries {
            let Ok(record) = decode(bytes, uuid) else { continue };
            if matches!(record.body, Body::Transaction(_)) && Some(record.header.scn) == last {
                self.coverage.fault(Fault::ReadForeign);
                *bytes = Bytes::from_static(b"a stranger's");
            }
        }
    }

    /// One of those who will dispute it may not claim: it is for the others to do.
    fn bar_one(&mut self, usurper: usize) {
        let others = self.nodes.len() as u64 - 1;
        let barred = (usurper + self.kernel.random.between(1, others) as usize) % self.nodes.len();
        let is_router = Eligibility { is_member: false, ..ELIGIBLE };
        let is_new = Eligibility { standing: LifeStanding::Unregistered, ..ELIGIBLE };
        let is_older = Eligibility { gives_way: true, ..ELIGIBLE };
        let eligibility = self.kernel.random.one_of(&[is_router, is_new, is_older]);
        self.nodes[barred].eligibility = eligibility;
    }

    /// Whether `client` writes to the replica that has lost the last record.
    pub(super) fn races(&self, client: usize) -> bool {
        let races = matches!(self.phase, Phase::Outvoting { races: true, .. });
        let hosted = self.unheard.and_then(|node| self.nodes[node].hosted(0));
        client == 0 && races && self.is_hushed() && hosted.is_some_and(|hosted| hosted.leads())
    }

    /// Whether the replica that has lost the last record leads, and has served.
    pub(super) fn unheard_has_served(&self) -> bool {
        let serves = |node: usize| self.partitions[0].truth.is_served_by(self.nodes[node].id);
        self.is_hushed() && self.unheard.is_some_and(serves)
    }

    /// The replica that has lost the last record must still lead.
    pub(super) fn check_leads_on(&mut self) {
        let Some(node) = self.unheard else { return };
        let role = self.nodes[node].hosted(0).map(|hosted| hosted.driver.role());
        let role = role.unwrap_or(ReplicaRole::Offline);
        self.check(disputes::check_leads_on(self.nodes[node].id, role));
    }

    /// Claims that dispute that replica take their time, so that its first write may come before;
    /// and it hears late of them, so that it has nothing but its lease.
    pub(super) fn hold_disputes(&mut self, from: Address, records: &[Bytes]) {
        let Some(unheard) = self.unheard.filter(|_| self.is_hushed()) else { return };
        let uuid = self.genesis(from.partition).identity.partition;
        let disputes = |body: &Body| match body {
            Body::Claim(claim) => claim.reason == ClaimReason::LeaderDisputed,
            _ => false,
        };
        let mut read = records.iter().filter_map(|bytes| decode(bytes, uuid).ok());
        if !read.any(|record| disputes(&record.body)) {
            return;
        }
        if self.kernel.random.coin() {
            let until = self.kernel.now.plus(DEAF_US);
            self.network.cut(Place::LogPages, Place::Node(unheard), until);
        }
        if matches!(self.phase, Phase::Outvoting { races: true, .. }) {
            let held_us = self.kernel.random.between(1, HELD_US_MAX);
            let at = self.kernel.now.plus(held_us);
            self.log.lanes.insert((from.node, from.partition), at);
        }
    }

    /// A reader asks it for a read under its lease, again and again while it leads.
    pub(super) fn probe(&mut self) {
        let Some(node) = self.unheard.filter(|_| self.is_hushed()) else { return };
        let Some(here) = self.address(node, 0) else { return };
        let role = self.nodes[node].hosted(0).map(|hosted| hosted.driver.role());
        if matches!(role, Some(ReplicaRole::Opening | ReplicaRole::Leader)) {
            let (caller, need) = (Asker::Prober, ReadNeed::Lease);
            self.tell(here, Event::Read { caller, need });
            self.put(PROBED_US, Due::Probe);
        }
    }

    /// It says whether it may.
    pub(super) fn probed(&mut self, here: Address, reply: &Reply) {
        let Some(hosted) = self.hosted_at(here).filter(|_| *reply == Reply::Ready) else { return };
        let generation = hosted.driver.leadership().generation;
        let serving = self.nodes.iter().filter_map(|node| {
            let hosted = node.hosted(here.partition).filter(|hosted| hosted.leads())?;
            Some((node.id, hosted.driver.leadership().generation))
        });
        let result = disputes::check_lease(generation, serving);
        self.check(result);
    }

    /// It claims, until it leads; then a reader probes it.
    pub(super) fn usurp(&mut self) {
        let Some(node) = self.unheard.filter(|_| self.is_hushed()) else { return };
        if self.nodes.iter().all(|node| node.eligibility == ELIGIBLE) {
            self.bar_one(node);
        }
        let role = self.nodes[node].hosted(0).map(|hosted| hosted.driver.role());
        match role {
            Some(ReplicaRole::Opening | ReplicaRole::Leader) => self.probe(),
            _ => {
                self.claim(node, 0);
                self.put(AGAIN_US, Due::Usurp);
            }
        }
    }
}
