//! How librdkafka is set up, for each kind of client. The reasons are measurements: see the README.

use crate::settings::KafkaSettings;
use crate::topic_demands::BATCH_BYTES_MAX;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// Records that one producer holds before it refuses more: a node bounds what each of its
/// partitions has in flight, and this what all of them have together.
const QUEUED_RECORDS_MAX: &str = "100000";
/// Bytes of them: four records of the largest length.
pub(crate) const QUEUED_BYTES_MAX: u64 = 4 * BATCH_BYTES_MAX as u64;
/// Bytes of one answer that holds records.
const FETCH_BYTES_MAX: usize = BATCH_BYTES_MAX + (1 << 20);

/// Appends: in order, each record once, acknowledged by all that are in sync.
pub(crate) fn producer(settings: &KafkaSettings) -> ClientConfig {
    let mut config = common(settings);
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        // The most with which order is kept; fewer would wait for each answer.
        .set("max.in.flight.requests.per.connection", "5")
        // Batches form by themselves while a request is on its way.
        .set("linger.ms", "0")
        // Never: expired records break an idempotent producer. Who appends has a deadline.
        .set("message.timeout.ms", "0")
        .set("message.max.bytes", BATCH_BYTES_MAX.to_string())
        .set("queue.buffering.max.messages", QUEUED_RECORDS_MAX)
        .set("queue.buffering.max.kbytes", (QUEUED_BYTES_MAX / 1_024).to_string())
        .set_log_level(RDKafkaLogLevel::Debug);
    // A few lines when leaders change: see `LEADER_IN_DOUBT`.
    let debug = config.get("debug").map_or("topic".to_owned(), |more| format!("topic,{more}"));
    config.set("debug", debug);
    config
}

/// Sends beats: at once or not at all, and never twice.
pub(crate) fn beat_producer(settings: &KafkaSettings) -> ClientConfig {
    let mut config = common(settings);
    config
        .set("acks", "all")
        // What is tried again comes late and out of order; the next beat comes soon.
        .set("retries", "0")
        .set("linger.ms", "0")
        .set("message.timeout.ms", settings.beat_timeout.as_millis().to_string())
        // Some seconds of beats on every stream.
        .set("queue.buffering.max.messages", "1000");
    config
}

/// Follows partitions that it is told of, from offsets that it is told.
pub(crate) fn consumer(settings: &KafkaSettings) -> ClientConfig {
    let mut config = common(settings);
    config
        // Demanded by librdkafka; no group is ever joined, no offset committed.
        .set("group.id", format!("{}-unused", settings.topic_prefix))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A position that is not there is an error, not a reason to go elsewhere.
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        // Records of strangers' transactions are judged like all others.
        .set("isolation.level", "read_uncommitted")
        // Tells of gaps at the end of a partition.
        .set("enable.partition.eof", "true")
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "500")
        .set("fetch.error.backoff.ms", "20")
        .set("fetch.queue.backoff.ms", "10")
        .set("message.max.bytes", BATCH_BYTES_MAX.to_string())
        .set("fetch.max.bytes", FETCH_BYTES_MAX.to_string())
        .set("receive.message.max.bytes", (FETCH_BYTES_MAX + (1 << 20)).to_string())
        // Per client, and dropped when a feed stops: what readers hold is bounded by the feeds.
        .set("queued.max.messages.kbytes", "4096");
    config
}

/// Asks and administers.
pub(crate) fn admin(settings: &KafkaSettings) -> ClientConfig {
    common(settings)
}

fn common(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Those of the operator first: what the promises rest on comes later and wins.
    for (name, value) in &settings.client_options {
        config.set(name, value);
    }
    settings.security.apply(&mut config);
    config
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("allow.auto.create.topics", "false")
        // Quick to come back; the defaults wait for up to ten seconds.
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "100")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("socket.timeout.ms", "10000")
        .set("socket.connection.setup.timeout.ms", "2000");
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}
