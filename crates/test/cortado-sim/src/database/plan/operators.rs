//! Worlds in which operators want leaders and replicas elsewhere.
//!
//! Start reading at [`Plan::leave_to_operators`].

use super::chore::Chore;
use super::{Plan, Policy};
use crate::database::pin::STORY_US;
use crate::kernel::random::Random;
use crate::kernel::time::{MILLI, SECOND};
use cortado_cluster::MoveLimits;
use cortado_driver::GATHER_BYTES_MAX;

impl Plan {
    /// Nothing goes wrong but what the story of a pin needs, for as long as that takes.
    pub(super) fn leave_to_operators(&mut self, random: &mut Random) {
        self.calm(random);
        self.chores_us.clear();
        self.policy = Policy::Cluster;
        self.nodes = 3;
        self.drift_ppm.resize(3, 99_000);
        self.partitions = 2;
        self.clients = 2;
        self.think_us = 60 * MILLI;
        self.faults_us = STORY_US;
    }

    /// Any faults, and few requests: leaderships may take minutes to be where they should be.
    pub(super) fn drain_often(&mut self, random: &mut Random) {
        self.chores_us.insert(Chore::Drain, random.one_of(&[300, 1_500]) * MILLI);
        self.policy = Policy::Cluster;
        self.nodes = random.one_of(&[3, 3, 5]);
        self.drift_ppm.resize(self.nodes, 99_000);
        self.clients = 2;
        self.think_us = 60 * MILLI;
    }

    /// Any faults, while nodes are restarted with the next build, and back.
    pub(super) fn upgrade_often(&mut self, random: &mut Random) {
        self.chores_us.insert(Chore::Upgrade, random.one_of(&[150, 600]) * MILLI);
        self.nodes = random.one_of(&[3, 3, 5]);
        self.drift_ppm.resize(self.nodes, 99_000);
        self.faults_us = random.between(4, 10) * SECOND;
    }

    /// More nodes than replicas, and operators who want them elsewhere all the time, while what the
    /// swarm has drawn goes wrong.
    pub(super) fn move_replicas(&mut self, random: &mut Random) {
        self.nodes = random.one_of(&[4, 5, 6]);
        self.spares = random.between(1, 2) as usize;
        self.replication = Some(random.one_of(&[2, 3]).min(self.nodes - self.spares));
        self.drift_ppm =
            (0..self.nodes).map(|_| random.between(0, 198_000) as i64 - 99_000).collect();
        self.partitions = random.between(1, 3) as usize;
        self.moves_us = Some(random.one_of(&[300, 900]) * MILLI);
        self.settings.copy_beyond_records = 60;
        let (copies_per_node, copies_per_cluster) = random.one_of(&[(1, 1), (1, 2), (3, 10)]);
        self.move_limits = MoveLimits { copies_per_node, copies_per_cluster, bytes_per_second: 0 };
        self.policy = Policy::Cluster;
        self.faults_us = random.between(6, 14) * SECOND;
        // Who cannot keep up with its leader never catches up.
        self.settings.gather_bytes_max = GATHER_BYTES_MAX;
        self.store_us = self.store_us.min(3_000);
        if random.coin() {
            self.trim_often(random);
        }
    }
}
