//! What the log costs above the disk: append and sync of 1 KB, raw and through the log, one run.
//!
//! `cargo run --release -p cortado-log-embedded --example append_latency [DIRECTORY]`
//! Rounds alternate, so that a slow moment of the machine meets all of them alike.

use bytes::Bytes;
use cortado_log::conformance::block_on;
use cortado_log::{Log, LogSpec, Producer, outcomes_of};
use cortado_log_embedded::{EmbeddedLog, Settings};
use cortado_model::{DatabaseId, PartitionId, PartitionUuid};
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RECORD: &[u8] = &[0xA5; 1_024];
const ROUNDS: usize = 8;
const APPENDS: usize = 500;
const APPENDERS: usize = 64;
const APPENDS_OF_MANY: usize = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = match std::env::args().nth(1) {
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    let raw = Raw::new(&directory.path().join("raw"))?;
    let log_directory = directory.path().join("log");
    std::fs::create_dir(&log_directory)?;
    let log = Arc::new(EmbeddedLog::open(Settings::new(log_directory))?);
    let (database, uuid) = (partition(0).database, PartitionUuid(1));
    let spec = LogSpec { database, name: "latency".to_owned(), uuid, partitions: 16 };
    block_on(log.create(&spec))?;
    let (mut ceiling, mut one, mut many) = (Samples::new(), Samples::new(), Samples::new());
    for round in 0..ROUNDS {
        ceiling.measure(|took| raw.appends(round, took))?;
        one.measure(|took| append_alone(&log, took))?;
        many.measure(|took| append_with_many(&log, took))?;
    }
    let base = ceiling.print("raw write + fdatasync", None);
    one.print("log, 1 appender", Some(base));
    many.print("log, 64 appenders", Some(base));
    println!("local_end: {:.1} ns", local_end_ns(log.as_ref()));
    Ok(())
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A file of zeros, written in order.
struct Raw {
    file: File,
}

impl Raw {
    fn new(path: &Path) -> Result<Raw, Box<dyn std::error::Error>> {
        let file = File::create_new(path)?;
        let zeros = vec![0; ROUNDS * APPENDS * RECORD.len()];
        file.write_all_at(&zeros, 0)?;
        file.sync_all()?;
        Ok(Raw { file })
    }

    fn appends(&self, round: usize, took: &mut Vec<Duration>) -> Outcome {
        for number in 0..APPENDS {
            let position = (round * APPENDS + number) * RECORD.len();
            let start = Instant::now();
            self.file.write_all_at(RECORD, position as u64)?;
            self.file.sync_data()?;
            took.push(start.elapsed());
        }
        Ok(())
    }
}

fn partition(number: usize) -> PartitionId {
    PartitionId { database: DatabaseId(1), number: number as u32 }
}

fn append_alone(log: &EmbeddedLog, took: &mut Vec<Duration>) -> Outcome {
    let mut producer = log.producer(partition(0));
    for _ in 0..APPENDS {
        let start = Instant::now();
        block_on(append(producer.as_mut()));
        took.push(start.elapsed());
    }
    Ok(())
}

/// Appends one record and waits until it is durable.
async fn append(producer: &mut dyn Producer) {
    producer.send(vec![Bytes::from_static(RECORD)]);
    let mut outcomes = Vec::new();
    outcomes_of(producer, &mut outcomes).await;
    assert!(matches!(outcomes[..], [cortado_log::AppendOutcome::At(_)]), "{outcomes:?}");
}

/// Each of the appenders is a task that appends again when it has been answered.
fn append_with_many(log: &Arc<EmbeddedLog>, took: &mut Vec<Duration>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..APPENDERS)
            .map(|number| {
                let log = Arc::clone(log);
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    let mut producer = log.producer(partition(number % 16));
                    for _ in 0..APPENDS_OF_MANY {
                        let start = Instant::now();
                        append(producer.as_mut()).await;
                        took.push(start.elapsed());
                    }
                    took
                })
            })
            .collect();
        for task in tasks {
            took.extend(task.await?);
        }
        Ok(())
    })
}

fn local_end_ns(log: &dyn Log) -> f64 {
    let calls = 1_000_000;
    let start = Instant::now();
    for _ in 0..calls {
        black_box(log.local_end(black_box(partition(3))));
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// What the rounds of one kind took.
struct Samples {
    took: Vec<Duration>,
    elapsed: Duration,
}

impl Samples {
    fn new() -> Samples {
        Samples { took: Vec::new(), elapsed: Duration::ZERO }
    }

    fn measure(&mut self, round: impl FnOnce(&mut Vec<Duration>) -> Outcome) -> Outcome {
        let start = Instant::now();
        round(&mut self.took)?;
        self.elapsed += start.elapsed();
        Ok(())
    }

    /// Prints a line and answers the median in microseconds, and the rate.
    fn print(&mut self, name: &str, base: Option<(f64, f64)>) -> (f64, f64) {
        self.took.sort_unstable();
        let at = |share: f64| {
            let index = ((self.took.len() - 1) as f64 * share) as usize;
            self.took[index].as_secs_f64() * 1e6
        };
        let (p50, p99) = (at(0.5), at(0.99));
        let rate = self.took.len() as f64 / self.elapsed.as_secs_f64();
        print!("{name:24} p50 {p50:8.1} us  p99 {p99:8.1} us  {rate:9.0} appends/s");
        match base {
            Some((base_p50, base_rate)) => {
                println!("  (p50 x {:.2}, rate x {:.2} of raw)", p50 / base_p50, rate / base_rate)
            }
            None => println!(),
        }
        (p50, rate)
    }
}
