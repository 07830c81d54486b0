//! What goes wrong with a cluster, and comes back.
//!
//! Start reading at [`KafkaCluster::suffer`].

use super::message::{BrokerCall, Message};
use super::{ClusterEvent, KafkaCluster, ProduceAnswer};
use crate::broker::{Power, Role};
use crate::links::Party;
use crate::names::BrokerId;

impl KafkaCluster {
    pub(super) fn suffer(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Kill(broker) => self.kill(broker),
            ClusterEvent::Start(broker) => self.start(broker),
            ClusterEvent::Freeze(broker) => {
                let known = self.broker_mut(broker);
                known.frozen = known.power != Power::Down;
            }
            ClusterEvent::Thaw(broker) => self.thaw(broker),
            ClusterEvent::LosePower(broker) => self.lose_power(broker),
            ClusterEvent::Cut(from, to) => self.links.cut(from, to),
            ClusterEvent::Mend(from, to) => self.links.mend(from, to),
            ClusterEvent::MendAll => self.links.mend_all(),
            ClusterEvent::ControllerAway(until) => {
                self.controller.away_until = until.max(self.controller.away_until);
                self.post(until.since(self.now), Message::ControllerBack);
            }
            ClusterEvent::FailDisk { broker, partition, lands } => {
                if let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) {
                    replica.fails = Some(lands);
                }
            }
            ClusterEvent::StallFetch(broker, partition, stalls) => {
                if let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) {
                    replica.stalls = stalls;
                }
                if !stalls {
                    self.fetch_more(broker, partition);
                }
            }
            ClusterEvent::MoveLeader(partition, to) => {
                let away = self.now < self.controller.away_until;
                if !away && self.controller.move_leader(partition, to) {
                    self.publish();
                }
            }
            ClusterEvent::Tick | ClusterEvent::Produce { .. } => {}
        }
    }

    /// A process ends: its connections break, its disk stays as it is.
    fn kill(&mut self, broker: BrokerId) {
        let known = self.broker_mut(broker);
        if known.power == Power::Down {
            return;
        }
        (known.power, known.frozen) = (Power::Down, false);
        let mut broken = Vec::new();
        for replica in known.replicas.values_mut() {
            if let Role::Leader(leading) = std::mem::take(&mut replica.role) {
                broken.extend(leading.waiting.into_iter().map(|one| one.token));
            }
            (replica.fails, replica.stalls) = (None, false);
        }
        for message in self.stalled.remove(&broker).unwrap_or_default() {
            if let Message::ToBroker { call: BrokerCall::Produce { token, .. }, .. } = message {
                broken.push(token);
            }
        }
        for token in broken {
            self.answer(broker, token, ProduceAnswer::Disconnected);
        }
    }

    fn start(&mut self, broker: BrokerId) {
        let known = self.broker_mut(broker);
        if known.power != Power::Down {
            return;
        }
        known.life += 1;
        known.power = Power::Booting;
        self.set_timers(broker);
    }

    fn thaw(&mut self, broker: BrokerId) {
        let known = self.broker_mut(broker);
        if std::mem::take(&mut known.frozen) {
            for message in self.stalled.remove(&broker).unwrap_or_default() {
                self.handle(message);
            }
        }
    }

    /// A machine dies with what was not on its disk: some batches at the end of each log.
    fn lose_power(&mut self, broker: BrokerId) {
        self.kill(broker);
        let partitions: Vec<_> = self.broker(broker).replicas.keys().copied().collect();
        for partition in partitions {
            let lost = self.chance.below(20);
            let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) else {
                continue;
            };
            let end = replica.log.end().saturating_sub(lost).max(replica.log.first());
            let end = replica.log.boundary_below(end);
            replica.log.truncate(end);
        }
    }

    /// Everything that was killed, frozen or cut comes back.
    pub fn heal(&mut self) {
        self.links.mend_all();
        self.controller.away_until = self.controller.away_until.min(self.now);
        self.controller.renew_sessions(self.now);
        for broker in self.broker_ids() {
            self.thaw(broker);
            self.start(broker);
            let known = self.broker_mut(broker);
            let stalled = known.replicas.iter_mut().filter_map(|(partition, replica)| {
                replica.fails = None;
                std::mem::take(&mut replica.stalls).then_some(*partition)
            });
            let stalled: Vec<_> = stalled.collect();
            stalled.into_iter().for_each(|partition| self.fetch_more(broker, partition));
        }
    }

    /// Cuts a broker off from others: from its controller, from the other brokers, from clients.
    pub fn cut_off(&mut self, broker: BrokerId, from: &[Party]) {
        let here = Party::Broker(broker);
        for other in self.settings.parties().filter(|other| from.contains(other)) {
            self.links.cut(here, other);
            self.links.cut(other, here);
        }
    }
}
