//! Who and when: brokers, topics, partitions, producers, time.

use std::fmt;

/// Microseconds since the cluster began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub u64);

impl Micros {
    /// So much later.
    pub const fn plus(self, us: u64) -> Micros {
        Micros(self.0.saturating_add(us))
    }

    /// How much later than `earlier`; 0 if it is not.
    pub const fn since(self, earlier: Micros) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A broker's `node.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(pub u32);

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

/// A topic's id: another one after the topic was deleted and created again. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicUuid(pub u128);

/// A partition of one life of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Which topic.
    pub topic: TopicUuid,
    /// Which of its partitions, counted from 0.
    pub number: u32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.topic.0, self.number)
    }
}

/// A producer id with the epoch that fences older producers of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerName {
    /// Given out by the cluster, never twice.
    pub id: u64,
    /// Counts its lives.
    pub epoch: u16,
}
