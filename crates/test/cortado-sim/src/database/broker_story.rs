//! What befalls brokers step by step: what comes back, and the scenes of a log that loses records.

use cortado_kafka_model::{BrokerId, Party, TopicPartition};

/// What is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BrokerMend {
    Process(BrokerId),
    Way(Party, Party),
    Fetch { broker: BrokerId, partition: TopicPartition },
    Settings,
}

/// A scene of such a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossScene {
    /// A follower is cut off from the other brokers, and one node from all.
    CutOff,
    /// The others die, when that one has left the ISR.
    Kill,
    /// Somebody lets any replica lead.
    Unclean,
    /// The others come back.
    Return,
    /// The topic is deleted and created again.
    Recreate,
}
