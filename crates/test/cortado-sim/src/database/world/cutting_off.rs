//! A leader loses its way to the log, in both directions or in one, or to one of the log's brokers,
//! and goes on among its peers.
//!
//! Start reading at [`World::cut_off`].

use super::{Address, Due, World};
use crate::database::coverage::Fault;
use crate::database::invariants::cut_off;
use crate::database::node::Place;
use crate::database::scenario::Scenario;
use crate::kernel::time::{MILLI, SECOND};
use bytes::Bytes;
use cortado_driver::RecordOutcome;

/// All replicas follow and lead by then.
const BEGUN_US: u64 = 3 * SECOND;
/// Longer than a leader would be borne with that does not say so.
const CUT_US: u64 = 5 * SECOND;
/// On so many brokers a log in memory stands, where a node is cut from one: each leads every third
/// partition, and every third stream of beats.
const BROKERS: usize = 3;

impl World {
    /// A leader will be cut off, in worlds that are about that.
    pub(super) fn begin_to_cut_off(&mut self) {
        if self.plan.scenario == Scenario::CutOff {
            let in_us = BEGUN_US + self.kernel.random.between(0, 1_000) * MILLI;
            self.put(in_us, Due::CutOff);
        }
    }

    /// A leader is cut off, or dies.
    pub(super) fn cut_off(&mut self) {
        if self.plan.scenario == Scenario::LeaderDies {
            return self.leader_dies();
        }
        let partition = self.kernel.random.index(self.plan.partitions);
        let Some(node) = (0..self.nodes.len()).find(|node| self.leads(*node, partition)) else {
            return self.put(50 * MILLI, Due::CutOff);
        };
        let (here, until) = (Place::Node(node), self.kernel.now.plus(CUT_US));
        // Of one stream no broker's part can fall silent.
        if self.plan.beat_streams as usize == BROKERS && self.kernel.random.below(3) == 0 {
            let broker = broker_of(partition);
            self.network.cut(here, Place::Broker(broker), until);
            self.coverage.fault(Fault::NodeCutFromBroker);
            let after_us = cut_off::WRITTEN_US + cut_off::REPLACED_US_MAX;
            return self.put(after_us, Due::CutOffFor { node, broker: Some(broker) });
        }
        self.network.cut(here, Place::LogHead, until);
        self.network.cut(here, Place::Beats, until);
        if self.kernel.random.coin() {
            self.network.cut(Place::LogPages, here, until);
            self.network.cut(Place::LogHead, here, until);
            self.network.cut(Place::Beats, here, until);
            self.coverage.fault(Fault::CutBoth);
        } else {
            self.coverage.fault(Fault::CutAppend);
        }
        self.put(cut_off::REPLACED_US_MAX, Due::CutOffFor { node, broker: None });
    }

    /// It has been for as long as that may be felt.
    pub(super) fn cut_off_for_long(&mut self, node: usize, broker: Option<u32>) {
        if self.plan.scenario == Scenario::LeaderDies {
            return self.leader_dead_for_long(node);
        }
        // Where nothing was written meanwhile, nothing has waited.
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let waits = |partition: usize| {
            self.nodes[node].hosted(partition).is_some_and(|hosted| {
                let leads = hosted.driver.leadership().leads() == Some(self.nodes[node].id);
                let waited_us = hosted.append_wait.waited_ms(now) * MILLI;
                leads && waited_us >= cut_off::REPLACED_US_MAX
            })
        };
        let counts = |partition: &usize| {
            broker.is_none_or(|broker| broker_of(*partition) == broker && waits(*partition))
        };
        let others = |partition: &usize| {
            (0..self.nodes.len()).any(|other| other != node && self.leads(other, *partition))
        };
        let unled: Vec<_> =
            (0..self.plan.partitions).filter(counts).filter(|each| !others(each)).collect();
        self.check(cut_off::check(&unled));
    }

    /// Whether a node is cut from the broker that leads `number`, a partition or a stream of beats.
    pub(super) fn is_cut_from_broker(&self, node: usize, number: usize) -> bool {
        let (here, there) = (Place::Node(node), Place::Broker(broker_of(number)));
        self.log.brokers.is_none() && !self.network.is_open(here, there, self.kernel.now)
    }

    /// An append to a broker that is not reached waits in its producer, and is not answered while
    /// that is so: it may land behind the cut.
    pub(super) fn hang(
        &mut self,
        from: Address,
        records: Vec<Bytes>,
    ) -> (Vec<RecordOutcome>, Option<u64>) {
        if self.kernel.random.coin() {
            self.land_in(CUT_US, from, records);
        }
        (Vec::new(), None)
    }

    pub(super) fn leads(&self, node: usize, partition: usize) -> bool {
        self.nodes[node].hosted(partition).is_some_and(|hosted| hosted.leads())
    }
}

fn broker_of(number: usize) -> u32 {
    (number % BROKERS) as u32
}
