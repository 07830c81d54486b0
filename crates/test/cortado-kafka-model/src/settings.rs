//! What a cluster and its topics are set to.
//!
//! The defaults of [`ClusterSettings`] are those of Kafka 4, the short ones those of a cluster that
//! notices a death soon. Start reading at [`ClusterSettings`].

use crate::links::Party;

/// Times and sizes of a cluster; times in microseconds.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Decides what is left to chance.
    pub seed: u64,
    /// How many brokers there are, numbered from 0.
    pub brokers: u32,
    /// `broker.session.timeout.ms`: a broker that the controller has not heard is fenced then.
    pub session_us: u64,
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_us: u64,
    /// `replica.lag.time.max.ms`: a follower that is not caught up for so long leaves the ISR.
    pub lag_us: u64,
    /// `replica.fetch.backoff.ms`: a follower whose fetch has failed tries again then.
    pub backoff_us: u64,
    /// `replica.socket.timeout.ms`: a follower waits so long for an answer.
    pub socket_us: u64,
    /// Mean time on the way between two machines of the cluster.
    pub way_us: u64,
    /// `eligible.leader.replicas.version=1`: the high watermark stands still while fewer replicas
    /// are in sync than `min.insync.replicas` says.
    pub strict_high: bool,
}

impl ClusterSettings {
    /// The defaults of Kafka 4.
    pub fn of_kafka(seed: u64) -> ClusterSettings {
        ClusterSettings {
            seed,
            brokers: 3,
            session_us: 9_000_000,
            heartbeat_us: 2_000_000,
            lag_us: 30_000_000,
            backoff_us: 1_000_000,
            socket_us: 30_000_000,
            way_us: 200,
            strict_high: true,
        }
    }

    /// A cluster that notices a death within a second.
    pub fn quick(seed: u64) -> ClusterSettings {
        ClusterSettings {
            session_us: 600_000,
            heartbeat_us: 100_000,
            lag_us: 500_000,
            backoff_us: 20_000,
            socket_us: 400_000,
            ..ClusterSettings::of_kafka(seed)
        }
    }

    /// All parties of the cluster.
    pub(crate) fn parties(&self) -> impl Iterator<Item = Party> + use<> {
        let brokers = (0..self.brokers).map(|id| Party::Broker(crate::BrokerId(id)));
        [Party::Controller, Party::Clients].into_iter().chain(brokers)
    }
}

/// What a topic is set to, as far as it endangers a log or bounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// Replicas of each partition.
    pub replication: u32,
    /// `min.insync.replicas`.
    pub min_in_sync: u32,
    /// `unclean.leader.election.enable`.
    pub unclean: bool,
    /// `cleanup.policy` has `compact`.
    pub compacts: bool,
    /// `retention.ms`; `None` is -1, unlimited.
    pub retention_ms: Option<u64>,
    /// `retention.bytes`; `None` is -1, unlimited.
    pub retention_bytes: Option<u64>,
    /// `max.message.bytes`.
    pub message_bytes_max: usize,
}

impl TopicSettings {
    /// What a log demands: docs/protocols/replication.md, and design of the Kafka log.
    pub fn of_a_log(replication: u32, message_bytes_max: usize) -> TopicSettings {
        TopicSettings {
            replication,
            min_in_sync: replication.div_ceil(2).max(1),
            unclean: false,
            compacts: false,
            retention_ms: None,
            retention_bytes: None,
            message_bytes_max,
        }
    }

    /// The settings in Kafka's spelling, with their values, in the order of their names.
    pub fn spelled(&self) -> [(&'static str, String); 7] {
        let bound = |value: Option<u64>| value.map_or("-1".to_owned(), |value| value.to_string());
        [
            ("cleanup.policy", if self.compacts { "compact" } else { "delete" }.to_owned()),
            ("max.message.bytes", self.message_bytes_max.to_string()),
            ("min.insync.replicas", self.min_in_sync.to_string()),
            ("replication.factor", self.replication.to_string()),
            ("retention.bytes", bound(self.retention_bytes)),
            ("retention.ms", bound(self.retention_ms)),
            ("unclean.leader.election.enable", self.unclean.to_string()),
        ]
    }
}
