//! Beats in a topic of their own: a stream for each broker, so that each broker's silence shows.
//!
//! A beat goes to every partition, each of which another broker leads. It is sent once: what comes
//! late is worth nothing. Start reading at [`KafkaBeats`].
//! Source: docs/protocols/failover.md, "Beats".

use crate::beat_inbox::{BeatInbox, BeatInboxes};
use crate::client_config;
use crate::client_voice::{ClientVoice, tell_code, tell_error, tell_log};
use crate::cluster_admin::{ClusterAdmin, TopicReplicas};
use crate::delivery_verdict::{DeliveryReport, DeliveryVerdict, judge};
use crate::known_logs::KnownLogs;
use crate::lifecycle::{Lifecycle, kafka_number};
use crate::naming::liveness_topic;
use crate::open_error::KafkaOpenError;
use crate::opening::{demand, require_brokers};
use crate::polled_producer::PolledProducer;
use crate::settings::KafkaSettings;
use crate::topic_demands::TopicDemands;
use bytes::Bytes;
use cortado_kafka_ffi::{OffsetEdge, PartitionPoll, Polled, delivery_status};
use cortado_log::{BeatFollower, BeatNotSent, Beats, Cause, Drift, HeardBeat, Pending};
use cortado_model::BeatStream;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::warn;

/// How long beats that were acknowledged may not be heard before the consumer is made anew.
const UNHEARD_MAX: Duration = Duration::from_secs(10);
/// How often is looked for that.
const POLL: Duration = Duration::from_secs(1);

/// The streams of beats of a Kafka cluster, for all nodes of a process.
pub struct KafkaBeats {
    topic: Arc<str>,
    lifecycle: Arc<Lifecycle>,
    streams: u32,
    /// `None` once it is let go.
    producer: PolledProducer<BeatDeliveries>,
    inboxes: Arc<BeatInboxes>,
    closed: Arc<AtomicBool>,
}

impl KafkaBeats {
    /// Connects to a cluster; makes the topic of beats if it is not there.
    ///
    /// # Errors
    /// See [`KafkaOpenError`].
    pub async fn open(settings: KafkaSettings) -> Result<KafkaBeats, KafkaOpenError> {
        settings.check()?;
        let client = |error| KafkaOpenError::Client(io::Error::other(error));
        let admin = Arc::new(ClusterAdmin::new(settings.clone()).map_err(client)?);
        let brokers = require_brokers(&admin, &settings).await?;
        let known = Arc::<KnownLogs>::default();
        let lifecycle = Arc::new(Lifecycle { settings: settings.clone(), admin, known });
        let topic: Arc<str> = Arc::from(liveness_topic(&settings.topic_prefix));
        let unreachable = |source| {
            let bootstrap_servers = settings.bootstrap_servers.clone();
            KafkaOpenError::Unreachable { bootstrap_servers, source }
        };
        if lifecycle.admin.topic(&topic).await.map_err(unreachable)?.is_none() {
            demand(&brokers, settings.replication_factor)?;
            make_topic(&lifecycle, &topic, &brokers).await.map_err(unreachable)?;
        }
        let ends = ends_of(&lifecycle, &topic).await.map_err(unreachable)?;
        let inboxes = Arc::new(BeatInboxes::new(&ends));
        let deliveries = BeatDeliveries { inboxes: Arc::clone(&inboxes) };
        let producer = PolledProducer::new(&client_config::beat_producer(&settings), deliveries);
        let producer = producer.map_err(client)?;
        let closed = Arc::new(AtomicBool::new(false));
        let hearing = Hearing {
            settings,
            topic: Arc::clone(&topic),
            inboxes: Arc::clone(&inboxes),
            closed: Arc::clone(&closed),
        };
        let poll = hearing.consume().map_err(KafkaOpenError::Client)?;
        let thread = thread::Builder::new().name("cortado-kafka-beats".to_owned());
        thread.spawn(move || hearing.run(poll)).map_err(KafkaOpenError::Client)?;
        let streams = ends.len() as u32;
        Ok(KafkaBeats { topic, lifecycle, streams, producer, inboxes, closed })
    }
}

/// Makes the topic unless it is there; answers where its partitions end.
async fn make_topic(lifecycle: &Lifecycle, topic: &Arc<str>, brokers: &[i32]) -> io::Result<()> {
    let demands = TopicDemands::of_beats(&lifecycle.settings);
    let replicas = spread(brokers, demands.replication_factor());
    let replicas: Vec<&[i32]> = replicas.iter().map(Vec::as_slice).collect();
    let replicas = TopicReplicas::Assigned(&replicas);
    let settings: Vec<_> = demands.settings().collect();
    let streams = brokers.len() as u32;
    lifecycle.admin.create_topic(topic, streams, &replicas, &settings).await.map(drop)
}

/// How the topic differs from what it should be.
async fn drift_of(lifecycle: &Lifecycle, topic: &str) -> io::Result<Vec<Drift>> {
    let Some(found) = lifecycle.settled_topic(topic, None).await? else {
        let (setting, found) = (format!("topic {topic}"), "deleted".to_owned());
        return Ok(vec![Drift { setting, found, wanted: "there: restart the node".to_owned() }]);
    };
    let told = lifecycle.settled_settings(topic).await?;
    if told.is_empty() {
        // A broker that does not know the topic yet, or no longer.
        return Err(io::Error::other("the brokers do not tell the settings of the topic"));
    }
    let demands = TopicDemands::of_beats(&lifecycle.settings);
    Ok(demands.drift(&found, |name| told.get(name).cloned()))
}

/// Where each stream ends.
async fn ends_of(lifecycle: &Lifecycle, topic: &Arc<str>) -> io::Result<Vec<u64>> {
    let found = lifecycle.led_topic(topic).await?;
    let place = |number| (Arc::clone(topic), kafka_number(number));
    let places: Vec<_> = (0..found.partitions.len() as u32).map(place).collect();
    let ends = lifecycle.edges(&places, OffsetEdge::End).await.map_err(io::Error::other)?;
    Ok(ends.into_iter().map(|(end, _)| end).collect())
}

/// Who keeps which stream: each broker leads one, and those behind it follow.
fn spread(brokers: &[i32], factor: usize) -> Vec<Vec<i32>> {
    let replicas = |first| brokers.iter().cycle().skip(first).take(factor).copied().collect();
    (0..brokers.len()).map(replicas).collect()
}

impl Beats for KafkaBeats {
    fn streams(&self) -> u32 {
        self.streams
    }

    fn send(&self, beat: Bytes) -> Pending<Result<(), BeatNotSent>> {
        let mut answers = Vec::with_capacity(self.streams as usize);
        for stream in (0..self.streams).map(BeatStream) {
            let (tell, answer) = oneshot::channel();
            answers.push((stream, answer));
            let ticket = Box::new(BeatTicket { stream, tell });
            let record: BaseRecord<'_, (), [u8], Box<BeatTicket>> =
                BaseRecord::with_opaque_to(&self.topic, ticket)
                    .partition(kafka_number(stream.0))
                    .payload(&beat);
            if let Err((error, record)) = self.producer.send(record) {
                let _ = record.delivery_opaque.tell.send(Err(Cause::refused(error)));
            }
        }
        Box::pin(async move {
            for (stream, answer) in answers {
                let lost = |_| Err(Cause::failed("the streams were closed"));
                let answer = answer.await.unwrap_or_else(lost);
                answer.map_err(|cause| BeatNotSent { stream, cause })?;
            }
            Ok(())
        })
    }

    fn drift(&self) -> Pending<Result<Vec<Drift>, Cause>> {
        let (lifecycle, topic) = (Arc::clone(&self.lifecycle), Arc::clone(&self.topic));
        Box::pin(async move { drift_of(&lifecycle, &topic).await.map_err(Cause::failed) })
    }

    fn follow(&self) -> Box<dyn BeatFollower> {
        Box::new(InboxFollower(self.inboxes.follow()))
    }
}

impl Drop for KafkaBeats {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

struct InboxFollower(Arc<Mutex<BeatInbox>>);

impl BeatFollower for InboxFollower {
    fn poll_heard(&mut self, context: &mut Context<'_>, heard: &mut Vec<HeardBeat>) -> Poll<()> {
        self.0.lock().poll(context, heard)
    }
}

/// A beat on its way on one stream.
struct BeatTicket {
    stream: BeatStream,
    tell: oneshot::Sender<Result<(), Cause>>,
}

struct BeatDeliveries {
    inboxes: Arc<BeatInboxes>,
}

impl ClientContext for BeatDeliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tell_log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tell_error(&error, reason);
    }
}

impl ProducerContext for BeatDeliveries {
    type DeliveryOpaque = Box<BeatTicket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<BeatTicket>) {
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => (message, Some(error)),
        };
        let why = || error.map_or_else(String::new, ToString::to_string);
        let code = error.and_then(KafkaError::rdkafka_error_code);
        let code = code.map_or(i32::from(error.is_some()), |code| code as i32);
        let offset = message.offset();
        // It is tried once: there is no earlier try to doubt.
        let is_doubted = false;
        let report = DeliveryReport { code, status: delivery_status(message), offset, is_doubted };
        let answer = match judge(report, 0) {
            DeliveryVerdict::At(offset) => {
                self.inboxes.sent(ticket.stream, offset);
                Ok(())
            }
            DeliveryVerdict::Somewhere => Ok(()),
            DeliveryVerdict::NotAppended => Err(Cause::refused(why())),
            DeliveryVerdict::Perhaps => Err(Cause::failed(why())),
        };
        // Who does not wait for it need not hear it.
        let _ = ticket.tell.send(answer);
    }
}

/// The thread that hears all streams.
struct Hearing {
    settings: KafkaSettings,
    topic: Arc<str>,
    inboxes: Arc<BeatInboxes>,
    closed: Arc<AtomicBool>,
}

impl Hearing {
    /// A consumer that goes on where the streams stand.
    fn consume(&self) -> io::Result<PartitionPoll<ClientVoice>> {
        let mut config = client_config::consumer(&self.settings);
        // What is not there any more is of the past.
        config.set("auto.offset.reset", "latest").set("enable.partition.eof", "false");
        let consumer = config.create_with_context(ClientVoice).map_err(io::Error::other)?;
        let consumer: Arc<BaseConsumer<ClientVoice>> = Arc::new(consumer);
        let mut list = TopicPartitionList::new();
        for (next, number) in self.inboxes.places().into_iter().zip(0..) {
            let next = Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX));
            list.add_partition_offset(&self.topic, number, next).map_err(io::Error::other)?;
        }
        consumer.assign(&list).map_err(io::Error::other)?;
        PartitionPoll::of(&consumer).map_err(io::Error::other)
    }

    fn run(self, mut poll: PartitionPoll<ClientVoice>) {
        let mut unheard_since: Option<Instant> = None;
        while !self.closed.load(Ordering::Relaxed) {
            let mut came = false;
            poll.next(POLL, |polled| came = self.hear(polled));
            if came || self.inboxes.unheard() == 0 {
                unheard_since = None;
                continue;
            }
            let since = *unheard_since.get_or_insert_with(Instant::now);
            if since.elapsed() > UNHEARD_MAX {
                unheard_since = None;
                warn!("a Kafka consumer does not hear the beats; a new one takes its place");
                match self.consume() {
                    Ok(next) => poll = next,
                    Err(error) => warn!(%error, "no Kafka consumer can be made"),
                }
            }
        }
    }

    /// Answers whether it was a beat.
    fn hear(&self, polled: Polled<'_>) -> bool {
        match polled {
            Polled::Record { partition, offset, value, .. } => {
                let place = (u32::try_from(partition), u64::try_from(offset));
                if let (Ok(stream), Ok(offset)) = place {
                    self.inboxes.heard(BeatStream(stream), offset, value.unwrap_or_default());
                }
                true
            }
            Polled::Partition { code, text, .. } | Polled::Client { code, text } => {
                tell_code(code, text);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broker_leads_one_stream_and_follows_others() {
        let spread = spread(&[1, 4, 7], 2);
        assert_eq!(spread, [vec![1, 4], vec![4, 7], vec![7, 1]]);
        assert_eq!(super::spread(&[1], 1), [vec![1]]);
    }
}
