//! Why a log on Kafka cannot be used at all.

use crate::setting_error::KafkaSettingError;
use std::io;

/// What may not be done with a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRight {
    /// The topic, which need not be there.
    pub topic: String,
    /// As ACLs call them.
    pub operations: Vec<&'static str>,
}

/// What a user of a log must be allowed of all topics with its prefix, as ACLs call it.
pub const OPERATIONS_NEEDED: [&str; 6] =
    ["Create", "Delete", "Describe", "DescribeConfigs", "Read", "Write"];

fn told(missing: &[MissingRight]) -> String {
    let one = |MissingRight { topic, operations }: &MissingRight| {
        format!("{} topic {topic}", operations.join(", "))
    };
    missing.iter().map(one).collect::<Vec<_>>().join("; ")
}

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
    /// The brokers are older than what is promised rests on. Upgrade them.
    #[error("the brokers are older than Kafka 4.0")]
    TooOld,
    /// A broker does not show a certificate that is to be trusted.
    #[error("the broker at {address} cannot be trusted")]
    Untrusted {
        /// Where it is.
        address: String,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The brokers do not take the user.
    #[error("the brokers do not take {user}")]
    Unauthenticated {
        /// As whom this process came.
        user: String,
        /// What they say.
        #[source]
        source: io::Error,
    },
    /// The user may not do what a log needs. Nothing was made.
    #[error("{user} may not {}", told(.missing))]
    Forbidden {
        /// As whom the brokers take this process.
        user: String,
        /// What the names of all topics begin with.
        prefix: String,
        /// What the ACLs lack.
        missing: Vec<MissingRight>,
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
