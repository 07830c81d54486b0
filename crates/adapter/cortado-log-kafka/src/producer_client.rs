//! One client of librdkafka that appends, shared by many partitions.
//!
//! Knows how many records it still owes an answer that is waited for: it is closed when there are
//! none, or when it must be. Start reading at [`ProducerClient::send`].

use crate::client_config;
use crate::client_voice::{LEADER_IN_DOUBT, tell_error, tell_log};
use crate::delivery_verdict::{DeliveryReport, DeliveryVerdict, ends_the_client, judge};
use crate::known_logs::KnownLog;
use crate::lifecycle::kafka_number;
use crate::outcome_queue::OutcomeQueue;
use crate::polled_producer::PolledProducer;
use crate::settings::KafkaSettings;
use cortado_kafka_ffi::delivery_status;
use cortado_log::{AppendOutcome, Cause};
use cortado_model::{LogOffset, LogPosition, PartitionId};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, PurgeConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How long a client that is let go may still send what it was given.
const FLUSH: Duration = Duration::from_secs(5);

/// A client, and the thread that hears its reports.
pub(crate) struct ProducerClient {
    /// `None` once it is let go.
    producer: Option<PolledProducer<Deliveries>>,
    load: Arc<Load>,
}

/// What a client has to do.
#[derive(Debug, Default)]
struct Load {
    awaited: Mutex<Awaited>,
    /// Of all records that it holds.
    bytes: AtomicU64,
    /// It can append no more.
    ended: AtomicBool,
    /// How often a broker has refused something with a code that also follows an append.
    doubts: AtomicU64,
}

#[derive(Debug, Default)]
struct Awaited {
    /// Records without an answer whose producer was not abandoned.
    records: usize,
    /// It takes no more.
    closed: bool,
}

/// A record on its way, and whom to tell.
pub(crate) struct Ticket {
    pub(crate) queue: Arc<OutcomeQueue>,
    pub(crate) number: u64,
    pub(crate) log: Arc<KnownLog>,
    pub(crate) partition: PartitionId,
    pub(crate) show: Show,
}

/// Sees to it that a consumer shows what is acknowledged in a partition and was not seen.
pub(crate) type Show = Arc<dyn Fn(PartitionId, &Arc<KnownLog>) + Send + Sync>;

/// A record that librdkafka has, and how many doubts there were before that.
struct Sent {
    ticket: Ticket,
    doubts: u64,
}

/// What reports turn into.
struct Deliveries {
    load: Arc<Load>,
}

impl ProducerClient {
    pub(crate) fn new(settings: &KafkaSettings) -> KafkaResult<ProducerClient> {
        let load = Arc::new(Load::default());
        let deliveries = Deliveries { load: Arc::clone(&load) };
        let producer = PolledProducer::new(&client_config::producer(settings), deliveries)?;
        Ok(ProducerClient { producer: Some(producer), load })
    }

    /// Whether it can append no more.
    pub(crate) fn has_ended(&self) -> bool {
        let is_fatal =
            |producer: &PolledProducer<Deliveries>| producer.client().fatal_error().is_some();
        self.load.ended.load(Ordering::Relaxed) || self.producer.as_ref().is_some_and(is_fatal)
    }

    /// Bytes of the records that it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.load.bytes.load(Ordering::Relaxed)
    }

    /// How often a broker has refused something with a code that also follows an append.
    pub(crate) fn doubts(&self) -> u64 {
        self.load.doubts.load(Ordering::Relaxed)
    }

    /// Takes upon itself to answer `records` more; not if it is closed, or has ended.
    pub(crate) fn reserve(&self, records: usize) -> bool {
        let mut awaited = self.load.awaited.lock();
        if awaited.closed || self.has_ended() {
            return false;
        }
        awaited.records += records;
        true
    }

    /// The answers to so many records are not waited for any more.
    pub(crate) fn settle(&self, records: usize) {
        self.load.settle(records);
    }

    /// Hands over one record, for which [`reserve`](Self::reserve) was called; where that fails,
    /// it is answered as not appended.
    ///
    /// # Errors
    /// Why it was not taken: the records behind it should not be handed over.
    pub(crate) fn send(&self, record: &[u8], ticket: Ticket) -> Result<(), Cause> {
        let log = Arc::clone(&ticket.log);
        let partition = kafka_number(ticket.partition.number);
        let bytes = record.len() as u64;
        self.load.bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = Sent { ticket, doubts: self.doubts() };
        let base: BaseRecord<'_, (), [u8], Box<Sent>> =
            BaseRecord::with_opaque_to(&log.topic, Box::new(sent))
                .partition(partition)
                .payload(record);
        let Some(producer) = &self.producer else { return Ok(()) };
        let Err((error, base)) = producer.send(base) else { return Ok(()) };
        self.load.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if error.rdkafka_error_code().is_some_and(|code| ends_the_client(code as i32)) {
            self.load.ended.store(true, Ordering::Relaxed);
        }
        let cause = Cause::refused(error);
        let ticket = &base.delivery_opaque.ticket;
        self.load.answer(ticket, AppendOutcome::NotAppended(cause.clone()));
        Err(cause)
    }

    /// Closes it if nobody waits for an answer of it: what it still holds is not sent any more,
    /// unless it is on its way.
    pub(crate) fn close_if_idle(self: &Arc<Self>) -> bool {
        {
            let mut awaited = self.load.awaited.lock();
            if awaited.records > 0 {
                return false;
            }
            awaited.closed = true;
        }
        self.purge();
        true
    }

    /// Closes it whoever waits: they are answered, with "not appended" where nothing was sent.
    pub(crate) fn close(self: &Arc<Self>) {
        self.load.awaited.lock().closed = true;
        self.purge();
    }

    /// On a thread of its own: librdkafka waits for the threads of all its brokers there.
    fn purge(self: &Arc<Self>) {
        let client = Arc::clone(self);
        thread::spawn(move || {
            if let Some(producer) = &client.producer {
                producer.purge(PurgeConfig::default().queue().inflight());
            }
        });
    }
}

impl Drop for ProducerClient {
    /// Lets the client go on a thread of its own: to wait for its end takes time.
    fn drop(&mut self) {
        let Some(producer) = self.producer.take() else { return };
        let load = Arc::clone(&self.load);
        thread::spawn(move || {
            if load.awaited.lock().records > 0 {
                // Dropped producers drop no record, unless the cluster does not take it.
                let _ = producer.flush(FLUSH);
            }
            drop(producer);
        });
    }
}

impl Load {
    fn settle(&self, records: usize) {
        self.awaited.lock().records -= records;
    }

    /// Tells an outcome; what was given up is not waited for.
    fn answer(&self, ticket: &Ticket, outcome: AppendOutcome) {
        if ticket.queue.answer(ticket.number, outcome) {
            self.settle(1);
        }
    }
}

impl ClientContext for Deliveries {
    /// librdkafka tells in the order in which it happened, on one queue: a doubt comes before the
    /// report on any record that it concerns.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if facility == LEADER_IN_DOUBT {
            self.load.doubts.fetch_add(1, Ordering::Relaxed);
        }
        tell_log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.load.ended.store(true, Ordering::Relaxed);
        }
        tell_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => (message, Some(error)),
        };
        self.load.bytes.fetch_sub(message.payload_len() as u64, Ordering::Relaxed);
        let code =
            error.map_or(0, |error| error.rdkafka_error_code().map_or(UNKNOWN, |code| code as i32));
        if ends_the_client(code) {
            self.load.ended.store(true, Ordering::Relaxed);
        }
        let is_doubted = self.load.doubts.load(Ordering::Relaxed) != sent.doubts;
        let (status, offset) = (delivery_status(message), message.offset());
        let report = DeliveryReport { code, status, offset, is_doubted };
        let ticket = sent.ticket;
        let above = match u64::try_from(offset) {
            Ok(offset) if code == 0 => ticket.log.acknowledge(ticket.partition.number, offset),
            Ok(_) | Err(_) => 0,
        };
        let why = || error.map_or_else(|| "it told no reason".to_owned(), ToString::to_string);
        let outcome = match judge(report, above) {
            DeliveryVerdict::At(offset) => return self.await_epoch(offset, ticket),
            DeliveryVerdict::Somewhere => AppendOutcome::Somewhere,
            DeliveryVerdict::NotAppended => AppendOutcome::NotAppended(Cause::refused(why())),
            DeliveryVerdict::Perhaps => AppendOutcome::Perhaps(Cause::failed(why())),
        };
        self.load.answer(&ticket, outcome);
    }
}

impl Deliveries {
    /// Answers where a record stands, as soon as it is known under which leader: that is read, not
    /// told, and most records are read before they are acknowledged.
    fn await_epoch(&self, offset: u64, ticket: Ticket) {
        let (log, partition) = (Arc::clone(&ticket.log), ticket.partition);
        let (show, load) = (Arc::clone(&ticket.show), Arc::clone(&self.load));
        let answer = move |epoch: Option<u32>| {
            let at = |epoch| AppendOutcome::At(LogPosition { offset: LogOffset(offset), epoch });
            load.answer(&ticket, epoch.map_or(AppendOutcome::Somewhere, at));
        };
        if log.hear_epoch(partition.number, offset, Box::new(answer)) {
            show(partition, &log);
        }
    }
}

/// What cannot be read as a code of Kafka's.
const UNKNOWN: i32 = -1;
