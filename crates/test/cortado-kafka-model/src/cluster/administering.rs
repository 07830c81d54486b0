//! What operators ask of the controller: topics, their settings, and what may be forgotten.

use super::KafkaCluster;
use crate::broker::Role;
use crate::code::ErrorCode;
use crate::image::{Assigned, Decision, Image};
use crate::names::{BrokerId, TopicPartition, TopicUuid};
use crate::settings::TopicSettings;

/// Why a topic was not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateTopicError {
    /// The controller is gone.
    Unavailable,
    /// It says why.
    Refused(ErrorCode),
}

impl KafkaCluster {
    /// What the controller has decided, whether others know it or not.
    pub fn truth(&self) -> &Image {
        &self.controller.image
    }

    /// Creates a topic, its replicas and leaders spread over the brokers.
    ///
    /// # Errors
    /// See [`CreateTopicError`].
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: u32,
        settings: TopicSettings,
    ) -> Result<TopicUuid, CreateTopicError> {
        if self.now < self.controller.away_until {
            return Err(CreateTopicError::Unavailable);
        }
        if self.controller.image.topic(name).is_some() {
            return Err(CreateTopicError::Refused(ErrorCode::TopicExists));
        }
        let live = self.controller.unfenced();
        let replication = settings.replication as usize;
        if live.len() < replication || replication == 0 {
            return Err(CreateTopicError::Refused(ErrorCode::InvalidReplication));
        }
        // Ids are random in Kafka; here never the same, which is what counts.
        let id = TopicUuid(u128::from(self.chance.draw()) << 64 | u128::from(self.next_number()));
        let first = self.chance.below(live.len() as u64) as usize;
        self.controller.decide(Decision::Topic { name: name.to_owned(), id, settings });
        for number in 0..partitions {
            let at = |step: usize| live[(first + number as usize + step) % live.len()];
            let replicas: Vec<BrokerId> = (0..replication).map(at).collect();
            let (in_sync, leader) = (replicas.clone(), Some(replicas[0]));
            let assigned = Assigned { replicas, in_sync, leader, epoch: 0, version: 0 };
            let partition = TopicPartition { topic: id, number };
            self.controller.decide(Decision::Partition { partition, assigned });
        }
        self.publish();
        Ok(id)
    }

    /// Deletes a topic; brokers go on with it until they hear so. Answers whether there was one.
    pub fn delete_topic(&mut self, name: &str) -> bool {
        let Some(id) = self.controller.image.topic(name) else { return false };
        if self.now < self.controller.away_until {
            return false;
        }
        self.controller.decide(Decision::Gone { id });
        self.publish();
        true
    }

    /// Changes a topic's settings, as an operator does behind our back.
    pub fn alter_topic(&mut self, name: &str, alter: impl FnOnce(&mut TopicSettings)) -> bool {
        let Some(id) = self.controller.image.topic(name) else { return false };
        let Some(mut settings) = self.controller.image.settings(id).cloned() else { return false };
        alter(&mut settings);
        let mut unclean = Vec::new();
        self.controller.decide(Decision::Settings { id, settings });
        self.controller.fill_leaders(&mut unclean);
        self.tell_unclean(unclean);
        self.publish();
        true
    }

    /// `DeleteRecords`, and what retention does: a leader forgets what stands below `below`.
    ///
    /// # Errors
    /// The broker does not lead, or `below` is above its high watermark.
    pub fn delete_records(
        &mut self,
        broker: BrokerId,
        partition: TopicPartition,
        below: u64,
    ) -> Result<u64, ErrorCode> {
        if !self.broker(broker).works() || !self.broker(broker).is_open() {
            return Err(ErrorCode::NotLeader);
        }
        let replica = self.broker_mut(broker).replicas.get_mut(&partition);
        let replica = replica.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let Role::Leader(_) = &replica.role else { return Err(ErrorCode::NotLeader) };
        if below > replica.log.high() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        replica.log.forget(below);
        Ok(replica.log.first())
    }

    /// The log cleaner takes a record away from every replica, where a topic compacts.
    pub fn lose_record(&mut self, partition: TopicPartition, offset: u64) {
        for broker in &mut self.brokers {
            if let Some(replica) = broker.replicas.get_mut(&partition) {
                replica.log.lose(offset);
            }
        }
    }

    /// Every machine loses what stands from `end` on: all power is lost at once, and nothing was
    /// flushed.
    pub fn lose_everywhere(&mut self, partition: TopicPartition, end: u64) {
        for broker in &mut self.brokers {
            if let Some(replica) = broker.replicas.get_mut(&partition) {
                replica.log.truncate_within(end);
            }
        }
        if let Some(leader) = self.leader_of(partition) {
            self.check_lost(leader, partition);
        }
    }

    /// Who leads, as the broker itself sees it; the newest of several.
    pub fn leader_of(&self, partition: TopicPartition) -> Option<BrokerId> {
        let leaders = self.brokers.iter().filter_map(|broker| {
            let replica = broker.replicas.get(&partition).filter(|_| broker.is_open())?;
            match &replica.role {
                Role::Leader(leading) => Some((leading.epoch, broker.id)),
                Role::Idle | Role::Follower(_) => None,
            }
        });
        leaders.max().map(|(_, broker)| broker)
    }

    /// Where every replica's log ends, broker by broker; for who sees everything.
    pub fn ends(&self, partition: TopicPartition) -> Vec<(BrokerId, u64)> {
        let ends = self.brokers.iter().filter_map(|broker| {
            broker.replicas.get(&partition).map(|replica| (broker.id, replica.log.end()))
        });
        ends.collect()
    }
}
