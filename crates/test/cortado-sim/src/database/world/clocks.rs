//! Wall clocks that nodes tell one another, and the time that their drivers stamp with.
//!
//! Start reading at [`World::time_of`].

use super::{Address, Due, World};
use crate::database::mutant::Mutant;
use crate::database::scenario::Scenario;
use crate::kernel::time::{MILLI, NodeClock};
use crate::kernel::violation::Violation;
use bytes::Bytes;
use cortado_model::{NodeId, WallMillis};
use cortado_replica::{Frame, Now};

/// A node tells its clock at one of so many looks after its leaders.
const LOOKS_PER_TELLING: u64 = 12;
/// No node is ahead of the true time by more, in worlds whose clocks are right but for one: the
/// step that is allowed, and what messages add.
const AHEAD_MS_MAX: u64 = 1_100;
/// Log time ahead of all clocks creeps on at half the pace of a steady clock: in so many true
/// microseconds by a millisecond at most, on a clock that is 10 % fast.
const CREEP_US: u64 = 1_800;
/// What rounding to milliseconds adds, on the way from one replica to the next.
const ROUNDING_MS: u64 = 2;

impl World {
    /// What a driver of `node` is given for the time.
    pub(super) fn time_of(&self, node: usize) -> Now {
        let now = self.nodes[node].clock.read(self.kernel.now);
        match &self.nodes[node].process {
            Some(process) if !self.is(Mutant::StampsAnyTime) => {
                Now { wall: process.log_clock.bounded(now.clock, now.wall), ..now }
            }
            Some(_) | None => now,
        }
    }

    /// What the driver of one partition is given for the time.
    pub(super) fn time_at(&self, here: Address) -> Now {
        let now = self.time_of(here.node);
        match self.partitions[here.partition].stamped {
            Some((time, at)) if self.is(Mutant::HurriesLogTime) => {
                let hurried = WallMillis(time.0 + self.kernel.now.since(at) / MILLI);
                Now { wall: now.wall.max(hurried), ..now }
            }
            Some(_) | None => now,
        }
    }

    /// A node tells all others its wall clock now and then.
    pub(super) fn tell_clock(&mut self, node: usize) {
        let now = self.nodes[node].clock.read(self.kernel.now);
        if self.kernel.random.below(LOOKS_PER_TELLING) > 0 {
            return;
        }
        let from = self.nodes[node].id;
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            if let Some(delay_us) = self.way_between(node, other) {
                self.put(delay_us, Due::ClockHeard { node: other, from, wall: now.wall });
            }
        }
    }

    /// A node hears another one's clock.
    pub(super) fn hear_clock(&mut self, node: usize, from: NodeId, wall: WallMillis) {
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        if let Some(process) = &mut self.nodes[node].process {
            process.log_clock.hear(now, from, wall);
        }
    }

    /// A driver sends records. Where one clock alone is wrong, a node that has heard another's
    /// stamps nothing that is far ahead of the true time, unless the log was stamped so before;
    /// then it comes closer to the true time.
    pub(super) fn check_times(&mut self, here: Address, records: &[Bytes]) {
        if self.plan.scenario != Scenario::Blind {
            return;
        }
        let now = self.nodes[here.node].clock.read(self.kernel.now);
        let Some(process) = &self.nodes[here.node].process else { return };
        let alone = process.log_clock.latest(now.clock).is_none();
        let times = records.iter().filter_map(|bytes| Frame::read_any(bytes).ok());
        let last = times.map(|frame| frame.header.time).max().unwrap_or_default();
        let before_ms = self.note_lead(here.partition, last);
        let lead_ms = self.lead_ms(last);
        if !alone && lead_ms > AHEAD_MS_MAX.max(before_ms) {
            let details = format!("{here} stamps {last:?}, {lead_ms} ms ahead");
            self.check(Err(Violation::new("log_time", details)));
        }
    }

    /// A record is stamped with `time`; answers how far ahead it may be, going on from those that
    /// were sent before.
    pub(super) fn note_lead(&mut self, partition: usize, time: WallMillis) -> u64 {
        let crept_ms = self.kernel.now.0 / CREEP_US;
        self.partitions[partition].stamped = Some((time, self.kernel.now));
        let known = &mut self.partitions[partition].creeps_from_ms;
        let before_ms = std::mem::replace(known, time.0.saturating_sub(crept_ms).max(*known));
        self.lead_ms(WallMillis(before_ms + crept_ms + ROUNDING_MS))
    }

    /// How far `time` is ahead of the true time.
    fn lead_ms(&self, time: WallMillis) -> u64 {
        let right = NodeClock::new(0, 0).read(self.kernel.now).wall;
        time.0.saturating_sub(right.0)
    }
}
