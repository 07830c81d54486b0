//! The ceiling of a log on Kafka: rdkafka's producers with Cortado's settings, and nothing around
//! them.
//!
//! Start reading at [`BareProducers::append`].

use anyhow::{Context, anyhow, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// As many as a node has.
const PRODUCERS: usize = 8;

/// A pool: partitions are shared out among its producers.
pub(crate) struct BareProducers {
    bootstrap: String,
    producers: Vec<ThreadedProducer<Tell>>,
    topic: String,
    pub(crate) partitions: u32,
}

#[derive(Clone)]
struct Tell;

impl ClientContext for Tell {}

impl ProducerContext for Tell {
    type DeliveryOpaque = Box<oneshot::Sender<bool>>;

    fn delivery(&self, result: &DeliveryResult<'_>, tell: Box<oneshot::Sender<bool>>) {
        let _ = tell.send(result.is_ok());
    }
}

impl BareProducers {
    /// With a topic like those of Cortado: three replicas, two of them in sync at least.
    pub(crate) async fn new(bootstrap: &str, partitions: u32) -> anyhow::Result<BareProducers> {
        let topic = format!("bare-{partitions}");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        let admin: AdminClient<_> = config.create()?;
        let replication = TopicReplication::Fixed(3);
        let made = NewTopic::new(&topic, i32::try_from(partitions)?, replication);
        let made = made.set("min.insync.replicas", "2");
        for made in admin.create_topics([&made], &AdminOptions::new()).await? {
            made.map_err(|(topic, why)| anyhow!("{topic}: {why}"))?;
        }
        config.set("acks", "all").set("enable.idempotence", "true");
        config.set("linger.ms", "0").set("message.timeout.ms", "0");
        let producers = (0..PRODUCERS).map(|_| config.create_with_context(Tell));
        let producers = producers.collect::<Result<_, _>>()?;
        Ok(BareProducers { bootstrap: bootstrap.to_owned(), producers, topic, partitions })
    }

    /// Appends a record, and waits until all replicas in sync have it.
    pub(crate) async fn append(&self, partition: u32, record: &[u8]) -> anyhow::Result<()> {
        let producer = &self.producers[partition as usize % self.producers.len()];
        let (tell, told) = oneshot::channel();
        let to: BaseRecord<'_, (), [u8], _> =
            BaseRecord::with_opaque_to(&self.topic, Box::new(tell));
        let sent = producer.send(to.partition(i32::try_from(partition)?).payload(record));
        sent.map_err(|(error, _)| error)?;
        ensure!(told.await.context("the producer has ended")?, "an append has failed");
        Ok(())
    }
}

/// Consumers that read all that is appended, as the nodes do that hold the replicas: that takes its
/// share of the brokers.
pub(crate) struct BareReaders {
    ended: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// Replicas of a partition, each of which reads its log.
const READERS: usize = 3;
/// How often a reader looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);

impl BareReaders {
    /// Reads every partition of `bare` from its end on.
    pub(crate) fn start(bare: &BareProducers) -> anyhow::Result<BareReaders> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &bare.bootstrap).set("group.id", "bare");
        config.set("enable.auto.commit", "false").set("fetch.wait.max.ms", "500");
        let mut all = TopicPartitionList::new();
        for partition in 0..i32::try_from(bare.partitions)? {
            all.add_partition_offset(&bare.topic, partition, Offset::End)?;
        }
        let ended = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..READERS {
            let consumer: BaseConsumer = config.create()?;
            consumer.assign(&all)?;
            let ended = Arc::clone(&ended);
            threads.push(thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    drop(consumer.poll(LOOK));
                }
            }));
        }
        Ok(BareReaders { ended, threads })
    }

    /// Returns when all have ended.
    pub(crate) fn stop(self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // One that has panicked has told so.
            let _ = thread.join();
        }
    }
}
