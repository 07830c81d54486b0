//! A broker: its process, what it knows, and its replicas.

use crate::image::Image;
use crate::leading::Leading;
use crate::names::{BrokerId, Micros, TopicPartition};
use crate::replica_log::ReplicaLog;
use std::collections::BTreeMap;

/// A broker with its disk.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    pub(crate) id: BrokerId,
    /// Counts its processes.
    pub(crate) life: u32,
    pub(crate) power: Power,
    pub(crate) frozen: bool,
    pub(crate) image: Image,
    /// When the newest decisions that are on their way arrive: later ones arrive behind.
    pub(crate) lane: Micros,
    pub(crate) replicas: BTreeMap<TopicPartition, Replica>,
}

/// How far a broker's process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    Down,
    /// It lives, and is not registered yet: its port is closed.
    Booting,
    Up,
}

/// A replica of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) log: ReplicaLog,
    pub(crate) role: Role,
    /// Its disk fails under the next append, which stands there all the same or not.
    pub(crate) fails: Option<bool>,
    /// It fetches nothing.
    pub(crate) stalls: bool,
}

/// What a replica does.
#[derive(Clone, Debug, Default)]
pub(crate) enum Role {
    /// Nothing: nobody leads, or its broker does not know.
    #[default]
    Idle,
    /// Follows.
    Follower(Following),
    /// Leads.
    Leader(Box<Leading>),
}

/// A follower's way to its leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Following {
    pub(crate) leader: BrokerId,
    pub(crate) epoch: u32,
    /// The fetch that is on its way; answers to earlier ones count for nothing.
    pub(crate) number: u64,
}

impl Broker {
    pub(crate) fn new(id: BrokerId) -> Broker {
        Broker {
            id,
            life: 1,
            power: Power::Booting,
            frozen: false,
            image: Image::default(),
            lane: Micros(0),
            replicas: BTreeMap::new(),
        }
    }

    /// Whether it works on what reaches it.
    pub(crate) fn works(&self) -> bool {
        self.power != Power::Down && !self.frozen
    }

    /// Whether its port is open, be it that nobody answers.
    pub(crate) fn is_open(&self) -> bool {
        self.power == Power::Up
    }

    pub(crate) fn leading(&mut self, partition: TopicPartition) -> Option<&mut Leading> {
        match &mut self.replicas.get_mut(&partition)?.role {
            Role::Leader(leading) => Some(leading),
            Role::Idle | Role::Follower(_) => None,
        }
    }
}
