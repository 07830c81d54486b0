//! A cluster that tests share, and what they do to it with other tools than the log.

use bytes::Bytes;
pub(crate) use cortado_kafka_brokers::shared_brokers_for_test as shared_brokers;
use cortado_log::conformance::block_on;
use cortado_log::{
    AppendOutcome, Follower, Log, LogEntry, LogSpec, Producer, outcomes_of, page_of,
};
use cortado_log_kafka::{KafkaLog, KafkaSettings};
use cortado_model::{DatabaseId, LogOffset, LogPosition, PartitionId, PartitionUuid};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Long enough for a machine that has much to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// Where futures of the log run.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Settings under names that no other test uses, quick to see what happened to a topic.
pub(crate) fn settings(bootstrap: String) -> KafkaSettings {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    KafkaSettings {
        topic_prefix: format!("test{number}"),
        producers: 3,
        call_timeout: Duration::from_secs(300),
        identity_interval: Duration::from_millis(200),
        beat_timeout: Duration::from_secs(300),
        ..KafkaSettings::new(bootstrap)
    }
}

/// A log on a cluster.
pub(crate) fn open(runtime: &Runtime, settings: &KafkaSettings) -> KafkaLog {
    runtime.block_on(KafkaLog::open(settings.clone())).unwrap()
}

/// The database of a test, with so many partitions.
pub(crate) fn spec(partitions: u32) -> LogSpec {
    let (database, uuid) = (DatabaseId(7), PartitionUuid(0xC0FFEE << 96));
    LogSpec { database, name: "suite".to_owned(), uuid, partitions }
}

pub(crate) fn partition(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(7), number }
}

/// The topic of a database's log.
pub(crate) fn topic_of(settings: &KafkaSettings, spec: &LogSpec) -> String {
    format!("{}-{}-{:08x}", settings.topic_prefix, spec.name, (spec.uuid.0 >> 96) as u32)
}

/// Kafka's own tools.
pub(crate) struct Tools {
    admin: AdminClient<DefaultClientContext>,
}

impl Tools {
    pub(crate) fn new(bootstrap: &str) -> Tools {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("allow.auto.create.topics", "false");
        Tools { admin: config.create().unwrap() }
    }

    pub(crate) fn delete_topic(&self, runtime: &Runtime, name: &str) {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = runtime.block_on(self.admin.delete_topics(&[name], &options)).unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }

    /// Makes a topic, as soon as a former one of that name is gone.
    pub(crate) fn create_topic(
        &self,
        runtime: &Runtime,
        name: &str,
        partitions: i32,
        replicas: i32,
    ) {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        let topic = topic.set("max.message.bytes", "16842752");
        loop {
            let created = runtime.block_on(self.admin.create_topics([&topic], &options)).unwrap();
            if created.iter().all(Result::is_ok) {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Gives a topic this setting, and the defaults for all others.
    pub(crate) fn reset_topic(&self, runtime: &Runtime, name: &str, setting: (&str, &str)) {
        let change = AlterConfig::new(ResourceSpecifier::Topic(name)).set(setting.0, setting.1);
        let options = AdminOptions::new();
        let altered = runtime.block_on(self.admin.alter_configs([&change], &options)).unwrap();
        assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    }

    /// Address of the broker that leads a partition.
    pub(crate) fn broker_leader(&self, topic: &str, partition: i32) -> String {
        loop {
            let metadata = self.admin.inner().fetch_metadata(Some(topic), PATIENCE).unwrap();
            let partitions = metadata.topics()[0].partitions();
            let found = partitions.iter().find(|found| found.id() == partition);
            let leader = found.map(|found| found.leader());
            let broker = metadata.brokers().iter().find(|broker| Some(broker.id()) == leader);
            if let Some(broker) = broker {
                return format!("{}:{}", broker.host(), broker.port());
            }
        }
    }
}

/// Appends texts and awaits what becomes of them.
pub(crate) fn append(log: &dyn Log, number: u32, texts: &[&str]) -> Vec<AppendOutcome> {
    let mut producer = log.producer(partition(number));
    producer.send(texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect());
    outcomes(producer.as_mut())
}

/// The outcomes of all that is outstanding.
pub(crate) fn outcomes(producer: &mut dyn Producer) -> Vec<AppendOutcome> {
    let mut outcomes = Vec::new();
    while producer.outstanding() > 0 {
        block_on(outcomes_of(producer, &mut outcomes));
    }
    outcomes
}

/// The offsets of records that all landed.
#[track_caller]
pub(crate) fn offsets(outcomes: &[AppendOutcome]) -> Vec<u64> {
    let offset = |outcome: &AppendOutcome| match outcome {
        AppendOutcome::At(position) => position.offset.0,
        other => panic!("{other:?}"),
    };
    outcomes.iter().map(offset).collect()
}

/// The texts of the next records, `count` of them or a few more.
#[track_caller]
pub(crate) fn follow(follower: &mut dyn Follower, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let page = block_on(page_of(follower, 1 << 20)).unwrap();
        let text = |entry: LogEntry| String::from_utf8_lossy(&entry.record).into_owned();
        seen.extend(page.entries.into_iter().map(text));
    }
    seen
}

pub(crate) fn at(offset: u64) -> LogPosition {
    LogPosition { offset: LogOffset(offset), epoch: 0 }
}
