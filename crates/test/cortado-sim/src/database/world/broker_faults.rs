//! What brokers suffer by themselves, and when it is over.
//!
//! Start reading at [`World::strike_brokers`].

use super::broker_log::TOPIC;
use super::{Due, World};
use crate::database::broker_story::BrokerMend;
use crate::database::coverage::Fault;
use crate::database::node::Place;
use crate::kernel::time::{MILLI, Moment};
use cortado_kafka_model::cluster::ClusterEvent;
use cortado_kafka_model::{BrokerId, Micros, Party};
use cortado_log::memory::StreamFault;
use cortado_model::{BeatStream, LogOffset};

impl World {
    /// Answers whether there was something to strike; `node` is whom it strikes where one does.
    pub(super) fn strike_brokers(&mut self, fault: Fault, node: usize, until: Moment) -> bool {
        let broker = BrokerId(self.kernel.random.below(3) as u32);
        let other = BrokerId((broker.0 + 1 + self.kernel.random.below(2) as u32) % 3);
        let (here, there) = (Party::Broker(broker), Party::Broker(other));
        let number = self.kernel.random.index(self.plan.partitions);
        let Some(brokers) = self.log.brokers.as_ref() else { return false };
        let partition = brokers.partition(number);
        match fault {
            Fault::BrokerKilled => self.stop_broker(broker, ClusterEvent::Kill(broker), until),
            Fault::BrokerFrozen => self.stop_broker(broker, ClusterEvent::Freeze(broker), until),
            Fault::BrokersCut => self.cut_brokers(&[(here, there), (there, here)], until),
            Fault::BrokerCutOneWay => self.cut_brokers(&[(here, there)], until),
            Fault::BrokerUnheard => self.cut_brokers(&[(here, Party::Controller)], until),
            Fault::BrokerNotTold => self.cut_brokers(&[(Party::Controller, here)], until),
            Fault::ControllerAway => {
                self.on_brokers(ClusterEvent::ControllerAway(Micros(until.0)));
            }
            Fault::NodeCutFromBroker => self.cut_node(node, broker, until),
            Fault::BrokerLeaderMoves => {
                self.on_brokers(ClusterEvent::MoveLeader(partition, broker));
            }
            Fault::DiskFails => {
                let lands = self.kernel.random.coin();
                self.on_brokers(ClusterEvent::FailDisk { broker, partition, lands });
            }
            Fault::FetchStalls => {
                self.on_brokers(ClusterEvent::StallFetch(broker, partition, true));
                let in_us = until.since(self.kernel.now);
                let mend = BrokerMend::Fetch { broker, partition };
                self.put(in_us, Due::BrokerMends(mend));
            }
            Fault::StrangerTransacts => self.transact_as_stranger(number),
            Fault::StrangerTrims => return self.trim_as_stranger(number),
            Fault::SettingsChanged => self.change_settings(until),
            _ => return false,
        }
        true
    }

    /// A broker, or a way between two parties, comes back.
    pub(super) fn mend_broker(&mut self, mend: BrokerMend) {
        if !self.has_faults() {
            return;
        }
        match mend {
            BrokerMend::Process(broker) => {
                self.on_brokers(ClusterEvent::Thaw(broker));
                self.on_brokers(ClusterEvent::Start(broker));
            }
            BrokerMend::Way(from, to) => self.on_brokers(ClusterEvent::Mend(from, to)),
            BrokerMend::Fetch { broker, partition } => {
                self.on_brokers(ClusterEvent::StallFetch(broker, partition, false));
            }
            BrokerMend::Settings => {
                if let Some(brokers) = self.log.brokers.as_mut() {
                    brokers.cluster.alter_topic(TOPIC, |settings| settings.min_in_sync = 2);
                }
                self.on_brokers(ClusterEvent::Tick);
            }
        }
    }

    /// With a broker, the stream of beats falls silent that it leads.
    fn stop_broker(&mut self, broker: BrokerId, event: ClusterEvent, until: Moment) {
        self.on_brokers(event);
        let in_us = until.since(self.kernel.now);
        self.put(in_us, Due::BrokerMends(BrokerMend::Process(broker)));
        if self.plan.beat_streams == 3 {
            self.beats.silence(BeatStream(broker.0), StreamFault::Refuses, until);
            self.put(in_us, Due::MendBeats);
        }
    }

    fn cut_brokers(&mut self, ways: &[(Party, Party)], until: Moment) {
        let in_us = until.since(self.kernel.now);
        for (from, to) in ways {
            self.on_brokers(ClusterEvent::Cut(*from, *to));
            self.put(in_us, Due::BrokerMends(BrokerMend::Way(*from, *to)));
        }
    }

    /// A node does not reach a broker, or does not hear it, or neither.
    fn cut_node(&mut self, node: usize, broker: BrokerId, until: Moment) {
        let (here, there) = (Place::Node(node), Place::Broker(broker.0));
        let how = self.kernel.random.below(3);
        if how != 0 {
            self.network.cut(here, there, until);
        }
        if how != 1 {
            self.network.cut(there, here, until);
        }
    }

    /// Retention that is set behind our back, as far as it destroys nothing that no replica holds.
    fn trim_as_stranger(&mut self, partition: usize) -> bool {
        let stores = self.nodes.iter().map(|node| node.disk[partition].durable().offset);
        let held = stores.max().unwrap_or_default();
        let first = self.log.first(partition);
        // It takes a little less than the best replica has.
        let below = LogOffset(held.0.saturating_sub(self.kernel.random.below(10)));
        if below <= first || !self.some_replica_holds(partition, below) {
            return false;
        }
        self.log.trim(partition, below);
        // Whoever holds what is forgotten must not lose it.
        let known = &mut self.partitions[partition];
        known.trim_decided = known.trim_decided.max(below);
        self.on_brokers(ClusterEvent::Tick);
        true
    }

    /// Whether a replica that is not about to be thrown away has everything below `below` for good.
    fn some_replica_holds(&self, partition: usize, below: LogOffset) -> bool {
        self.nodes.iter().any(|node| {
            let reads = node.hosted(partition).is_some_and(|one| one.driver.role().is_readable());
            reads && node.disk[partition].durable().offset >= below
        })
    }

    /// Somebody lets one replica in sync suffice, for a while.
    fn change_settings(&mut self, until: Moment) {
        if let Some(brokers) = self.log.brokers.as_mut() {
            brokers.cluster.alter_topic(TOPIC, |settings| settings.min_in_sync = 1);
        }
        self.on_brokers(ClusterEvent::Tick);
        let in_us = until.since(self.kernel.now) + MILLI;
        self.put(in_us, Due::BrokerMends(BrokerMend::Settings));
    }
}
