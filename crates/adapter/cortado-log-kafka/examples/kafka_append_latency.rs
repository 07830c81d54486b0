//! What the log costs above its client: appends of 1 KiB to real brokers on this machine, through
//! the log and through a bare pool of rdkafka producers, in one run.
//!
//! `cargo run --release -p cortado-log-kafka --example kafka_append_latency`
//! Rounds alternate, so that a slow moment of the machine meets both alike. Three brokers and the
//! client share its cores: read the ratios, not the numbers.

use bytes::Bytes;
use cortado_kafka_brokers::{Pace, brokers_for_test};
use cortado_log::{AppendOutcome, Log, LogSpec, outcomes_of};
use cortado_log_kafka::{KafkaLog, KafkaSettings};
use cortado_model::{DatabaseId, PartitionId, PartitionUuid};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const RECORD: &[u8] = &[0xA5; 1_024];
const ROUNDS: usize = 4;
const TASKS: u32 = 64;
const APPENDS: usize = 60;
const PRODUCERS: usize = 8;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let Some(brokers) = brokers_for_test(3, 0, Pace::Steady) else { return Ok(()) };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let settings = KafkaSettings {
            producers: PRODUCERS,
            call_timeout: Duration::from_secs(60),
            ..KafkaSettings::new(brokers.bootstrap())
        };
        let log = Arc::new(KafkaLog::open(settings).await?);
        let (database, uuid) = (DatabaseId(1), PartitionUuid(1 << 96));
        let spec = LogSpec { database, name: "latency".to_owned(), uuid, partitions: TASKS };
        log.create(&spec).await?;
        let bare = Bare::new(&brokers.bootstrap(), "cortado-latency-00000001".to_owned())?;
        for (partitions, name) in [(TASKS, "64 partitions"), (1, "1 partition")] {
            let (mut through_log, mut through_client) = (Samples::default(), Samples::default());
            // The first round makes connections, and does not count.
            for round in 0..=ROUNDS {
                let mut one = Samples::default();
                one.measure(|task| append_through_log(Arc::clone(&log), task % partitions)).await?;
                let mut other = Samples::default();
                other.measure(|task| append_bare(bare.clone(), task % partitions)).await?;
                if round > 0 {
                    through_log.add(one);
                    through_client.add(other);
                }
            }
            let base = through_client.print(&format!("{name}, 64 tasks, bare pool"), None);
            through_log.print(&format!("{name}, 64 tasks, log"), Some(base));
        }
        Ok(())
    })
}

async fn append_through_log(log: Arc<KafkaLog>, number: u32) -> Vec<Duration> {
    let mut producer = log.producer(PartitionId { database: DatabaseId(1), number });
    let mut took = Vec::with_capacity(APPENDS);
    let mut outcomes = Vec::new();
    for _ in 0..APPENDS {
        let start = Instant::now();
        producer.send(vec![Bytes::from_static(RECORD)]);
        outcomes.clear();
        outcomes_of(producer.as_mut(), &mut outcomes).await;
        assert!(matches!(outcomes[..], [AppendOutcome::At(_)]), "{outcomes:?}");
        took.push(start.elapsed());
    }
    took
}

/// Producers with the settings that the log uses, and nothing around them.
#[derive(Clone)]
struct Bare {
    producers: Vec<ThreadedProducer<Tell>>,
    topic: String,
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

impl Bare {
    fn new(bootstrap: &str, topic: String) -> Outcome<Bare> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("message.timeout.ms", "0");
        let producers = (0..PRODUCERS).map(|_| config.create_with_context(Tell));
        Ok(Bare { producers: producers.collect::<Result<_, _>>()?, topic })
    }
}

async fn append_bare(bare: Bare, number: u32) -> Vec<Duration> {
    let producer = &bare.producers[number as usize % PRODUCERS];
    let mut took = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let start = Instant::now();
        let (tell, told) = oneshot::channel();
        let record: BaseRecord<'_, (), [u8], _> =
            BaseRecord::with_opaque_to(&bare.topic, Box::new(tell));
        let sent = producer.send(record.partition(number as i32).payload(RECORD));
        assert!(sent.is_ok(), "the queue has room");
        assert_eq!(told.await, Ok(true), "nothing fails here");
        took.push(start.elapsed());
    }
    took
}

/// What the rounds of one kind took.
#[derive(Default)]
struct Samples {
    took: Vec<Duration>,
    elapsed: Duration,
}

impl Samples {
    /// Lets all tasks append at once.
    async fn measure<F>(&mut self, append: impl Fn(u32) -> F) -> Outcome<()>
    where
        F: Future<Output = Vec<Duration>> + Send + 'static,
    {
        let start = Instant::now();
        let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(append(task))).collect();
        for task in tasks {
            self.took.extend(task.await?);
        }
        self.elapsed += start.elapsed();
        Ok(())
    }

    fn add(&mut self, other: Samples) {
        self.took.extend(other.took);
        self.elapsed += other.elapsed;
    }

    /// Prints a line and answers the median in milliseconds, and the rate.
    fn print(&mut self, name: &str, base: Option<(f64, f64)>) -> (f64, f64) {
        self.took.sort_unstable();
        let at = |share: f64| {
            let index = ((self.took.len() - 1) as f64 * share) as usize;
            self.took[index].as_secs_f64() * 1e3
        };
        let (p50, p99) = (at(0.5), at(0.99));
        let rate = self.took.len() as f64 / self.elapsed.as_secs_f64();
        print!("{name:36} p50 {p50:7.1} ms  p99 {p99:7.1} ms  {rate:7.0} appends/s");
        match base {
            Some((base_p50, base_rate)) => {
                println!("  (p50 x {:.2}, rate x {:.2} of bare)", p50 / base_p50, rate / base_rate);
            }
            None => println!(),
        }
        (p50, rate)
    }
}
