//! The ceiling of a log on Kafka: rdkafka's producers with Cortado's settings, and nothing around
//! them.
//!
//! Start reading at [`BareProducers::append`].

use anyhow::{Context, anyhow, ensure};
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;

/// As many as a node has.
const PRODUCERS: usize = 8;

/// A pool: partitions are shared out among its producers.
pub(crate) struct BareProducers {
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
        Ok(BareProducers { producers: producers.collect::<Result<_, _>>()?, topic, partitions })
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
