//! What the controller has decided, as a party knows it: brokers and clients may know old states.
//!
//! Start reading at [`Image`].

use crate::names::{BrokerId, TopicPartition, TopicUuid};
use crate::settings::TopicSettings;
use std::collections::BTreeMap;

/// Topics and who leads their partitions.
#[derive(Clone, Debug, Default)]
pub struct Image {
    topics: BTreeMap<String, TopicUuid>,
    settings: BTreeMap<TopicUuid, TopicSettings>,
    partitions: BTreeMap<TopicPartition, Assigned>,
    /// How many decisions it has heard.
    heard: usize,
}

/// A partition as the controller has assigned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Where its replicas are, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Which of them are in sync.
    pub in_sync: Vec<BrokerId>,
    /// Which one leads.
    pub leader: Option<BrokerId>,
    /// Counts the leaders.
    pub epoch: u32,
    /// Counts the changes.
    pub version: u32,
}

/// A decision of the controller.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    Topic { name: String, id: TopicUuid, settings: TopicSettings },
    Settings { id: TopicUuid, settings: TopicSettings },
    Partition { partition: TopicPartition, assigned: Assigned },
    Gone { id: TopicUuid },
}

impl Image {
    /// The id of the topic that has the name now.
    pub fn topic(&self, name: &str) -> Option<TopicUuid> {
        self.topics.get(name).copied()
    }

    /// What a topic is set to.
    pub fn settings(&self, topic: TopicUuid) -> Option<&TopicSettings> {
        self.settings.get(&topic)
    }

    /// How a partition is assigned.
    pub fn assigned(&self, partition: TopicPartition) -> Option<&Assigned> {
        self.partitions.get(&partition)
    }

    /// All partitions of a topic.
    pub fn partitions_of(&self, topic: TopicUuid) -> impl Iterator<Item = (u32, &Assigned)> {
        let all = TopicPartition { topic, number: 0 }..=TopicPartition { topic, number: u32::MAX };
        self.partitions.range(all).map(|(partition, assigned)| (partition.number, assigned))
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = (TopicPartition, &Assigned)> {
        self.partitions.iter().map(|(partition, assigned)| (*partition, assigned))
    }

    pub(crate) fn heard(&self) -> usize {
        self.heard
    }

    pub(crate) fn apply(&mut self, decision: &Decision) {
        self.heard += 1;
        match decision {
            Decision::Topic { name, id, settings } => {
                self.topics.insert(name.clone(), *id);
                self.settings.insert(*id, settings.clone());
            }
            Decision::Settings { id, settings } => {
                self.settings.insert(*id, settings.clone());
            }
            Decision::Partition { partition, assigned } => {
                self.partitions.insert(*partition, assigned.clone());
            }
            Decision::Gone { id } => {
                self.topics.retain(|_, topic| topic != id);
                self.settings.remove(id);
                self.partitions.retain(|partition, _| partition.topic != *id);
            }
        }
    }
}
