//! Worlds in which a leader is lost, with the settings that ship: how long it takes until another
//! one leads is what is looked at.
//!
//! Start reading at [`Plan::lose_a_leader`].

use super::{IN_FLIGHT_BYTES_MAX, Plan};
use crate::database::scenario::Scenario;
use crate::kernel::random::Random;
use crate::kernel::time::{MILLI, SECOND};
use cortado_cluster::RawSettings;
use cortado_driver::GATHER_BYTES_MAX;
use cortado_replica::Genesis;

impl Plan {
    /// Nothing goes wrong but that it is cut off from the log, or dies.
    pub(super) fn lose_a_leader(&mut self, random: &mut Random) {
        self.cut_some_ways(random);
        self.intervals_us.clear();
        self.chores_us.clear();
        self.detection = RawSettings::default().validate().expect("defaults are valid");
        self.lease_ms = Genesis::LEASE_MS;
        self.beat_streams = random.one_of(&[1, 3]);
        self.partitions = 3;
        self.faults_us = 9 * SECOND;
        if self.scenario == Scenario::LeaderDies {
            self.hurry_clients(random);
        }
    }

    /// Clients are many and quick, and nodes take what they are asked.
    fn hurry_clients(&mut self, random: &mut Random) {
        self.settings.replica.in_flight_records_max = 4_096;
        self.settings.replica.in_flight_bytes_max = IN_FLIGHT_BYTES_MAX;
        self.settings.gather_bytes_max = GATHER_BYTES_MAX;
        self.node_patience_us = None;
        self.deadline_us = 500 * MILLI;
        self.store_us = random.one_of(&[0, 300]);
        self.clients = 9;
        self.think_us = random.one_of(&[1, 4]) * MILLI;
    }
}
