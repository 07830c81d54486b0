//! Beats on their way: from nodes to the streams beside the logs, and back to all of them.
//!
//! What is kept is kept by the in-memory streams of `cortado-log`, what is sent is spelled as it
//! ships. Start reading at [`World::beat`].

use super::{Due, World};
use crate::database::coverage::Fault;
use crate::database::mutant::Mutant;
use crate::database::node::Place;
use crate::kernel::time::Moment;
use bytes::Bytes;
use cortado_cluster::{Evidence, WatchEvent};
use cortado_log::memory::StreamFault;
use cortado_model::{Beat, BeatStream, ClusterUuid};

/// Whose beats they are: no world meets those of another cluster.
const CLUSTER: ClusterUuid = ClusterUuid(1);

impl World {
    /// A node beats on every stream.
    pub(super) fn beat(&mut self, node: usize, count: u64) {
        let clock = self.nodes[node].clock.read(self.kernel.now);
        let id = self.nodes[node].id;
        let Some(process) = &self.nodes[node].process else { return };
        let beat = Beat { node: id, incarnation: process.incarnation, count, time: clock.wall };
        for stream in self.beats.streams() {
            if !self.strikes(Fault::BeatLost) {
                let delay_us = self.delay();
                let bytes = beat.encode(CLUSTER);
                self.put(delay_us, Due::BeatArrives { node, stream, beat: bytes });
            }
            if self.is(Mutant::TrustsNoEar) {
                self.observe(node, Evidence::Beat { stream, beat });
            }
        }
    }

    /// A beat reaches its stream, which takes it or not.
    pub(super) fn beat_arrives(&mut self, node: usize, stream: BeatStream, beat: Bytes) {
        let (from, now) = (Place::Node(node), self.kernel.now);
        let broken = self.plan.beats_on_brokers
            && (self.log.outage_until > now || !self.network.is_open(from, Place::LogHead, now));
        let broken = broken || self.is_cut_from_broker(node, stream.0 as usize);
        if broken || !self.network.is_open(from, Place::Beats, now) {
            return;
        }
        if self.beats.memory.send_now(stream, beat).is_ok() {
            self.notice_beats();
        }
    }

    /// Every node hears that there is something new.
    fn notice_beats(&mut self) {
        for node in 0..self.nodes.len() {
            let Some(process) = &mut self.nodes[node].process else { continue };
            if !std::mem::replace(&mut process.observer.noticed, true) {
                let delay_us = self.delay();
                self.put(delay_us, Due::HearBeats { node });
            }
        }
    }

    /// A node reads what is new on all streams, if it can.
    pub(super) fn hear_beats(&mut self, node: usize) {
        if let Some(process) = &mut self.nodes[node].process {
            process.observer.noticed = false;
        }
        let (to, now) = (Place::Node(node), self.kernel.now);
        let broken = self.plan.beats_on_brokers && !self.network.is_open(Place::LogPages, to, now);
        let open = self.network.is_open(Place::Beats, to, now) && !broken;
        if !open || !self.nodes[node].is_running() {
            return;
        }
        let clock = self.nodes[node].clock.read(now).clock;
        let me = self.nodes[node].id;
        let Some(process) = &mut self.nodes[node].process else { return };
        let mut heard = Vec::new();
        self.beats.memory.take_from(&mut process.observer.heard_to, &mut heard);
        let incarnation = process.incarnation;
        heard.retain(|heard| !self.is_cut_from_broker(node, heard.stream.0 as usize));
        for heard in heard {
            let beat = Beat::decode(&heard.beat, CLUSTER).expect("only nodes send beats");
            if (beat.node, beat.incarnation) == (me, incarnation)
                && let Some(process) = &mut self.nodes[node].process
            {
                process.observer.heard_itself[heard.stream.0 as usize] = Some(clock);
            }
            if let Some(process) = &mut self.nodes[node].process {
                process.observer.signs.insert(beat.node, clock);
            }
            self.observe(node, Evidence::Beat { stream: heard.stream, beat });
        }
    }

    /// Streams fall silent, one or all, while everything else may work.
    pub(super) fn silence_beats(&mut self, until: Moment) {
        let chosen =
            BeatStream(self.kernel.random.index(self.beats.memory.streams() as usize) as u32);
        let all = self.kernel.random.coin();
        let fault = match self.kernel.random.coin() {
            true => StreamFault::Refuses,
            false => StreamFault::Hides,
        };
        for stream in self.beats.streams().filter(|stream| all || *stream == chosen) {
            self.beats.silence(stream, fault, until);
        }
        let in_us = until.since(self.kernel.now);
        self.put(in_us, Due::MendBeats);
    }

    /// Streams whose time has come speak again, and show what they have hidden.
    pub(super) fn mend_beats(&mut self) {
        self.beats.mend(self.kernel.now);
        self.notice_beats();
    }

    /// A node's watch is told of something.
    pub(super) fn observe(&mut self, node: usize, evidence: Evidence) {
        self.tell_watch(node, WatchEvent::Observed(evidence));
    }
}
