//! The controller: who lives, who leads, who is in sync.
//!
//! Its quorum is one party here, which may be out of reach. Source: KIP-500, KIP-497 (changes of
//! the ISR go through the controller), KIP-841 (a fenced broker joins no ISR). Start reading at
//! [`Controller::fence`].

use crate::image::{Assigned, Decision, Image};
use crate::names::{BrokerId, Micros, TopicPartition};
use std::collections::BTreeMap;

/// What the controller knows, and what it has decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Controller {
    pub(crate) image: Image,
    /// Every decision: brokers hear of them in this order.
    pub(crate) decisions: Vec<Decision>,
    sessions: BTreeMap<BrokerId, Session>,
    /// It decides nothing before.
    pub(crate) away_until: Micros,
    /// Lets any replica lead: for a planted bug.
    pub(crate) leads_unclean: bool,
}

/// A broker as the controller knows it.
#[derive(Clone, Copy, Debug)]
struct Session {
    life: u32,
    heard: Micros,
    fenced: bool,
}

/// What becomes of a leader's wish for another ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Altered {
    Given,
    /// It rests on an old assignment; a newer one is on its way to the leader.
    Stale,
    /// A replica that is to join is fenced.
    Refused,
}

/// A leader that was not in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclean(pub(crate) TopicPartition);

impl Controller {
    /// Whether `broker` may lead.
    pub(crate) fn is_fenced(&self, broker: BrokerId) -> bool {
        self.sessions.get(&broker).is_none_or(|session| session.fenced)
    }

    pub(crate) fn unfenced(&self) -> Vec<BrokerId> {
        let sessions = self.sessions.iter().filter(|(_, session)| !session.fenced);
        sessions.map(|(broker, _)| *broker).collect()
    }

    pub(crate) fn decide(&mut self, decision: Decision) {
        self.image.apply(&decision);
        self.decisions.push(decision);
    }

    /// Hears from a life of a broker, which knows so many decisions; answers whether it is
    /// registered. A life that follows another waits until that one's session is over.
    pub(crate) fn hear(
        &mut self,
        broker: BrokerId,
        life: u32,
        heard: usize,
        now: Micros,
        unclean: &mut Vec<Unclean>,
    ) -> bool {
        let session =
            self.sessions.entry(broker).or_insert(Session { life, heard: now, fenced: true });
        if session.life != life {
            if !session.fenced {
                return false;
            }
            session.life = life;
        }
        session.heard = now;
        if session.fenced && heard >= self.decisions.len() {
            session.fenced = false;
            self.fill_leaders(unclean);
        }
        true
    }

    /// Fences the brokers that were not heard for `session_us`.
    pub(crate) fn check_sessions(
        &mut self,
        now: Micros,
        session_us: u64,
        unclean: &mut Vec<Unclean>,
    ) -> Vec<BrokerId> {
        let silent = self
            .sessions
            .iter()
            .filter(|(_, session)| !session.fenced && now.since(session.heard) >= session_us);
        let silent: Vec<BrokerId> = silent.map(|(broker, _)| *broker).collect();
        silent.iter().for_each(|broker| self.fence(*broker, unclean));
        silent
    }

    /// A broker loses its leaderships and its places in sync, but for the last place of each.
    pub(crate) fn fence(&mut self, broker: BrokerId, unclean: &mut Vec<Unclean>) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.fenced = true;
        }
        for (partition, mut assigned) in self.all() {
            let before = assigned.clone();
            if assigned.in_sync.iter().any(|each| *each != broker) {
                assigned.in_sync.retain(|each| *each != broker);
            }
            if assigned.leader == Some(broker) {
                assigned.leader = None;
                assigned.epoch += 1;
            }
            if assigned != before {
                self.put(partition, assigned);
            }
        }
        self.fill_leaders(unclean);
    }

    /// Lets a replica lead wherever none does and one may.
    pub(crate) fn fill_leaders(&mut self, unclean: &mut Vec<Unclean>) {
        for (partition, mut assigned) in self.all() {
            if assigned.leader.is_some() {
                continue;
            }
            let live = |broker: &&BrokerId| !self.is_fenced(**broker);
            let in_sync = |broker: &&BrokerId| assigned.in_sync.contains(broker);
            let clean = assigned.replicas.iter().filter(live).find(in_sync).copied();
            let settings = self.image.settings(partition.topic);
            let dares = self.leads_unclean || settings.is_some_and(|settings| settings.unclean);
            let any = assigned.replicas.iter().rev().find(live).copied().filter(|_| dares);
            let Some(leader) = clean.or(any) else { continue };
            if clean.is_none() {
                assigned.in_sync = vec![leader];
                unclean.push(Unclean(partition));
            }
            assigned.leader = Some(leader);
            assigned.epoch += 1;
            self.put(partition, assigned);
        }
    }

    /// A leader asks for another ISR.
    pub(crate) fn alter_in_sync(
        &mut self,
        from: BrokerId,
        partition: TopicPartition,
        (epoch, version): (u32, u32),
        in_sync: Vec<BrokerId>,
    ) -> Altered {
        let Some(assigned) = self.image.assigned(partition) else { return Altered::Stale };
        let is_its =
            assigned.leader == Some(from) && (assigned.epoch, assigned.version) == (epoch, version);
        if !is_its {
            return Altered::Stale;
        }
        if in_sync.iter().any(|broker| self.is_fenced(*broker)) {
            return Altered::Refused;
        }
        let assigned = Assigned { in_sync, ..assigned.clone() };
        self.put(partition, assigned);
        Altered::Given
    }

    /// Moves a leadership to a replica that is in sync; answers whether it did.
    pub(crate) fn move_leader(&mut self, partition: TopicPartition, to: BrokerId) -> bool {
        let Some(assigned) = self.image.assigned(partition) else { return false };
        let may = assigned.in_sync.contains(&to) && !self.is_fenced(to);
        if !may || assigned.leader == Some(to) || assigned.leader.is_none() {
            return false;
        }
        let epoch = assigned.epoch + 1;
        let assigned = Assigned { leader: Some(to), epoch, ..assigned.clone() };
        self.put(partition, assigned);
        true
    }

    /// Every broker is heard anew from now on.
    pub(crate) fn renew_sessions(&mut self, now: Micros) {
        self.sessions.values_mut().for_each(|session| session.heard = now);
    }

    fn all(&self) -> Vec<(TopicPartition, Assigned)> {
        let partitions = self.image.partitions();
        partitions.map(|(partition, assigned)| (partition, assigned.clone())).collect()
    }

    fn put(&mut self, partition: TopicPartition, mut assigned: Assigned) {
        assigned.version += 1;
        self.decide(Decision::Partition { partition, assigned });
    }
}
