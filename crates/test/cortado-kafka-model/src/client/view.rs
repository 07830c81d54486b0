//! What a client knows of a partition: which topic has the name, and who leads.
//!
//! Start reading at [`PartitionView::refresh`].

use crate::cluster::{ClientRefusal, KafkaCluster};
use crate::code::ErrorCode;
use crate::defect::ClientDefect;
use crate::image::Image;
use crate::names::{BrokerId, TopicPartition, TopicUuid};

/// Whether a client's requests reach a broker, and its answers come back.
pub type Reach<'a> = &'a dyn Fn(BrokerId) -> bool;

/// A partition as one client knows it.
#[derive(Clone, Debug)]
pub struct PartitionView {
    topic: String,
    number: u32,
    /// The topic that has the name, and who leads as the how manieth; as last heard.
    known: Option<Known>,
    /// Which broker it asks next.
    asks: u32,
    /// A planted bug.
    pub defect: Option<ClientDefect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: TopicUuid,
    pub(super) leader: Option<BrokerId>,
    pub(super) epoch: u32,
}

/// What a refresh came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// It is known who leads, or that none does.
    Partition,
    /// A broker says that there is no such partition. It may not have heard of it yet.
    Nothing,
    /// No broker answers.
    Silence,
}

impl PartitionView {
    /// Knows nothing yet.
    ///
    /// * `asks`: the broker that it asks first.
    pub fn new(topic: &str, number: u32, asks: u32, defect: Option<ClientDefect>) -> PartitionView {
        PartitionView { topic: topic.to_owned(), number, known: None, asks, defect }
    }

    /// Asks a broker that answers who leads.
    pub fn refresh(&mut self, cluster: &KafkaCluster, reach: Reach<'_>) -> Knows {
        let brokers: Vec<BrokerId> = cluster.broker_ids().collect();
        for step in 0..brokers.len() {
            let broker = brokers[(self.asks as usize + step) % brokers.len()];
            if !reach(broker) {
                continue;
            }
            if let Ok(image) = cluster.metadata(broker) {
                // Another one next time: one that knows old states must not be asked for ever.
                self.asks = broker.0 + 1;
                return self.learn(image);
            }
        }
        Knows::Silence
    }

    /// Who leads, and as the how manieth, as far as this client knows.
    pub fn leader(&self) -> Option<(BrokerId, u32)> {
        let known = self.known?;
        known.leader.map(|leader| (leader, known.epoch))
    }

    /// Which topic has the name, as far as this client knows.
    pub fn topic(&self) -> Option<TopicUuid> {
        self.known.map(|known| known.id)
    }

    pub(super) fn known(&self) -> Option<Known> {
        self.known
    }

    pub(super) fn partition(&self, known: Known) -> TopicPartition {
        TopicPartition { topic: known.id, number: self.number }
    }

    /// Forgets who leads, after an answer that says that this was wrong.
    pub(super) fn doubt(&mut self, refusal: ClientRefusal) {
        let passing = refusal == ClientRefusal::Code(ErrorCode::OffsetNotAvailable);
        if let Some(known) = self.known.as_mut().filter(|_| !passing) {
            known.leader = None;
        }
    }

    fn learn(&mut self, image: &Image) -> Knows {
        let Some(id) = image.topic(&self.topic) else { return Knows::Nothing };
        let partition = TopicPartition { topic: id, number: self.number };
        let Some(assigned) = image.assigned(partition) else { return Knows::Nothing };
        let told = Known { id, leader: assigned.leader, epoch: assigned.epoch };
        let believes = self.defect == Some(ClientDefect::BelievesDeposed);
        let is_older =
            self.known.is_some_and(|known| known.id == told.id && known.epoch > told.epoch);
        if !is_older || believes {
            self.known = Some(told);
        }
        Knows::Partition
    }
}
