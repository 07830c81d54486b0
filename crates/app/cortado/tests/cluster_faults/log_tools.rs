//! What somebody does to topics who is no part of the cluster: Kafka's own tools, by the ways that
//! no relay breaks.
//!
//! Start reading at [`LogTools::new`].

use crate::broken_site::LOOK;
use crate::harness::BOUND;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;
use tokio::runtime::Runtime;

/// Tools of the brokers at one address.
pub(crate) struct LogTools {
    bootstrap: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: Runtime,
}

/// A partition of a topic, as the brokers have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its broker leader.
    pub(crate) leader: i32,
    pub(crate) in_sync: Vec<i32>,
}

/// How somebody ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Abort,
}

impl LogTools {
    pub(crate) fn new(bootstrap: String) -> LogTools {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &bootstrap).set("allow.auto.create.topics", "false");
        let admin = config.create().expect("a client");
        LogTools { bootstrap, admin, runtime: Runtime::new().expect("threads") }
    }

    /// The topic of the database `name`.
    pub(crate) fn topic_of(&self, name: &str) -> String {
        let prefix = format!("fault-{name}-");
        let metadata = self.admin.inner().fetch_metadata(None, BOUND).expect("brokers that run");
        let mut names = metadata.topics().iter().map(|topic| topic.name());
        // Behind it stand eight digits and nothing else.
        let found = names.find(|name| name.strip_prefix(&prefix).is_some_and(|id| id.len() == 8));
        found.unwrap_or_else(|| panic!("no topic of {name}")).to_owned()
    }

    /// How the partitions of a topic stand, by their numbers.
    pub(crate) fn standings(&self, topic: &str) -> Vec<Standing> {
        let Ok(metadata) = self.admin.inner().fetch_metadata(Some(topic), BOUND) else {
            return Vec::new();
        };
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        let mut standings: BTreeMap<i32, Standing> = BTreeMap::new();
        for found in partitions {
            let mut in_sync = found.isr().to_vec();
            in_sync.sort_unstable();
            standings.insert(found.id(), Standing { leader: found.leader(), in_sync });
        }
        standings.into_values().collect()
    }

    /// Waits until every partition of a topic stands so.
    pub(crate) fn wait_until(&self, topic: &str, what: &str, holds: impl Fn(&Standing) -> bool) {
        let begun = Instant::now();
        loop {
            let standings = self.standings(topic);
            if !standings.is_empty() && standings.iter().all(&holds) {
                return;
            }
            assert!(begun.elapsed() < BOUND, "{topic} is not {what}: {standings:?}");
            thread::park_timeout(LOOK);
        }
    }

    /// Where the partitions of a topic end, by their numbers.
    pub(crate) fn ends(&self, topic: &str) -> Vec<i64> {
        let partitions = 0..self.standings(topic).len() as i32;
        let end = |partition| {
            let edges = self.admin.inner().fetch_watermarks(topic, partition, BOUND);
            edges.expect("a broker that leads").1
        };
        partitions.map(end).collect()
    }

    /// The settings that were chosen for a topic.
    pub(crate) fn settings(&self, topic: &str) -> BTreeMap<String, String> {
        let (options, topic) = (AdminOptions::new(), ResourceSpecifier::Topic(topic));
        let asked = self.admin.describe_configs([&topic], &options);
        let told = self.runtime.block_on(asked).expect("brokers that run");
        let entries = told.into_iter().flat_map(|told| told.expect("its settings").entries);
        let chosen = entries.filter(|entry| entry.source == ConfigSource::DynamicTopic);
        chosen.filter_map(|entry| Some((entry.name, entry.value?))).collect()
    }

    /// Changes one setting of a topic, and leaves the others as they are.
    pub(crate) fn change(&self, topic: &str, name: &str, value: &str) {
        let mut settings = self.settings(topic);
        settings.insert(name.to_owned(), value.to_owned());
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, value) in &settings {
            change = change.set(name, value);
        }
        let options = AdminOptions::new();
        let asked = self.admin.alter_configs([&change], &options);
        let altered = self.runtime.block_on(asked).expect("brokers that run");
        assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    }

    pub(crate) fn delete(&self, topic: &str) {
        let options = AdminOptions::new().operation_timeout(Some(BOUND));
        let deleted = self.runtime.block_on(self.admin.delete_topics(&[topic], &options));
        let deleted = deleted.expect("brokers that run");
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }

    /// Makes a topic, as soon as a former one of that name is gone.
    pub(crate) fn create(
        &self,
        topic: &str,
        partitions: usize,
        settings: &BTreeMap<String, String>,
    ) {
        let options = AdminOptions::new().operation_timeout(Some(BOUND));
        let mut new = NewTopic::new(topic, partitions as i32, TopicReplication::Fixed(3));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let begun = Instant::now();
        loop {
            let created = self.runtime.block_on(self.admin.create_topics([&new], &options));
            let created = created.expect("brokers that run");
            if created.iter().all(Result::is_ok) {
                return;
            }
            assert!(begun.elapsed() < BOUND, "{created:?}");
            thread::park_timeout(LOOK);
        }
    }

    /// Lets the partitions of a topic forget what stands below these offsets, as retention does.
    pub(crate) fn forget_below(&self, topic: &str, offsets: &[i64]) {
        let mut below = TopicPartitionList::new();
        for (partition, offset) in (0..).zip(offsets) {
            let named = below.add_partition_offset(topic, partition, Offset::Offset(*offset));
            named.expect("an offset");
        }
        let options = AdminOptions::new();
        let asked = self.admin.delete_records(&below, &options);
        self.runtime.block_on(asked).expect("brokers that run");
    }

    /// Writes bytes into each partition of a topic that are no records.
    pub(crate) fn write_garbage(&self, topic: &str) {
        let stranger: BaseProducer = self.client().create().expect("a client");
        self.send_garbage(&stranger, topic);
    }

    /// The same within one transaction, whose end takes an offset of its own in each partition.
    pub(crate) fn write_transaction(&self, topic: &str, end: End) {
        let mut config = self.client();
        let stranger: BaseProducer =
            config.set("transactional.id", "stranger").create().expect("a client");
        stranger.init_transactions(BOUND).expect("a coordinator");
        stranger.begin_transaction().expect("it is ready");
        self.send_garbage(&stranger, topic);
        let ended = match end {
            End::Commit => stranger.commit_transaction(BOUND),
            End::Abort => stranger.abort_transaction(BOUND),
        };
        ended.expect("it ends");
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn send_garbage(&self, stranger: &BaseProducer, topic: &str) {
        for partition in 0..self.standings(topic).len() as i32 {
            for garbage in [&b""[..], b"{}", &[0xff; 300]] {
                let record = BaseRecord::<(), [u8]>::to(topic).partition(partition);
                stranger.send(record.payload(garbage)).expect("room");
            }
        }
        stranger.flush(BOUND).expect("they are taken");
    }
}
