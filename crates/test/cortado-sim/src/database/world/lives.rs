//! How processes live, stop, die and start again, and what their disks keep.
//!
//! Start reading at [`World::start`].

use super::{Address, Due, World};
use crate::database::coverage::Fault;
use crate::database::history::Reply;
use crate::database::mutant::Mutant;
use crate::database::node::{LogHealth, Process};
use crate::database::scenario::Scenario;
use crate::database::store::Store;
use crate::kernel::time::MILLI;
use cortado_cluster::{Doubt, LogClock};
use cortado_driver::{Event, Settings};
use cortado_model::{NodeIncarnation, ReplicaIncarnation};
use cortado_replica::{Identity, genesis_record};

impl World {
    /// A process starts where its disk says; one that lives already goes on.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() || self.is_held_down(node) {
            return;
        }
        if !self.declare_build(node) {
            return;
        }
        let number = self.next_number();
        let mut incarnation = NodeIncarnation(number);
        if self.is(Mutant::KeepsIncarnation) {
            incarnation = *self.nodes[node].first_incarnation.get_or_insert(incarnation);
        }
        if self.is(Mutant::ForgetsDrains) {
            self.nodes[node].drained.clear();
        }
        self.clean_up(node);
        self.nodes[node].lives_before = vec![0; self.plan.partitions];
        let observer = self.new_observer(node, incarnation);
        let partitions = self.plan.partitions;
        let id = self.nodes[node].id;
        let held: Vec<bool> =
            (0..partitions).map(|partition| self.holds_as_known(node, partition, id)).collect();
        let hosted = held.iter().enumerate().map(|(partition, held)| {
            held.then(|| self.new_hosted((node, partition), number, incarnation))
        });
        let hosted = hosted.collect();
        self.nodes[node].gone_since = None;
        self.nodes[node].process = Some(Process {
            number,
            incarnation,
            hosted,
            paused: None,
            pauses: 0,
            log: LogHealth::Well,
            log_clock: LogClock::default(),
            observer,
        });
        self.fold_orders(node);
        for partition in (0..partitions).filter(|partition| held[*partition]) {
            self.introduce(Address { node, partition, process: number });
            self.run_driver(node, partition);
        }
        self.hear_catalog_soon(node);
    }

    /// A process is told to finish what it has begun, and dies if it takes too long.
    pub(super) fn stop(&mut self, node: usize) {
        let Some(process) = self.nodes[node].process.as_ref().map(|process| process.number) else {
            return;
        };
        for partition in 0..self.plan.partitions {
            if let Some(to) = self.address(node, partition) {
                self.tell(to, Event::Stop);
            }
        }
        let patience_us = self.kernel.random.between(50, 2_000) * MILLI;
        self.put(patience_us, Due::Kill { node, process });
    }

    /// A process dies: what it held in memory is gone, and a suffix of what it had applied.
    pub(super) fn crash(&mut self, node: usize) {
        let Some(process) = self.nodes[node].process.take() else { return };
        self.nodes[node].gone_since = Some(self.kernel.now);
        for (partition, hosted) in process.hosted.into_iter().enumerate() {
            let Some(mut hosted) = hosted else { continue };
            self.hang_up(partition, hosted.take_clients());
            let store = &mut self.nodes[node].disk[partition];
            let lost = self.kernel.random.index(store.undurable() + 1);
            if lost > 0 {
                self.coverage.fault(Fault::SuffixLost);
            }
            if self.mutant == Some(Mutant::TearsCheckpoint) {
                store.crash_torn(lost);
            } else {
                store.crash(lost);
            }
            if self.is(Mutant::ForgetsKeys) {
                self.nodes[node].disk[partition].forget_keys();
            }
        }
        let down_us = self.kernel.random.between(2, 1_200) * MILLI;
        self.put(down_us, Due::Start { node });
    }

    /// A process stops between two instructions.
    pub(super) fn pause(&mut self, node: usize) {
        let pause_us_max = self.plan.pause_us_max;
        let now = self.kernel.now;
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.paused.is_some() {
            return;
        }
        process.pauses += 1;
        let pause = process.pauses;
        process.paused = Some((pause, now));
        let duration_us = self.kernel.random.between(1, pause_us_max);
        self.put(duration_us, Due::Resume { node, pause });
    }

    /// A process goes on.
    pub(super) fn resume(&mut self, node: usize, pause: u64) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some((_, since)) = process.paused.take_if(|(number, _)| *number == pause) else {
            return;
        };
        if self.is(Mutant::ClockStops) {
            let missed_us = self.kernel.now.since(since);
            self.nodes[node].clock.miss(missed_us);
        }
        self.run_all(node);
    }

    /// Lets every driver of a node work.
    pub(super) fn run_all(&mut self, node: usize) {
        for partition in 0..self.plan.partitions {
            self.run_driver(node, partition);
        }
    }

    /// A store is lost with everything in it; its process does not survive that.
    pub(super) fn wipe(&mut self, node: usize, partition: usize) {
        self.crash(node);
        self.nodes[node].disk[partition] = Store::default();
    }

    /// A process dies, if it is still the same.
    pub(super) fn kill(&mut self, node: usize, number: u64) {
        if self.nodes[node].process.as_ref().is_some_and(|process| process.number == number) {
            self.check_ended(node);
            self.crash(node);
        }
    }

    /// An operator will notice that a process is of no use any more, and replace it.
    pub(super) fn plan_replacement(&mut self, node: usize) {
        let in_us = self.kernel.random.between(20, 1_000) * MILLI;
        self.put(in_us, Due::Replace { node });
    }

    /// Kills a process whose log is unusable. A replica that stands still needs more: where only
    /// its own copy is in doubt, it gets a new one.
    pub(super) fn replace(&mut self, node: usize) {
        let Some(process) = &self.nodes[node].process else { return };
        let still = (0..self.plan.partitions).filter(|partition| {
            let hosted = process.hosted[*partition].as_ref();
            hosted.is_some_and(|hosted| hosted.driver.stands_still())
        });
        let still: Vec<usize> = still.collect();
        if process.log != LogHealth::Well {
            self.crash(node);
        }
        if self.plan.scenario != Scenario::Damage && !self.is(Mutant::WipesWhoStands) {
            return;
        }
        for partition in still {
            if self.others_hold(node, partition) {
                self.wipe(node, partition);
            } else {
                self.plan_replacement(node);
            }
        }
    }

    pub(super) fn settings_of(&self, node: usize) -> Settings {
        let mut settings = self.plan.settings;
        if self.is(Mutant::WaitsTooShort) && node.is_multiple_of(2) {
            settings.replica.lease = None;
        }
        if self.is(Mutant::GathersWithoutBound) {
            settings.gather_bytes_max = usize::MAX;
        }
        if self.plan.scenario == Scenario::Rolling {
            settings.replica.feature_level = self.nodes[node].declared;
        }
        settings
    }

    /// A new driver learns where the log ends.
    pub(super) fn introduce(&mut self, address: Address) {
        if let Some(hosted) = self.hosted_at(address) {
            hosted.noticed = true;
        }
        let delay_us = self.delay();
        self.put(delay_us, Due::Notice { to: address });
    }

    /// Opens a log that is still empty; the first such record counts.
    pub(super) fn open_log(&mut self, address: Address) {
        let genesis = self.genesis(address.partition);
        let node = &self.nodes[address.node];
        let incarnation = ReplicaIncarnation::of_node(NodeIncarnation(address.process));
        let me = Identity { node: node.id, incarnation };
        let now = node.clock.read(self.kernel.now);
        let record = genesis_record(&genesis, &me, now);
        self.note_lead(address.partition, now.wall);
        self.send_unheard(address, vec![record]);
    }

    /// Connections break: the outcome of these requests is unknown.
    pub(super) fn hang_up(
        &mut self,
        partition: usize,
        clients: Vec<(usize, crate::database::documents::AttemptId)>,
    ) {
        for (client, attempt) in clients {
            self.reply(partition, client, attempt, Reply::Unknown(Doubt::LeaderLost));
        }
    }
}
