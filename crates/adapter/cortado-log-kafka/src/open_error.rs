//! Why a log on Kafka cannot be used at all.

use crate::settings::KafkaSettingError;
use std::io;

/// Why it was not opened.
#[derive(Debug, thiserror::Error)]
pub enum KafkaOpenError {
    /// A setting cannot be used.
    #[error("a setting of the Kafka log cannot be used")]
    Setting(#[from] KafkaSettingError),
    /// A client could not be made: a further option is unknown to it, or has a wrong value.
    #[error("no Kafka client can be made with these settings")]
    Client(#[source] io::Error),
    /// The cluster does not answer. Look at the addresses, then try again.
    #[error("the Kafka cluster at {bootstrap_servers} does not answer")]
    Unreachable {
        /// Where it was looked for.
        bootstrap_servers: String,
        /// What was seen.
        #[source]
        source: io::Error,
    },
    /// The cluster has fewer brokers than replicas are demanded.
    #[error("the cluster has {brokers} brokers, and each partition needs {wanted} replicas")]
    TooFewBrokers {
        /// How many there are.
        brokers: usize,
        /// How many are needed.
        wanted: usize,
    },
}
