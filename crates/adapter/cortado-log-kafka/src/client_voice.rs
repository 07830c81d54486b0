//! What librdkafka's clients say of themselves, as log lines.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use tracing::{debug, warn};

/// Tells what operators should hear, and no more: clients mend themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientVoice;

impl ClientContext for ClientVoice {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tell_log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tell_error(&error, reason);
    }
}

impl ConsumerContext for ClientVoice {}

/// How librdkafka calls the line, of its debug context `topic`, that tells of every try to append
/// which a broker has refused for reasons of its leadership, disk or topic. That is told nowhere
/// else; the version of librdkafka is fixed, and a test sees that the line comes.
pub(crate) const LEADER_IN_DOUBT: &str = "BROKERUA";

/// A log line of librdkafka: lost connections among them, of which there are many when a broker is
/// down.
pub(crate) fn tell_log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            warn!(facility, "Kafka client: {text}");
        }
        RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
        | RDKafkaLogLevel::Notice
        | RDKafkaLogLevel::Info
        | RDKafkaLogLevel::Debug => debug!(facility, "Kafka client: {text}"),
    }
}

/// An error of a whole client.
pub(crate) fn tell_error(error: &KafkaError, reason: &str) {
    let code = error.rdkafka_error_code().map_or(0, |code| code as i32);
    tell_code(code, reason);
}

/// The same by its code, a negative one of librdkafka.
pub(crate) fn tell_code(code: i32, reason: &str) {
    match code {
        ALL_BROKERS_DOWN => warn!(reason, "no Kafka broker is reachable"),
        FATAL => warn!(reason, "a Kafka client can go on no more"),
        _ => debug!(reason, code, "Kafka client"),
    }
}

const FATAL: i32 = -150;
const ALL_BROKERS_DOWN: i32 = -187;
