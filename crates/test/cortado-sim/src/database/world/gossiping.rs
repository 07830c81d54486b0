//! Gossip: nodes probe one another, directly and through others, and tell their watches what comes
//! of it.
//!
//! Stands for the membership protocol itself: a probe succeeds as long as the ways that it needs
//! are open. Start reading at [`World::gossip`].

use super::World;
use super::shared_log::partition_id;
use crate::database::invariants::layers;
use crate::database::mutant::Mutant;
use crate::database::observer::{Gossiped, Observer};
use crate::kernel::time::MILLI;
use cortado_cluster::{Cause, Death, Evidence, Explanation, GrayKind, PeerOpinion, PeerWitness};
use cortado_model::{Millis, NodeId};
use std::collections::BTreeMap;

/// What the clients' routers call themselves: no node has such a number.
const ROUTERS_FROM: u32 = 1_000;

impl World {
    /// A node probes all others, where nodes do.
    pub(super) fn gossip(&mut self, node: usize) {
        if !self.plan.gossip {
            return;
        }
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let others: Vec<usize> = (0..self.nodes.len()).filter(|other| *other != node).collect();
        for other in &others {
            self.probe_peer(now, node, *other);
            self.hear_of_log(now, node, *other);
            self.hear_of_logs(now, node, *other);
            self.knock_at(now, node, *other);
        }
        self.hear_of_requests(node);
        let fresh_us = self.plan.detection.dead_after_ms * MILLI / 2;
        let (moment, members) = (self.kernel.now, others.len() as u32);
        let Some(process) = &self.nodes[node].process else { return };
        let known = process.observer.gossip.values();
        let answering = known.filter(|known| moment.since(known.answered_at) <= fresh_us).count();
        let answering = answering as u32;
        self.observe(node, Evidence::GossipReach { answering, members });
    }

    /// A client's router notes whether a request has reached a node.
    pub(super) fn note_reach(&mut self, client: usize, node: usize, is_reached: bool) {
        let now = self.kernel.now;
        self.clients[client].reach.note(node, is_reached, now);
    }

    /// A node hears from all routers which nodes requests have reached since they last told it.
    fn hear_of_requests(&mut self, node: usize) {
        let (now, me) = (self.kernel.now, self.nodes[node].id);
        let Some(process) = &mut self.nodes[node].process else { return };
        let told = std::mem::replace(&mut process.observer.reach_told, now);
        let mut heard = Vec::new();
        for (client, known) in self.clients.iter().enumerate() {
            let by = NodeId(ROUTERS_FROM + client as u32);
            for (other, is_reached) in known.reach.news(told, now) {
                let of = self.nodes[other].id;
                match is_reached {
                    true => heard.push(Evidence::RequestServed { node: of }),
                    false if of == me => {}
                    false => heard.push(Evidence::RequestFailed { node: of, by }),
                }
            }
        }
        heard.into_iter().for_each(|evidence| self.observe(node, evidence));
    }

    /// A node hears of another one whether it reaches the log; and that it speaks at all.
    fn hear_of_log(&mut self, now: Millis, node: usize, other: usize) {
        if !self.can_talk(other, node) || !self.nodes[other].is_running() {
            return;
        }
        let hides = self.is(Mutant::HidesItsCut);
        let Some(process) = &self.nodes[other].process else { return };
        let reaches = !process.observer.deaf || hides;
        let id = self.nodes[other].id;
        if !self.is(Mutant::DoubtsPeers) {
            self.observe(node, Evidence::PeerHeard { node: id });
        }
        let told = Evidence::PeerReachesLog { node: id, reaches };
        self.observe(node, told);
        if let Some(process) = self.nodes[node].process.as_mut().filter(|_| !reaches) {
            process.observer.said_deaf.insert(other, now);
        }
    }

    /// A node hears of another one to the logs of which partitions that it leads it does not get.
    fn hear_of_logs(&mut self, now: Millis, node: usize, other: usize) {
        if !self.can_talk(other, node) || !self.nodes[other].is_running() {
            return;
        }
        for number in 0..self.plan.partitions {
            let reaches = !self.is_cut_off_from(other, number);
            let Some(process) = &mut self.nodes[node].process else { return };
            let said = &mut process.observer.said_cut_off;
            let known = said.contains_key(&(other, number));
            if reaches && !known {
                continue;
            }
            if reaches {
                said.remove(&(other, number));
            } else {
                said.insert((other, number), now);
            }
            if self.is(Mutant::PassesOverCuts) {
                continue;
            }
            let (of, partition) = (self.nodes[other].id, partition_id(number));
            let told = Evidence::PeerReachesLogOf { node: of, partition, reaches };
            self.observe(node, told);
        }
    }

    /// Whether a node leads `partition`, as far as it knows, and does not get to its log.
    fn is_cut_off_from(&self, node: usize, partition: usize) -> bool {
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let beat_ms = self.plan.detection.beat_ms;
        let (Some(process), Some(hosted)) =
            (self.nodes[node].process.as_ref(), self.nodes[node].hosted(partition))
        else {
            return false;
        };
        let leads = hosted.driver.leadership().leads() == Some(self.nodes[node].id);
        leads && hosted.append_wait.is_cut_off(now, process.observer.partly_deaf, beat_ms)
    }

    /// A node tries to reach another one that does not run: where the way is open, its machine
    /// says so.
    fn knock_at(&mut self, now: Millis, node: usize, other: usize) {
        let open = self.can_talk(node, other) && self.can_talk(other, node);
        let refuses = open && self.nodes[other].process.is_none();
        let refuses = refuses && !self.is(Mutant::HearsNoRefusals);
        self.observe(node, Evidence::PeerRefuses { node: self.nodes[other].id, refuses });
        if let Some(process) = self.nodes[node].process.as_mut().filter(|_| refuses) {
            process.observer.refused.insert(other, now);
        }
    }

    fn probe_peer(&mut self, now: Millis, node: usize, other: usize) {
        let moment = self.kernel.now;
        let there_and_back = |from, to| self.can_talk(from, to) && self.can_talk(to, from);
        let runs = |node: usize| self.nodes[node].is_running();
        let direct = runs(other) && there_and_back(node, other);
        let helps = |helper: &usize| {
            let apart = *helper != node && *helper != other;
            apart
                && runs(*helper)
                && there_and_back(node, *helper)
                && there_and_back(*helper, other)
        };
        let reached = direct || (runs(other) && (0..self.nodes.len()).any(|node| helps(&node)));
        let life = self.nodes[other].process.as_ref().map(|process| process.incarnation);
        let dead_after_us = self.plan.detection.dead_after_ms * MILLI;
        let (doubts, alone) = (self.is(Mutant::DoubtsPeers), self.is(Mutant::ProbesAlone));
        let Some(process) = &mut self.nodes[node].process else { return };
        let gossip = &mut process.observer.gossip;
        let Some(incarnation) = life.or(gossip.get(&other).map(|known| known.incarnation)) else {
            return; // It has never been heard of.
        };
        let opinion = PeerOpinion::Alive;
        let first =
            Gossiped { reached_at: moment, answered_at: moment, incarnation, opinion, since: now };
        let known = gossip.entry(other).or_insert(first);
        if reached {
            (known.reached_at, known.incarnation) = (moment, incarnation);
        }
        if direct {
            known.answered_at = moment;
        }
        let opinion_of = |silent_us: u64| match silent_us {
            silent_us if silent_us > dead_after_us => PeerOpinion::Down,
            silent_us if silent_us > dead_after_us / 2 => PeerOpinion::Suspect,
            _ => PeerOpinion::Alive,
        };
        let opinion = opinion_of(moment.since(known.reached_at));
        if opinion != known.opinion {
            (known.opinion, known.since) = (opinion, now);
        }
        let mut told = match alone {
            true => opinion_of(moment.since(known.answered_at)),
            false => opinion,
        };
        if doubts && direct && told == PeerOpinion::Alive {
            told = PeerOpinion::Down;
        }
        let (node_id, incarnation) = (self.nodes[other].id, known_life(self, node, other));
        let evidence = Evidence::Gossip { node: node_id, incarnation, opinion: told };
        self.observe(node, evidence);
    }

    /// A node claims for what it thinks of a leader: both layers must have said so, or one for
    /// long.
    pub(super) fn check_layers(&mut self, node: usize, now: Millis, why: &Explanation) {
        let Some(process) = self.nodes[node].process.as_ref().filter(|_| self.plan.gossip) else {
            return;
        };
        let observer = &process.observer;
        let known = |leader: &NodeId| observer.gossip.get(&(leader.0 as usize - 1)).copied();
        let settings = self.plan.detection;
        let grace_ms = 3 * settings.dead_after_ms;
        let result = match &why.cause {
            Cause::LeaderCutOff { leader, .. } => {
                let of = (leader.0 as usize - 1, why.partition.number as usize);
                let said = observer.said_cut_off.get(&of).copied();
                layers::check_said(now, *leader, said, settings.dead_after_ms)
            }
            Cause::LeaderDead { leader, death, .. } if let Some(said) = said(observer, death) => {
                let said = said.get(&(leader.0 as usize - 1)).copied();
                let sign = observer.signs.get(leader).copied();
                let said = layers::check_said(now, *leader, said, settings.dead_after_ms);
                let silent = layers::check_silent(now, *leader, sign, 3 * settings.beat_ms);
                said.and(silent)
            }
            Cause::LeaderDead { leader, .. } => {
                let fresh_us = settings.dead_after_ms * MILLI;
                let answers = observer.gossip.values();
                let hears = answers
                    .filter(|known| self.kernel.now.since(known.answered_at) <= fresh_us / 2)
                    .count();
                layers::check_dead(*leader, known(leader).filter(|_| hears > 0))
            }
            Cause::LeaderGray { leader, gray, .. } => match gray.kind {
                GrayKind::Unreachable(_) => {
                    layers::check_unreachable(now, *leader, known(leader), grace_ms)
                }
                GrayKind::LogSilent(_) => {
                    let sign = observer.signs.get(leader).copied();
                    layers::check_silent(now, *leader, sign, settings.dead_after_ms + grace_ms)
                }
            },
            Cause::NeverLed
            | Cause::LeaderRestarted { .. }
            | Cause::SteppedDown { .. }
            | Cause::PreferredIsBack { .. }
            | Cause::PinnedIsBack { .. }
            | Cause::Drained
            | Cause::MovesAway
            | Cause::Sick(_) => Ok(()),
        };
        self.check(result);
    }
}

/// When leaders were last heard to be dead, where one counts as that on its own word, or its
/// machine's.
fn said<'o>(observer: &'o Observer, death: &Death) -> Option<&'o BTreeMap<usize, Millis>> {
    match death.peers?.by {
        PeerWitness::Itself => Some(&observer.said_deaf),
        PeerWitness::Machine => Some(&observer.refused),
        PeerWitness::Gossip
        | PeerWitness::Suspicion
        | PeerWitness::SuspicionAndRouter
        | PeerWitness::Routers { .. } => None,
    }
}

fn known_life(world: &World, node: usize, other: usize) -> cortado_model::NodeIncarnation {
    let process = world.nodes[node].process.as_ref();
    let known = process.and_then(|process| process.observer.gossip.get(&other));
    known.map(|known| known.incarnation).unwrap_or_default()
}
