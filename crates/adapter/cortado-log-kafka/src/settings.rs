//! Which cluster, under which names, with which promises.
//!
//! Start reading at [`KafkaSettings`].

use crate::security::KafkaSecurity;
use crate::setting_error::KafkaSettingError;
use std::time::Duration;

/// Where the logs are, and what is demanded of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Addresses at which the cluster is found, as Kafka's `bootstrap.servers`.
    pub bootstrap_servers: String,
    /// What the names of all topics begin with: two Cortado clusters on one Kafka differ in it.
    pub topic_prefix: String,
    /// Brokers that keep each partition; 1 only where a lost disk may lose the log.
    pub replication_factor: u16,
    /// In-sync brokers without which nothing is appended; below the replication factor, or no
    /// broker may be away.
    pub min_insync_replicas: u16,
    /// Clients that append, each with connections of its own: one sends one partition at a time.
    pub producers: usize,
    /// Clients that follow, at least 2: each reads a partition at one place at a time.
    pub consumers: usize,
    /// How long one call may take before it fails.
    pub call_timeout: Duration,
    /// How often is looked whether a topic is still the one that it was.
    pub identity_interval: Duration,
    /// How long a beat may be on its way before its sender hears that it was not sent.
    pub beat_timeout: Duration,
    /// How brokers are spoken to, and as whom.
    pub security: KafkaSecurity,
    /// More settings of librdkafka, for every client: `client.id`, `broker.address.family` and the
    /// like. Those on which the promises rest are refused, and so is what `security` says.
    pub client_options: Vec<(String, String)>,
}

/// Room for the longest part behind it, which is a database's name, and for Kafka's bound of 249.
const PREFIX_BYTES_MAX: usize = 64;

impl KafkaSettings {
    /// What suits three brokers or more.
    pub fn new(bootstrap_servers: impl Into<String>) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: bootstrap_servers.into(),
            topic_prefix: "cortado".to_owned(),
            replication_factor: 3,
            min_insync_replicas: 2,
            producers: 8,
            consumers: 2,
            call_timeout: Duration::from_secs(10),
            identity_interval: Duration::from_secs(2),
            beat_timeout: Duration::from_secs(2),
            security: KafkaSecurity::default(),
            client_options: Vec::new(),
        }
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), KafkaSettingError> {
        let refused = |name: &str, found: String, wanted| {
            Err(KafkaSettingError { name: name.to_owned(), found, wanted })
        };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let prefix = &self.topic_prefix;
        if prefix.is_empty() || prefix.len() > PREFIX_BYTES_MAX || !prefix.bytes().all(is_plain) {
            let wanted = "it must be 1 to 64 letters, digits, hyphens or underscores";
            return refused("topic_prefix", prefix.clone(), wanted);
        }
        let (factor, in_sync) = (self.replication_factor, self.min_insync_replicas);
        if !(1..=9).contains(&factor) {
            return refused("replication_factor", factor.to_string(), "it must be 1 to 9");
        }
        if in_sync < 1 || in_sync > factor || (in_sync == factor && factor > 1) {
            let wanted = "it must be below the replication factor, or both must be 1";
            return refused("min_insync_replicas", in_sync.to_string(), wanted);
        }
        if !(1..=64).contains(&self.producers) {
            return refused("producers", self.producers.to_string(), "it must be 1 to 64");
        }
        if !(2..=16).contains(&self.consumers) {
            return refused("consumers", self.consumers.to_string(), "it must be 2 to 16");
        }
        self.security.check()?;
        for (name, value) in &self.client_options {
            if let Some(wanted) = refusal(name) {
                // It may be a secret.
                let shown = if name.contains("password") { "set" } else { value.as_str() };
                return refused(name, shown.to_owned(), wanted);
            }
        }
        Ok(())
    }
}

/// Options that are not for the operator to set.
const OWN_OPTIONS: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "check.crcs",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.broker.list",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "request.required.acks",
    "retries",
    "transactional.id",
];

/// Why an option is refused, if it is.
fn refusal(name: &str) -> Option<&'static str> {
    if OWN_OPTIONS.contains(&name) {
        return Some("what is promised rests on it: it cannot be set");
    }
    let secured = ["security.", "ssl.", "sasl.", "enable.ssl"];
    let is_secured = secured.iter().any(|prefix| name.starts_with(prefix));
    let wanted = "of TLS and SASL only security.protocol, ssl.ca.location, \
        ssl.certificate.location, ssl.key.location, sasl.mechanism and sasl.username can be set, \
        and a file with the password";
    is_secured.then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut KafkaSettings), refused: Option<&str>) {
        let mut settings = KafkaSettings::new("127.0.0.1:9092");
        change(&mut settings);
        let found = settings.check().err().map(|error| error.name);
        assert_eq!(found.as_deref(), refused);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        check(|_| {}, None);
        check(|s| s.topic_prefix = String::new(), Some("topic_prefix"));
        check(|s| s.topic_prefix = "a.b".to_owned(), Some("topic_prefix"));
        check(|s| s.replication_factor = 0, Some("replication_factor"));
        check(|s| s.min_insync_replicas = 3, Some("min_insync_replicas"));
        check(|s| (s.replication_factor, s.min_insync_replicas) = (1, 1), None);
        check(|s| s.producers = 0, Some("producers"));
        check(|s| s.consumers = 1, Some("consumers"));
        let option = |name: &str| vec![(name.to_owned(), "1".to_owned())];
        check(|s| s.client_options = option("client.id"), None);
        check(|s| s.client_options = option("acks"), Some("acks"));
        check(|s| s.client_options = option("ssl.cipher.suites"), Some("ssl.cipher.suites"));
        let mut settings = KafkaSettings::new("127.0.0.1:9092");
        settings.client_options = vec![("sasl.password".to_owned(), "hush".to_owned())];
        assert!(!settings.check().unwrap_err().to_string().contains("hush"));
    }
}
