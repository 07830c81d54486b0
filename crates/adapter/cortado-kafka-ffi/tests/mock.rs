//! The functions on librdkafka's mock cluster.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not see functions")]

use cortado_kafka_ffi::{
    AdminCallError, DeliveryStatus, OffsetEdge, PartitionPoll, PollUnavailable, Polled,
    delivery_status, describe_topics, list_offsets,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::message::DeliveryResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, Producer, ProducerContext, ThreadedProducer,
};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const END_REACHED: i32 = -191;
const POSITION_LOST: i32 = -140;

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    cluster
}

fn config(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    config
}

/// Tells the status of each record.
struct Statuses(Mutex<Sender<DeliveryStatus>>);

impl ClientContext for Statuses {}

impl ProducerContext for Statuses {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (Ok(message) | Err((_, message))) = result;
        self.0.lock().unwrap().send(delivery_status(message)).unwrap();
    }
}

fn producer(cluster: &Cluster) -> (ThreadedProducer<Statuses>, Receiver<DeliveryStatus>) {
    let (sender, statuses) = channel();
    let mut config = config(cluster);
    config.set("enable.idempotence", "true").set("retry.backoff.ms", "10");
    (config.create_with_context(Statuses(Mutex::new(sender))).unwrap(), statuses)
}

fn send(producer: &ThreadedProducer<Statuses>, partition: i32, text: &str) {
    let record = BaseRecord::<(), str>::to("t").partition(partition).payload(text);
    assert!(producer.send(record).is_ok());
}

#[test]
fn a_status_says_what_became_of_a_record() {
    let cluster = cluster();
    let (producer, statuses) = producer(&cluster);
    let status = |errors: &[Code]| {
        cluster.request_errors(RDKafkaApiKey::Produce, errors);
        send(&producer, 0, "a");
        statuses.recv_timeout(PATIENCE).unwrap()
    };
    let (lost, refused) =
        (Code::RD_KAFKA_RESP_ERR__TRANSPORT, Code::RD_KAFKA_RESP_ERR_POLICY_VIOLATION);
    assert_eq!(status(&[]), DeliveryStatus::Persisted);
    assert_eq!(status(&[refused]), DeliveryStatus::NotPersisted);
    assert_eq!(status(&[lost, refused]), DeliveryStatus::PossiblyPersisted);
}

fn poll(cluster: &Cluster) -> PartitionPoll<DefaultConsumerContext> {
    let mut config = config(cluster);
    config.set("group.id", "g").set("auto.offset.reset", "error");
    config.set("enable.partition.eof", "true");
    let consumer: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
    PartitionPoll::of(&consumer).unwrap()
}

fn assign(poll: &PartitionPoll<DefaultConsumerContext>, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", partition, Offset::Offset(offset)).unwrap();
    poll.consumer().incremental_assign(&list).unwrap();
}

/// The next thing about a partition, as a text.
fn next(poll: &PartitionPoll<DefaultConsumerContext>) -> String {
    loop {
        let mut told = None;
        poll.next(PATIENCE, |polled| {
            told = match polled {
                Polled::Record { topic, partition, offset, value, .. } => {
                    let text = value.map(<[u8]>::escape_ascii).unwrap();
                    Some(format!("{topic}/{partition} {offset}: {text}"))
                }
                Polled::Partition { topic, partition, offset, code, .. } => match code {
                    END_REACHED => Some(format!("{topic}/{partition} ends at {offset}")),
                    POSITION_LOST => Some(format!("{topic}/{partition} lost")),
                    _ => None,
                },
                Polled::Client { .. } => None,
            };
        });
        if let Some(told) = told {
            return told;
        }
    }
}

#[test]
fn what_is_polled_names_its_partition_be_it_an_error() {
    let cluster = cluster();
    let (producer, statuses) = producer(&cluster);
    for text in ["a", "b"] {
        send(&producer, 1, text);
        assert_eq!(statuses.recv_timeout(PATIENCE), Ok(DeliveryStatus::Persisted));
    }
    let poll = poll(&cluster);
    assert_eq!(poll.known_end("t", 1), None);
    assign(&poll, 1, 0);
    assert_eq!([next(&poll), next(&poll), next(&poll)], ["t/1 0: a", "t/1 1: b", "t/1 ends at 2"]);
    assert_eq!(poll.known_end("t", 1), Some(2));
    // A position that the partition does not have.
    assign(&poll, 0, 7);
    assert_eq!(next(&poll), "t/0 lost");
}

#[test]
fn a_poll_that_waits_can_be_woken() {
    let cluster = cluster();
    let poll = Arc::new(poll(&cluster));
    let waits = {
        let poll = Arc::clone(&poll);
        // Longer than any test runs, but for the wake-up.
        thread::spawn(move || while poll.next(Duration::from_secs(3_600), |_| {}) {})
    };
    poll.wake();
    waits.join().unwrap();
}

#[test]
fn a_consumer_without_a_group_has_nothing_to_poll() {
    let consumer: Arc<BaseConsumer> = Arc::new(config(&cluster()).create().unwrap());
    assert_eq!(PartitionPoll::of(&consumer).err(), Some(PollUnavailable));
}

#[test]
fn edges_of_several_partitions_come_in_one_answer() {
    let cluster = cluster();
    let (producer, statuses) = producer(&cluster);
    send(&producer, 1, "a");
    assert_eq!(statuses.recv_timeout(PATIENCE), Ok(DeliveryStatus::Persisted));
    let ask = |partitions: &[(&str, i32)], edge| {
        let listed = list_offsets(producer.client(), partitions, edge, PATIENCE).unwrap();
        let offset = |listed: cortado_kafka_ffi::ListedOffset| {
            (listed.partition, listed.found.map(|(offset, _)| offset))
        };
        let mut offsets: Vec<_> = listed.into_iter().map(offset).collect();
        offsets.sort_by_key(|(partition, _)| *partition);
        offsets
    };
    assert_eq!(ask(&[], OffsetEdge::End), []);
    assert_eq!(ask(&[("t", 1), ("t", 0)], OffsetEdge::End), [(0, Ok(0)), (1, Ok(1))]);
    assert_eq!(ask(&[("t", 1)], OffsetEdge::First), [(1, Ok(0))]);
}

#[test]
fn a_call_that_is_not_answered_ends_by_its_bound() {
    // The mock cluster does not describe topics.
    let cluster = cluster();
    let client: rdkafka::admin::AdminClient<DefaultClientContext> =
        config(&cluster).create().unwrap();
    let described = describe_topics(client.inner(), &["t"], Duration::from_millis(100));
    assert!(described.is_err(), "{described:?}");
    let named = describe_topics(client.inner(), &["a\0b"], PATIENCE);
    assert!(matches!(named, Err(AdminCallError::Failed { .. })), "{named:?}");
    assert_eq!(describe_topics(client.inner(), &[], PATIENCE), Ok(Vec::new()));
}
