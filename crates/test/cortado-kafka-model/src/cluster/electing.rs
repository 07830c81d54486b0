//! Sessions, decisions of the controller, and what brokers make of them.
//!
//! Start reading at [`KafkaCluster::reconcile`].

use super::message::{BrokerCall, BrokerTimer, ControllerCall, Message};
use super::{ClusterEffect, KafkaCluster, ProduceAnswer};
use crate::broker::{Following, Power, Role};
use crate::code::ErrorCode;
use crate::controller::Unclean;
use crate::defect::BrokerDefect;
use crate::image::Assigned;
use crate::leading::{FollowerState, Leading, WaitingProduce};
use crate::links::Party;
use crate::names::{BrokerId, Micros, TopicPartition};
use std::collections::BTreeMap;

impl KafkaCluster {
    pub(super) fn beat(&mut self, broker: BrokerId) {
        let known = self.broker(broker);
        let (life, heard) = (known.life, known.image.heard());
        let waits = known.power == Power::Booting;
        self.send_to_controller(broker, ControllerCall::Heartbeat { life, heard, waits });
        let again_us = self.settings.heartbeat_us;
        self.set_timer(broker, again_us, BrokerTimer::Heartbeat);
    }

    pub(super) fn on_heartbeat(
        &mut self,
        from: BrokerId,
        (life, heard): (u32, usize),
        waits: bool,
    ) {
        let before = self.controller.decisions.len();
        let mut unclean = Vec::new();
        if !self.controller.hear(from, life, heard, self.now, &mut unclean) {
            return;
        }
        self.tell_unclean(unclean);
        if self.controller.decisions.len() > before {
            self.publish();
        } else if heard < before {
            self.publish_to(from);
        }
        if waits && !self.controller.is_fenced(from) {
            let at = self.lane_of(from);
            let call = BrokerCall::Welcome { life };
            let message = Message::ToBroker { from: Party::Controller, to: from, call };
            self.post(at.since(self.now), message);
        }
    }

    pub(super) fn check_sessions(&mut self) {
        self.post(self.settings.session_us / 8, Message::CheckSessions);
        if self.now < self.controller.away_until {
            return;
        }
        let mut unclean = Vec::new();
        let session_us = self.settings.session_us;
        let silent = self.controller.check_sessions(self.now, session_us, &mut unclean);
        if !silent.is_empty() {
            self.effects.extend(silent.into_iter().map(ClusterEffect::Fenced));
            self.tell_unclean(unclean);
            self.publish();
        }
    }

    /// A new active controller gives every broker a whole session.
    pub(super) fn controller_is_back(&mut self) {
        if self.now >= self.controller.away_until {
            self.controller.renew_sessions(self.now);
        }
    }

    pub(super) fn tell_unclean(&mut self, unclean: Vec<Unclean>) {
        let told = unclean.into_iter().map(|Unclean(partition)| partition);
        self.effects.extend(told.map(ClusterEffect::LedUnclean));
    }

    /// Every broker hears of the decisions, each in its time.
    pub(super) fn publish(&mut self) {
        self.broker_ids().for_each(|broker| self.publish_to(broker));
    }

    fn publish_to(&mut self, broker: BrokerId) {
        let at = self.lane_of(broker);
        let call = BrokerCall::Publish { upto: self.controller.decisions.len() };
        let message = Message::ToBroker { from: Party::Controller, to: broker, call };
        self.post(at.since(self.now), message);
    }

    /// When what the controller sends now arrives: behind what it has sent before.
    fn lane_of(&mut self, broker: BrokerId) -> Micros {
        let at = self.now.plus(self.chance.around(self.settings.way_us));
        let lane = &mut self.broker_mut(broker).lane;
        *lane = at.max(lane.plus(1));
        *lane
    }

    /// A broker hears of so many decisions.
    pub(super) fn learn(&mut self, broker: BrokerId, upto: usize) {
        let known = &mut self.brokers[broker.0 as usize];
        while known.image.heard() < upto {
            known.image.apply(&self.controller.decisions[known.image.heard()]);
        }
        self.reconcile(broker);
    }

    pub(super) fn welcome(&mut self, broker: BrokerId, life: u32) {
        let known = self.broker_mut(broker);
        if known.life == life && known.power == Power::Booting {
            known.power = Power::Up;
        }
        self.reconcile(broker);
    }

    /// A broker does what it knows that it should do.
    fn reconcile(&mut self, broker: BrokerId) {
        if self.broker(broker).power != Power::Up {
            return;
        }
        let known = self.broker(broker);
        let gone = known.replicas.keys().filter(|one| known.image.assigned(**one).is_none());
        let gone: Vec<TopicPartition> = gone.copied().collect();
        for partition in gone {
            self.resign(broker, partition, ErrorCode::UnknownTopicOrPartition);
            self.broker_mut(broker).replicas.remove(&partition);
        }
        let known = self.broker(broker);
        let mine = known.image.partitions().filter(|(_, one)| one.replicas.contains(&broker));
        let mine: Vec<_> = mine.map(|(partition, one)| (partition, one.clone())).collect();
        for (partition, assigned) in mine {
            self.broker_mut(broker).replicas.entry(partition).or_default();
            match assigned.leader {
                Some(leader) if leader == broker => self.lead(broker, partition, &assigned),
                Some(leader) => self.follow(broker, partition, leader, assigned.epoch),
                None => self.resign(broker, partition, ErrorCode::NotLeader),
            }
        }
    }

    fn lead(&mut self, broker: BrokerId, partition: TopicPartition, assigned: &Assigned) {
        let now = self.now;
        let known = self.broker_mut(broker);
        if let Some(leading) = known.leading(partition)
            && leading.epoch == assigned.epoch
        {
            if leading.version < assigned.version {
                leading.version = assigned.version;
                leading.in_sync.clone_from(&assigned.in_sync);
                leading.asked = None;
                let replicas = assigned.in_sync.len();
                self.effects.push(ClusterEffect::InSync { partition, replicas });
                self.advance(broker, partition);
            }
            return;
        }
        let Some(replica) = known.replicas.get_mut(&partition) else { return };
        // Who leads on under another number still owes its producers an answer.
        let waiting = match std::mem::take(&mut replica.role) {
            Role::Leader(leading) => leading.waiting,
            Role::Idle | Role::Follower(_) => Vec::new(),
        };
        replica.log.begin(assigned.epoch);
        let follower =
            FollowerState { end: 0, caught_up: now, fetched: (now, u64::MAX), waits: None };
        let others = assigned.in_sync.iter().filter(|other| **other != broker);
        replica.role = Role::Leader(Box::new(Leading {
            epoch: assigned.epoch,
            version: assigned.version,
            from: replica.log.end(),
            in_sync: assigned.in_sync.clone(),
            asked: None,
            followers: others.map(|other| (*other, follower)).collect::<BTreeMap<_, _>>(),
            waiting,
        }));
        self.effects.push(ClusterEffect::Led { partition, broker, epoch: assigned.epoch });
        // Who wakes up and believes that it leads destroys nothing: no replica follows it.
        let decided = self.controller.image.assigned(partition);
        let leads = decided.is_some_and(|decided| decided.epoch == assigned.epoch);
        if leads {
            self.check_lost(broker, partition);
        }
        self.advance(broker, partition);
    }

    fn follow(
        &mut self,
        broker: BrokerId,
        partition: TopicPartition,
        leader: BrokerId,
        epoch: u32,
    ) {
        let Some(replica) = self.broker(broker).replicas.get(&partition) else { return };
        let follows = matches!(&replica.role, Role::Follower(following)
            if (following.leader, following.epoch) == (leader, epoch));
        if follows {
            return;
        }
        self.resign(broker, partition, ErrorCode::NotLeader);
        if let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) {
            replica.role = Role::Follower(Following { leader, epoch, number: 0 });
        }
        self.fetch_more(broker, partition);
    }

    /// A broker does not lead any more; who waits for its followers hears so, whatever became of
    /// what was appended.
    pub(super) fn resign(&mut self, broker: BrokerId, partition: TopicPartition, code: ErrorCode) {
        let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) else { return };
        let Role::Leader(leading) = std::mem::take(&mut replica.role) else { return };
        for WaitingProduce { token, base, epoch, .. } in leading.waiting {
            let answer = match self.defect {
                Some(BrokerDefect::DeposedAcknowledges) => ProduceAnswer::At { base, epoch },
                _ => ProduceAnswer::Failed(code),
            };
            self.answer(broker, token, answer);
        }
    }

    /// A leader asks for an ISR without those that lag, or asks again.
    pub(super) fn check_lag(&mut self, broker: BrokerId) {
        let (now, lag_us) = (self.now, self.settings.lag_us);
        self.set_timer(broker, lag_us / 2, BrokerTimer::Lag);
        let mut asks = Vec::new();
        for (partition, replica) in &mut self.broker_mut(broker).replicas {
            let Role::Leader(leading) = &mut replica.role else { continue };
            // What may have been lost on its way is asked for again, and nothing else: who is
            // about to join counts until the controller has answered.
            if let Some(in_sync) = &leading.asked {
                asks.push((*partition, in_sync.clone()));
            } else if let Some(in_sync) = leading.shrunk(broker, replica.log.end(), now, lag_us) {
                asks.push((*partition, in_sync));
            }
        }
        for (partition, in_sync) in asks {
            self.ask_in_sync(broker, partition, in_sync);
        }
    }

    pub(super) fn ask_in_sync(
        &mut self,
        broker: BrokerId,
        partition: TopicPartition,
        in_sync: Vec<BrokerId>,
    ) {
        let Some(leading) = self.broker_mut(broker).leading(partition) else { return };
        let (epoch, version) = (leading.epoch, leading.version);
        leading.asked = Some(in_sync.clone());
        let call = ControllerCall::AlterInSync { partition, epoch, version, in_sync };
        self.send_to_controller(broker, call);
    }
}
