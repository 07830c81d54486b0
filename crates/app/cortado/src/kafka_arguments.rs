//! Where the log is, and how its brokers are spoken to: of every command that goes there.
//!
//! Start reading at [`RawKafka::validate`].

use crate::failure::Failure;
use cortado_log_kafka::{KafkaOpenError, KafkaSettings};
use cortado_model::with_causes;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The client property that holds the addresses of brokers.
const BOOTSTRAP: &str = "bootstrap.servers";

/// What was written, before any check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawKafka {
    /// `HOST:PORT`, several separated by commas.
    pub(crate) brokers: Option<String>,
    /// What the names of topics begin with.
    pub(crate) prefix: Option<String>,
    /// Whether one broker may be all.
    pub(crate) allow_unreplicated_log: bool,
    /// More properties of the client.
    pub(crate) properties: BTreeMap<String, String>,
}

/// The member `kafka` of a file: addresses, or a table of client properties.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum KafkaMember {
    /// As of `--kafka`.
    Brokers(String),
    /// Those of librdkafka, by their names.
    Properties(BTreeMap<String, PropertyValue>),
}

/// A value of a client property as TOML spells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum PropertyValue {
    /// Quoted.
    Text(String),
    /// A number.
    Number(i64),
    /// `true` or `false`.
    Switch(bool),
}

impl RawKafka {
    /// What a file says.
    pub(crate) fn of_file(member: Option<KafkaMember>) -> RawKafka {
        match member {
            None => RawKafka::default(),
            Some(KafkaMember::Brokers(brokers)) => {
                RawKafka { brokers: Some(brokers), ..RawKafka::default() }
            }
            Some(KafkaMember::Properties(table)) => {
                let text = |value| match value {
                    PropertyValue::Text(text) => text,
                    PropertyValue::Number(number) => number.to_string(),
                    PropertyValue::Switch(on) => on.to_string(),
                };
                let mut properties: BTreeMap<_, _> =
                    table.into_iter().map(|(name, value)| (name, text(value))).collect();
                let brokers = properties.remove(BOOTSTRAP);
                RawKafka { brokers, properties, ..RawKafka::default() }
            }
        }
    }

    /// Checks what can be checked without the brokers.
    ///
    /// # Errors
    /// No address, or one that is none.
    pub(crate) fn validate(self) -> Result<KafkaSettings, Failure> {
        let RawKafka { brokers, prefix, allow_unreplicated_log, properties } = self;
        let missing = || {
            Failure::usage("kafka is not set: where the log is")
                .next("--kafka HOST:PORT of one broker or more, separated by commas")
                .next("`cortado dev` keeps its log in files and needs no brokers")
        };
        let brokers = brokers.filter(|text| !text.trim().is_empty()).ok_or_else(missing)?;
        if let Some(wrong) = brokers.split(',').find(|broker| !is_place(broker.trim())) {
            return Err(Failure::usage(format!("invalid address {wrong:?} in kafka"))
                .next("HOST:PORT of one broker or more, separated by commas"));
        }
        let mut settings = KafkaSettings::new(brokers);
        if let Some(prefix) = prefix {
            settings.topic_prefix = prefix;
        }
        if allow_unreplicated_log {
            (settings.replication_factor, settings.min_insync_replicas) = (1, 1);
        }
        settings.client_options = properties.into_iter().collect();
        Ok(settings)
    }
}

/// Whether `text` is a host and a port.
pub(crate) fn is_place(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let can_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    !host.is_empty() && host.bytes().all(can_stand) && port.parse::<u16>().is_ok()
}

/// Why the log was not reached, and what to do about it.
pub(crate) fn not_opened(error: &KafkaOpenError) -> Failure {
    let failure = Failure::new(with_causes(error));
    match error {
        KafkaOpenError::Setting(_) | KafkaOpenError::Client(_) => {
            failure.next("correct it on the command line, or in the table [kafka] of the file")
        }
        KafkaOpenError::Unreachable { .. } => failure
            .next("check that the brokers run and that this machine reaches them")
            .next("kafka must name addresses of brokers, as in --kafka broker1:9092,broker2:9092"),
        KafkaOpenError::TooFewBrokers { .. } => failure.next("start the missing brokers").next(
            "for development, --allow-unreplicated-log makes do with one: a lost disk is a \
                 lost log",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(brokers: Option<&str>, want: bool) {
        let raw = RawKafka { brokers: brokers.map(str::to_owned), ..RawKafka::default() };
        assert_eq!(raw.validate().is_ok(), want, "{brokers:?}");
    }

    #[test]
    fn brokers_are_named_by_host_and_port() {
        check(Some("b1:9092"), true);
        check(Some("b1:9092, 10.0.0.7:9092,[::1]:9092"), true);
        for wrong in ["b1", "b1:", ":9092", "b1:9092,", "http://b1:9092", "b1:99999", ""] {
            check(Some(wrong), false);
        }
        check(None, false);
    }

    #[test]
    fn one_broker_is_enough_only_if_that_is_said() {
        let raw = RawKafka { brokers: Some("b:1".to_owned()), ..RawKafka::default() };
        let kept = raw.clone().validate().expect("settings");
        assert_eq!((kept.replication_factor, kept.min_insync_replicas), (3, 2));
        let alone = RawKafka { allow_unreplicated_log: true, ..raw }.validate().expect("settings");
        assert_eq!((alone.replication_factor, alone.min_insync_replicas), (1, 1));
    }
}
