//! What goes wrong by itself, and what operators ask for meanwhile.
//!
//! Start reading at [`World::strike`].

use super::{Due, World};
use crate::coverage::Fault;
use crate::driver::{Job, Purpose, Waiting};
use crate::invariants::trims;
use crate::mutant::Mutant;
use crate::node::{LogHealth, Node, Path};
use crate::plan::{Chore, LEASES_MS};
use crate::scenario::Scenario;
use crate::store::Store;
use crate::time::{MILLI, Moment, NodeClock, SECOND};
use cortado_model::{LogId, LogOffset, NodeId};
use cortado_replica::{Config, FoldState, Input, RequestId, Role, Trim};

impl World {
    /// Puts the first things in line.
    pub(super) fn begin(&mut self) {
        for node in 0..self.plan.nodes {
            let base_us = self.random.below(1_000 * SECOND);
            let states = (0..self.plan.partitions)
                .map(|partition| FoldState::before(self.genesis(partition), LogId::UNKNOWN));
            let disk = states.map(Store::empty).collect();
            self.nodes.push(Node {
                id: NodeId(node as u32 + 1),
                clock: NodeClock::new(base_us, self.plan.drift_ppm[node]),
                disk,
                process: None,
                path: Path::default(),
                first_incarnation: None,
            });
            let start_us = self.random.between(0, 50) * MILLI;
            self.put(start_us, Due::Start { node });
            self.put(start_us, Due::Detect { node });
            self.put(start_us, Due::Flush { node });
        }
        for client in 0..self.plan.clients {
            self.clients.push(crate::client::Client::new(self.plan.partitions));
            let first_us = self.random.between(0, 200) * MILLI;
            self.put(first_us, Due::Turn { client });
        }
        for (fault, mean_us) in self.plan.intervals_us.clone() {
            let first_us = self.random.around(mean_us);
            self.put(first_us, Due::Strike(fault));
        }
        for (chore, mean_us) in self.plan.chores_us.clone() {
            let first_us = self.random.around(mean_us);
            self.put(first_us, Due::Chore(chore));
        }
        let heal_us = self.plan.faults_us;
        self.put(heal_us, Due::Heal);
    }

    /// `fault` strikes somewhere, now and then again.
    pub(super) fn strike(&mut self, fault: Fault) {
        if !self.has_faults() {
            return;
        }
        if let Some(mean_us) = self.plan.intervals_us.get(&fault).copied() {
            let again_us = self.random.around(mean_us);
            self.put(again_us, Due::Strike(fault));
        }
        let node = self.random.index(self.nodes.len());
        let until = self.now.plus(self.random.between(5, 1_500) * MILLI);
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
            let again_us = self.random.around(mean_us);
            self.put(again_us, Due::Chore(chore));
        }
        let partition = self.random.index(self.plan.partitions);
        let leader = (0..self.nodes.len()).find(|node| {
            let driver = self.nodes[*node].driver(partition);
            driver.is_some_and(|d| d.replica.role() == Role::Leader && !d.resyncing)
        });
        let Some(node) = leader else { return };
        let input = match chore {
            Chore::Handoff => self.hand_off(node, partition),
            Chore::Trim => Input::Config(Config::Trim(self.trim_of(partition))),
            Chore::Digest => Input::Config(Config::Digest),
            Chore::Lease => {
                let duration_ms = self.random.one_of(&LEASES_MS);
                Input::Config(Config::Lease { duration_ms })
            }
        };
        if let Some(driver) = self.nodes[node].driver_mut(partition) {
            driver.inbox.push_back(Job::Input(input));
        }
        self.run_driver(node, partition);
    }

    /// The faults stop: everything that was cut, stopped, broken or dead comes back.
    pub(super) fn stop_faults(&mut self) {
        self.log.outage_until = Moment::default();
        self.log.full_until = Moment::default();
        for node in 0..self.nodes.len() {
            self.nodes[node].path = Path::default();
            self.nodes[node].clock.skew_wall(0);
            let paused = self.nodes[node].process.as_ref().and_then(|process| process.paused);
            if let Some((pause, _)) = paused {
                self.put(MILLI, Due::Resume { node, pause });
            }
            self.put(2 * MILLI, Due::Replace { node });
            let start_us = self.random.between(3, 100) * MILLI;
            self.put(start_us, Due::Start { node });
        }
    }

    /// Answers whether there was something to strike.
    fn strike_at(&mut self, fault: Fault, node: usize, until: Moment) -> bool {
        let path = &mut self.nodes[node].path;
        match fault {
            Fault::CutAppend => path.appends_cut_until = until,
            Fault::CutRead => path.reads_cut_until = until,
            Fault::CutAnswers => path.answers_cut_until = until,
            Fault::CutBoth => {
                path.appends_cut_until = until;
                path.reads_cut_until = until;
            }
            Fault::LogOutage => self.log.outage_until = until,
            Fault::LogFull => self.log.full_until = until,
            Fault::LogUnusable => return self.break_next_append(node),
            Fault::NodeCrash => {
                let lives = self.nodes[node].process.is_some();
                self.crash(node);
                return lives;
            }
            Fault::NodePause => {
                let runs = self.nodes[node].is_running();
                self.pause(node);
                return runs;
            }
            Fault::AllCrash => (0..self.nodes.len()).for_each(|node| self.crash(node)),
            Fault::StoreWiped => return self.wipe_if_others_hold(node),
            Fault::WallJump => {
                let skew_ms = self.random.between(0, 7_200_000) as i64 - 3_600_000;
                self.nodes[node].clock.skew_wall(skew_ms);
            }
            Fault::WrongSuspicion => return self.suspect_wrongly(node),
            Fault::StrangerWrites => self.stranger_writes(),
            Fault::AppendLost
            | Fault::AppendPerhaps
            | Fault::AppendLate
            | Fault::AppendPrefix
            | Fault::AppendDuplicated
            | Fault::AppendLateCopy
            | Fault::AppendRefused
            | Fault::AnswerSlow
            | Fault::ReadFails
            | Fault::ReadDamaged
            | Fault::RequestLost
            | Fault::ReplyLost
            | Fault::ClientDeadline
            | Fault::SuffixLost
            | Fault::StoreFails
            | Fault::SnapshotBroken => return false,
        }
        true
    }

    fn break_next_append(&mut self, node: usize) -> bool {
        let Some(process) = &mut self.nodes[node].process else { return false };
        let well = process.log == LogHealth::Well;
        if well {
            process.log = LogHealth::Breaking;
        }
        well
    }

    /// A store may be lost as long as somebody else holds what the log has been told to forget.
    fn wipe_if_others_hold(&mut self, node: usize) -> bool {
        let partition = self.random.index(self.plan.partitions);
        let needed = self.partitions[partition].trim_decided.max(self.log.first(partition));
        let mut others = self.nodes.iter().enumerate().filter(|(other, _)| *other != node);
        let held = others.any(|(_, n)| n.disk[partition].durable().position.offset >= needed);
        if held {
            self.wipe(node, partition);
        }
        held
    }

    fn suspect_wrongly(&mut self, node: usize) -> bool {
        let partition = self.random.index(self.plan.partitions);
        let follows = self.nodes[node]
            .driver(partition)
            .is_some_and(|driver| driver.replica.role() == Role::Follower && !driver.resyncing);
        if follows {
            self.claim(node, partition);
        }
        follows
    }

    /// To somebody else if all is well; else to anybody, the leader itself and the dead included.
    fn hand_off(&mut self, leader: usize, partition: usize) -> Input {
        let request = RequestId(self.next_number());
        let waiting = Waiting { client: None, what: Purpose::HandOff };
        if let Some(driver) = self.nodes[leader].driver_mut(partition) {
            driver.wait(request, waiting);
        }
        // The most delicate record to lose sight of is the last one of a leadership.
        if self.plan.scenario == Scenario::Unusable && self.random.coin() {
            self.break_next_append(leader);
            let blind_us = self.random.between(1, 600) * MILLI;
            self.nodes[leader].path.reads_cut_until = self.now.plus(blind_us);
            self.coverage.fault(Fault::CutRead);
        }
        let others = self.nodes.len() as u64 - 1;
        let step = self.random.between(1, others) as usize;
        let to = match self.random.below(if self.plan.is_calm() { 1 } else { 4 }) {
            0 | 1 => Some((leader + step) % self.nodes.len()),
            2 => Some(self.random.index(self.nodes.len())),
            _ => None,
        };
        Input::HandOff { to: to.map(|node| self.nodes[node].id), request }
    }

    /// A trim that is allowed: two replicas hold durably what it lets the log forget.
    fn trim_of(&mut self, partition: usize) -> Trim {
        let mut durable: Vec<_> = self
            .nodes
            .iter()
            .map(|node| node.disk[partition].durable())
            .map(|state| (state.position.offset, state.last))
            .collect();
        durable.sort_unstable();
        let holders = trims::HOLDERS_MIN.min(durable.len());
        let (highest, snapshot) = durable[durable.len() - holders];
        let first = self.log.first(partition);
        let below = LogOffset(self.random.between(first.0.min(highest.0), highest.0));
        let below = if self.is(Mutant::TrimsEarly) { self.log.end(partition) } else { below };
        let known = &mut self.partitions[partition];
        known.trim_decided = known.trim_decided.max(below);
        Trim { below, log: LogId::UNKNOWN, snapshot }
    }
}
