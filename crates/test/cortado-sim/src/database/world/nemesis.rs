//! What goes wrong by itself, and what operators ask for meanwhile.
//!
//! Start reading at [`World::strike`].

use super::{Due, World};
use crate::database::asker::Asker;
use crate::database::coverage::Fault;
use crate::database::node::{ELIGIBLE, LogHealth, Node, Place};
use crate::database::plan::{Chore, LEASES_MS};
use crate::database::scenario::Scenario;
use crate::database::store::Store;
use crate::kernel::time::{MILLI, Moment, NodeClock, SECOND};
use cortado_driver::{Event, ReplicaRole};
use cortado_model::{LogOffset, NodeId};
use cortado_replica::{Config, FEATURE_LEVEL_MAX};
use std::collections::BTreeSet;

impl World {
    /// Puts the first things in line.
    pub(super) fn begin(&mut self) {
        for node in 0..self.plan.nodes {
            let base_us = self.kernel.random.below(1_000 * SECOND);
            let disk = (0..self.plan.partitions).map(|_| Store::default()).collect();
            self.nodes.push(Node {
                id: NodeId(node as u32 + 1),
                clock: NodeClock::new(base_us, self.plan.drift_ppm[node]),
                disk,
                process: None,
                gone_since: None,
                was_away: false,
                verified: vec![LogOffset::ZERO; self.plan.partitions],
                drained: BTreeSet::new(),
                known: 0,
                added: vec![false; self.plan.partitions],
                lives_before: vec![0; self.plan.partitions],
                store_full_until: Moment::default(),
                eligibility: ELIGIBLE,
                level: FEATURE_LEVEL_MAX,
                declared: FEATURE_LEVEL_MAX,
                first_incarnation: None,
            });
            let start_us = self.kernel.random.between(0, 50) * MILLI;
            self.put(start_us, Due::Start { node });
            self.put(start_us, Due::Detect { node });
            self.put(start_us, Due::Flush { node });
        }
        if let Some((node, skew_ms)) = self.plan.wrong_clock {
            self.nodes[node].clock.skew_wall(skew_ms);
        }
        for client in 0..self.plan.clients {
            self.clients.push(crate::database::client::Client::new(self.plan.partitions));
            let first_us = self.kernel.random.between(0, 200) * MILLI;
            self.put(first_us, Due::Turn { client });
        }
        for (fault, mean_us) in self.plan.intervals_us.clone() {
            let first_us = self.kernel.random.around(mean_us);
            self.put(first_us, Due::Strike(fault));
        }
        for (chore, mean_us) in self.plan.chores_us.clone() {
            let first_us = self.kernel.random.around(mean_us);
            self.put(first_us, Due::Chore(chore));
        }
        if self.plan.scenario == Scenario::Pinned {
            self.place_by_hand();
        }
        if self.log.brokers.is_some() {
            self.begin_to_lose();
            self.wake_brokers();
        }
        self.begin_to_move();
        self.begin_to_cut_off();
        self.begin_to_die();
        let heal_us = self.plan.faults_us;
        self.put(heal_us, Due::Heal);
    }

    /// `fault` strikes somewhere, now and then again.
    pub(super) fn strike(&mut self, fault: Fault) {
        if !self.has_faults() {
            return;
        }
        if let Some(mean_us) = self.plan.intervals_us.get(&fault).copied() {
            let again_us = self.kernel.random.around(mean_us);
            self.put(again_us, Due::Strike(fault));
        }
        let node = self.kernel.random.index(self.nodes.len());
        let until = self.kernel.now.plus(self.kernel.random.between(5, 1_500) * MILLI);
        if self.strike_at(fault, node, until) {
            self.coverage.fault(fault);
        }
    }

    /// Asks for a chore on one partition, now and then again.
    pub(super) fn do_chore(&mut self, chore: Chore) {
        if !self.has_faults() {
            return;
        }
        if let Some(mean_us) = self.plan.chores_us.get(&chore).copied() {
            let again_us = self.kernel.random.around(mean_us);
            self.put(again_us, Due::Chore(chore));
        }
        match chore {
            Chore::Drain => return self.drain_or_resume(),
            Chore::Upgrade => return self.upgrade(),
            Chore::Handoff | Chore::Verify | Chore::Lease => {}
        }
        let partition = self.kernel.random.index(self.plan.partitions);
        let leader = (0..self.nodes.len())
            .find(|node| self.nodes[*node].hosted(partition).is_some_and(|hosted| hosted.leads()));
        let Some(node) = leader else { return };
        let Some(to) = self.address(node, partition) else { return };
        let event = match chore {
            Chore::Handoff => self.hand_off(node, partition),
            Chore::Verify | Chore::Drain | Chore::Upgrade => Event::Verify,
            Chore::Lease => {
                let duration_ms = self.kernel.random.one_of(&LEASES_MS);
                Event::Configure(Config::Lease { duration_ms })
            }
        };
        self.tell(to, event);
    }

    /// The faults stop: everything that was cut, stopped, broken or dead comes back.
    pub(super) fn stop_faults(&mut self) {
        self.log.outage_until = Moment::default();
        self.log.full_until = Moment::default();
        self.log.tell_true_ends();
        self.network.heal();
        self.beats.heal();
        self.heal_brokers();
        self.resume_changes();
        for node in 0..self.nodes.len() {
            self.nodes[node].store_full_until = Moment::default();
            self.nodes[node].eligibility = ELIGIBLE;
            self.nodes[node].clock.skew_wall(0);
            let paused = self.nodes[node].process.as_ref().and_then(|process| process.paused);
            if let Some((pause, _)) = paused {
                self.put(MILLI, Due::Resume { node, pause });
            }
            self.put(2 * MILLI, Due::Replace { node });
            let start_us = self.kernel.random.between(3, 100) * MILLI;
            self.put(start_us, Due::Start { node });
        }
    }

    /// Answers whether there was something to strike.
    fn strike_at(&mut self, fault: Fault, node: usize, until: Moment) -> bool {
        let here = Place::Node(node);
        match fault {
            Fault::CutAppend => self.network.cut(here, Place::LogHead, until),
            Fault::CutRead => self.network.cut(Place::LogPages, here, until),
            Fault::CutAnswers => self.network.cut(Place::LogHead, here, until),
            Fault::CutBoth => {
                self.network.cut(here, Place::LogHead, until);
                self.network.cut(Place::LogPages, here, until);
            }
            Fault::CutPeer => {
                let other = Place::Node(self.kernel.random.index(self.nodes.len()));
                self.network.cut(here, other, until);
            }
            Fault::CutPeersOut | Fault::CutPeersIn => self.cut_peers(fault, node, until),
            Fault::CutBeatsOut => self.network.cut(here, Place::Beats, until),
            Fault::CutBeatsIn => self.network.cut(Place::Beats, here, until),
            Fault::BeatsSilent => self.silence_beats(until),
            Fault::LogOutage => self.log.outage_until = until,
            Fault::LogFull => self.log.full_until = until,
            Fault::StaleEnd => return self.tell_old_end(node, until),
            Fault::LogUnusable => return self.break_next_append(node),
            Fault::NodeCrash => return self.crash_if_alive(node),
            Fault::NodePause => return self.pause_if_running(node),
            Fault::AllCrash => (0..self.nodes.len()).for_each(|node| self.crash(node)),
            Fault::StoreWiped => return self.wipe_if_others_hold(node),
            Fault::WallJump => {
                let skew_ms = self.kernel.random.between(0, 7_200_000) as i64 - 3_600_000;
                self.nodes[node].clock.skew_wall(skew_ms);
            }
            Fault::WrongSuspicion => return self.suspect_wrongly(node),
            Fault::StrangerWrites => self.stranger_writes(),
            Fault::StoreFull => self.nodes[node].store_full_until = until,
            Fault::Condemned => return self.condemn_wrongly(node),
            Fault::NodeStops => {
                let runs = self.nodes[node].is_running();
                self.stop(node);
                return runs;
            }
            // What brokers suffer, and what strikes when something else happens.
            other => return self.strike_brokers(other, node, until),
        }
        true
    }

    /// One direction between a node and all others.
    fn cut_peers(&mut self, fault: Fault, node: usize, until: Moment) {
        let here = Place::Node(node);
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            let there = Place::Node(other);
            let (from, to) =
                if fault == Fault::CutPeersOut { (here, there) } else { (there, here) };
            self.network.cut(from, to, until);
        }
    }

    fn crash_if_alive(&mut self, node: usize) -> bool {
        let lives = self.nodes[node].process.is_some();
        self.crash(node);
        lives
    }

    fn pause_if_running(&mut self, node: usize) -> bool {
        let runs = self.nodes[node].is_running();
        self.pause(node);
        runs
    }

    fn break_next_append(&mut self, node: usize) -> bool {
        let Some(process) = &mut self.nodes[node].process else { return false };
        let well = process.log == LogHealth::Well;
        if well {
            process.log = LogHealth::Breaking;
        }
        well
    }

    /// A store may be lost as long as another replica holds what the log has been told to forget.
    fn wipe_if_others_hold(&mut self, node: usize) -> bool {
        let partition = self.kernel.random.index(self.plan.partitions);
        let held = self.others_hold(node, partition);
        if held {
            self.wipe(node, partition);
        }
        held
    }

    fn tell_old_end(&mut self, node: usize, until: Moment) -> bool {
        let partition = self.kernel.random.index(self.plan.partitions);
        let records = self.kernel.random.between(1, 40);
        self.log.tell_old_end((node, partition), records, until);
        if let Some(to) = self.address(node, partition) {
            self.put(0, Due::Notice { to });
        }
        self.log.end(partition) > self.log.first(partition)
    }

    /// As if a round of digests had gone against a replica.
    fn condemn_wrongly(&mut self, node: usize) -> bool {
        let partition = self.kernel.random.index(self.plan.partitions);
        let Some(to) = self.address(node, partition) else { return false };
        let held = self.others_hold(node, partition);
        if held {
            self.tell(to, Event::Condemned { why: "told to be condemned".to_owned() });
        }
        held
    }

    fn suspect_wrongly(&mut self, node: usize) -> bool {
        let partition = self.kernel.random.index(self.plan.partitions);
        let follows = self.nodes[node]
            .hosted(partition)
            .is_some_and(|hosted| hosted.driver.role() == ReplicaRole::Follower);
        if follows {
            self.claim(node, partition);
        }
        follows
    }

    /// To another node if all is well; else to any, the leader itself and dead ones included.
    fn hand_off(&mut self, leader: usize, partition: usize) -> Event<Asker> {
        if let Some(hosted) = self.nodes[leader].hosted_mut(partition) {
            hosted.operators += 1;
        }
        // The most delicate record to lose sight of is the last one of a leadership.
        if self.plan.scenario == Scenario::Unusable && self.kernel.random.coin() {
            self.break_next_append(leader);
            let blind_us = self.kernel.random.between(1, 600) * MILLI;
            let until = self.kernel.now.plus(blind_us);
            self.network.cut(Place::LogPages, Place::Node(leader), until);
            self.coverage.fault(Fault::CutRead);
        }
        let others = self.nodes.len() as u64 - 1;
        let step = self.kernel.random.between(1, others) as usize;
        let to = match self.kernel.random.below(if self.plan.is_calm() { 1 } else { 4 }) {
            0 | 1 => Some((leader + step) % self.nodes.len()),
            2 => Some(self.kernel.random.index(self.nodes.len())),
            _ => None,
        };
        // Never to the blind one: a named successor asks no peers, and it may miss earlier claims.
        let blind = |node: &usize| {
            let there = self.address(*node, partition);
            there.is_some_and(|there| self.is_the_blind_one(there))
        };
        let to = to.filter(|node| !blind(node)).map(|node| self.nodes[node].id);
        // As its node does, which asks a successor before it is named.
        let to = to.filter(|to| self.could_lead(leader, partition, *to));
        Event::HandOff { caller: Asker::Operator, to }
    }
}
