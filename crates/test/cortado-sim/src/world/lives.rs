//! How processes live, stop, die and start again, and what their disks keep.
//!
//! Start reading at [`World::start`].

use super::{Address, Due, World};
use crate::coverage::{Fault, Sight};
use crate::driver::Driver;
use crate::history::Reply;
use crate::mutant::Mutant;
use crate::node::{LogHealth, Process};
use crate::store::Store;
use crate::time::MILLI;
use cortado_model::{LogId, NodeIncarnation, ReplicaIncarnation};
use cortado_replica::{AppendToken, FoldState, Identity, Replica, Role, Settings, genesis_record};

impl World {
    /// A process starts where its disk says; one that lives already goes on.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        let mut incarnation = NodeIncarnation(self.next_number());
        if self.is(Mutant::KeepsIncarnation) {
            incarnation = *self.nodes[node].first_incarnation.get_or_insert(incarnation);
        }
        let first_life = ReplicaIncarnation { node: incarnation, life: 1 };
        let observer = self.new_observer(node);
        let drivers = (0..self.plan.partitions)
            .map(|partition| self.new_driver(node, partition, first_life))
            .collect();
        self.nodes[node].process = Some(Process {
            incarnation,
            drivers,
            paused: None,
            pauses: 0,
            log: LogHealth::Well,
            observer,
            lives: 1,
        });
        for partition in 0..self.plan.partitions {
            self.introduce(Address { node, partition, incarnation: first_life });
        }
    }

    /// A process dies: what it held in memory is gone, and a suffix of what it had applied.
    pub(super) fn crash(&mut self, node: usize) {
        let Some(process) = self.nodes[node].process.take() else { return };
        for (partition, mut driver) in process.drivers.into_iter().enumerate() {
            self.hang_up(partition, driver.take_clients());
            let store = &mut self.nodes[node].disk[partition];
            let lost = self.random.index(store.undurable() + 1);
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
        let down_us = self.random.between(2, 1_200) * MILLI;
        self.put(down_us, Due::Start { node });
    }

    /// A process stops between two instructions.
    pub(super) fn pause(&mut self, node: usize) {
        let pause_us_max = self.plan.pause_us_max;
        let now = self.now;
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.paused.is_some() {
            return;
        }
        process.pauses += 1;
        let pause = process.pauses;
        process.paused = Some((pause, now));
        let duration_us = self.random.between(1, pause_us_max);
        self.put(duration_us, Due::Resume { node, pause });
    }

    /// A process goes on.
    pub(super) fn resume(&mut self, node: usize, pause: u64) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some((_, since)) = process.paused.take_if(|(number, _)| *number == pause) else {
            return;
        };
        if self.is(Mutant::ClockStops) {
            let missed_us = self.now.since(since);
            self.nodes[node].clock.miss(missed_us);
        }
        self.run_all(node);
    }

    /// Lets every driver of a node work, and read what it has missed.
    pub(super) fn run_all(&mut self, node: usize) {
        for partition in 0..self.plan.partitions {
            self.run_driver(node, partition);
            self.read_if_needed(node, partition);
        }
    }

    /// A store is lost with everything in it; its process does not survive that.
    pub(super) fn wipe(&mut self, node: usize, partition: usize) {
        self.crash(node);
        let empty = Store::empty(FoldState::before(self.genesis(partition), LogId::UNKNOWN));
        self.nodes[node].disk[partition] = empty;
    }

    /// The log does not reach back to where this replica stands: it needs a snapshot.
    pub(super) fn resync(&mut self, to: Address) {
        let Some(driver) = self.driver_at(to) else { return };
        driver.resyncing = true;
        let clients = driver.take_clients();
        driver.effects.clear();
        self.hang_up(to.partition, clients);
        self.look_for_snapshot(to);
    }

    /// A snapshot arrives, unless its sender has died on the way.
    pub(super) fn copy_snapshot(&mut self, to: Address, from: Address) {
        if self.driver_at(to).is_none() {
            return;
        }
        let sends = from != to && self.driver_at(from).is_some_and(|peer| !peer.resyncing);
        let reaches = sends && self.can_send_snapshot(from);
        if !reaches || self.strikes(Fault::SnapshotBroken) {
            return self.look_for_snapshot(to);
        }
        let image = self.nodes[from.node].disk[to.partition].image().clone();
        self.nodes[to.node].disk[to.partition].install(image);
        self.coverage.sight(Sight::Resynced);
        self.rebuild(to);
    }

    /// Builds a replica anew from its store, inside its living process.
    ///
    /// What it was is over: nothing that it has sent must be taken for this life's, so the new life
    /// has an incarnation of its own.
    pub(super) fn rebuild(&mut self, old: Address) {
        let Address { node, partition, .. } = old;
        let Some(driver) = self.driver_at(old) else { return };
        let clients = driver.take_clients();
        self.hang_up(partition, clients);
        let keeps = self.is(Mutant::KeepsIncarnation) || self.is(Mutant::RebuildsAsItself);
        let Some(process) = &mut self.nodes[node].process else { return };
        process.lives += u32::from(!keeps);
        let incarnation = ReplicaIncarnation { node: process.incarnation, life: process.lives };
        let driver = self.new_driver(node, partition, incarnation);
        if let Some(process) = &mut self.nodes[node].process {
            process.drivers[partition] = driver;
        }
        self.coverage.sight(Sight::Rebuilt);
        self.introduce(Address { node, partition, incarnation });
    }

    /// Somebody will notice that a process is of no use any more, and replace it.
    pub(super) fn plan_replacement(&mut self, node: usize) {
        let in_us = self.random.between(20, 1_000) * MILLI;
        self.put(in_us, Due::Replace { node });
    }

    /// Kills a process whose log is unusable or one of whose replicas is offline.
    pub(super) fn replace(&mut self, node: usize) {
        let useless = self.nodes[node].process.as_ref().is_some_and(|process| {
            let offline = |driver: &Driver| driver.replica.role() == Role::Offline;
            process.log != LogHealth::Well || process.drivers.iter().any(offline)
        });
        if useless {
            self.crash(node);
        }
    }

    fn new_driver(&self, node: usize, partition: usize, incarnation: ReplicaIncarnation) -> Driver {
        let me = Identity { node: self.nodes[node].id, incarnation };
        let state = self.nodes[node].disk[partition].image().state.clone();
        let now = self.nodes[node].clock.read(self.now);
        let replica = Replica::new(me, self.settings_of(node), state, now);
        Driver::new(replica, incarnation, self.now)
    }

    fn settings_of(&self, node: usize) -> Settings {
        let mut settings = self.plan.settings;
        if self.is(Mutant::WaitsTooShort) && node.is_multiple_of(2) {
            settings.lease = None;
        }
        settings
    }

    /// A new driver learns where the log ends.
    fn introduce(&mut self, address: Address) {
        if let Some(driver) = self.driver_at(address) {
            driver.noticed = true;
        }
        let delay_us = self.delay();
        self.put(delay_us, Due::Notice { to: address });
    }

    /// Opens a log that is still empty; the first such record counts.
    pub(super) fn open_log(&mut self, address: Address) {
        let genesis = self.genesis(address.partition);
        let node = &self.nodes[address.node];
        let me = Identity { node: node.id, incarnation: address.incarnation };
        let record = genesis_record(&genesis, &me, node.clock.read(self.now));
        // No append of the replica has this token: its answer tells nobody anything.
        self.send_append(address, AppendToken(u64::MAX), vec![record]);
    }

    fn look_for_snapshot(&mut self, to: Address) {
        let peers: Vec<Address> = (0..self.nodes.len())
            .filter(|node| *node != to.node)
            .filter_map(|node| {
                let incarnation = self.nodes[node].driver(to.partition)?.incarnation;
                Some(Address { node, partition: to.partition, incarnation })
            })
            .filter(|peer| self.can_send_snapshot(*peer))
            .collect();
        let from = if peers.is_empty() { to } else { self.random.one_of(&peers) };
        let copying_us = self.random.between(2, 60) * MILLI;
        self.put(copying_us, Due::Snapshot { to, from });
    }

    fn can_send_snapshot(&self, from: Address) -> bool {
        let node = &self.nodes[from.node];
        let stands_at = node.disk[from.partition].image().state.position.offset;
        let resyncs = node.driver(from.partition).is_none_or(|driver| driver.resyncing);
        node.is_running() && !resyncs && stands_at >= self.log.first(from.partition)
    }

    /// Connections break: nobody can say what became of these requests.
    fn hang_up(&mut self, partition: usize, clients: Vec<(usize, crate::documents::AttemptId)>) {
        for (client, attempt) in clients {
            self.reply(partition, client, attempt, Reply::Unknown);
        }
    }
}
