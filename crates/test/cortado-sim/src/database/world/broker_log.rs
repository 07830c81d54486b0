//! The log on a modelled Kafka cluster, where a world has one instead of the log in memory: the
//! cluster itself, and what each node's client knows of it.
//!
//! What brokers do is decided by `cortado-kafka-model`. Start reading at [`Brokers`].

use super::writers::Writers;
use crate::database::mutant::Mutant;
use crate::database::node::Place;
use crate::kernel::network::Network;
use crate::kernel::time::Moment;
use cortado_kafka_model::client::PartitionView;
use cortado_kafka_model::cluster::KafkaCluster;
use cortado_kafka_model::{
    BrokerId, ClientDefect, ClusterSettings, TopicPartition, TopicSettings, TopicUuid,
};
use cortado_log::{Extent, LogReadError};
use cortado_model::{LogId, LogOffset};

/// The topic of the database.
pub(super) const TOPIC: &str = "cortado-world";
/// Longer than any record of the simulator's clients, and any append of them.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// The cluster and its clients.
#[derive(Debug)]
pub(super) struct Brokers {
    pub(super) cluster: KafkaCluster,
    /// The topic as it was created.
    pub(super) topic: TopicUuid,
    pub(super) writers: Writers,
    /// By node and partition.
    pub(super) views: Vec<Vec<PartitionView>>,
    /// When the world will next let time pass for the cluster.
    pub(super) planned: Option<Moment>,
    pub(super) defect: Option<ClientDefect>,
}

impl Brokers {
    /// A cluster with the topic of a world.
    pub(super) fn new(
        settings: ClusterSettings,
        (nodes, partitions): (usize, usize),
        mutant: Option<Mutant>,
    ) -> Brokers {
        let mut cluster = KafkaCluster::new(settings);
        let settings = TopicSettings::of_a_log(3, BYTES_MAX);
        let topic = cluster.create_topic(TOPIC, partitions as u32, settings);
        let topic = topic.expect("a new cluster has all its brokers and no topic");
        let defect = match mutant {
            Some(Mutant::Client(defect)) => Some(defect),
            _ => None,
        };
        if let Some(Mutant::Broker(defect)) = mutant {
            cluster.plant(defect);
        }
        let view = |node: usize| {
            move |number: usize| {
                let asks = (node + number) as u32;
                PartitionView::new(TOPIC, number as u32, asks, defect)
            }
        };
        let views = (0..nodes).map(|node| (0..partitions).map(view(node)).collect()).collect();
        let writers = Writers::default();
        Brokers { cluster, topic, writers, views, planned: None, defect }
    }

    pub(super) fn log(&self) -> LogId {
        LogId(self.topic.0)
    }

    /// The partition, whichever topic has the name now.
    pub(super) fn partition(&self, partition: usize) -> TopicPartition {
        TopicPartition { topic: self.topic, number: partition as u32 }
    }

    /// Everything below was committed, and is not lost.
    pub(super) fn end(&self, partition: usize) -> LogOffset {
        LogOffset(self.cluster.committed_end(self.partition(partition)))
    }

    /// The oldest offset that the leader has.
    pub(super) fn first(&self, partition: usize) -> LogOffset {
        let partition = self.partition(partition);
        let leader = self.cluster.leader_of(partition);
        let bounds = leader.and_then(|leader| self.cluster.bounds(leader, partition).ok());
        LogOffset(bounds.map_or(0, |bounds| bounds.first))
    }

    /// Lets the brokers that lead forget a prefix.
    pub(super) fn trim(&mut self, partition: usize, below: LogOffset) {
        let partition = self.partition(partition);
        if let Some(leader) = self.cluster.leader_of(partition) {
            // A trim that is lost comes again with the next leader.
            let _ = self.cluster.delete_records(leader, partition, below.0);
        }
    }

    /// Asks where a partition begins and ends, as `node` hears it.
    pub(super) fn extent(
        &mut self,
        (node, partition): (usize, usize),
        network: &Network<Place>,
        now: Moment,
    ) -> Result<Extent, LogReadError> {
        // Whichever topic has the name: who asks compares.
        let reach = |broker| is_reached(network, node, broker, now);
        let told = self.views[node][partition].extent(&self.cluster, &reach, None)?;
        let ignores = self.defect == Some(ClientDefect::IgnoresTopicId);
        Ok(Extent { log: if ignores { self.log() } else { told.log }, ..told })
    }
}

/// Whether what a node sends to a broker arrives, and what that answers comes back.
pub(super) fn is_reached(
    network: &Network<Place>,
    node: usize,
    broker: BrokerId,
    now: Moment,
) -> bool {
    let (here, there) = (Place::Node(node), Place::Broker(broker.0));
    network.is_open(here, there, now) && network.is_open(there, here, now)
}
