//! The load: for each partition one writer and one reader, without a pause but a short breath.
//!
//! Start reading at [`Workload`].

use super::ledger::{Ledger, Register};
use super::schema::{DATABASE, VISITS};
use crate::output::thousands;
use bytes::Bytes;
use cortado_client::{Client, ClientError, Outcome, ReadOptions, Table, WriteOptions};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Between two requests of one writer or reader: it leaves a machine of two cores some air.
const BREATH: Duration = Duration::from_millis(4);

/// A document of the workload.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Visits {
    /// Counted up by the document's only writer.
    pub(super) visits: u64,
}

/// The running load.
pub(super) struct Workload {
    shared: Arc<Shared>,
    writers: JoinSet<Vec<Write>>,
    readers: JoinSet<()>,
}

/// What writers and readers share.
#[derive(Debug)]
struct Shared {
    table: Table,
    ledger: Arc<Ledger>,
    is_over: AtomicBool,
    /// By partition.
    acknowledged: Vec<AtomicU64>,
    reads: AtomicU64,
    wrong_reads: AtomicU64,
    failed_reads: AtomicU64,
}

/// What became of one write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) partition: u32,
    /// Which register of the partition.
    pub(super) register: usize,
    pub(super) number: u64,
    pub(super) fate: Fate,
}

/// How a write ended for its client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Acknowledged {
        at: Instant,
    },
    /// Definitely not done.
    Refused,
    /// Perhaps done.
    Open,
}

/// Everything that was written and read.
#[derive(Debug)]
pub(super) struct History {
    pub(super) writes: Vec<Write>,
    pub(super) reads: u64,
    pub(super) wrong_reads: u64,
    pub(super) failed_reads: u64,
}

impl Workload {
    /// Starts to load every partition.
    pub(super) fn start(client: &Client, ledger: &Arc<Ledger>) -> Workload {
        let zero = || AtomicU64::new(0);
        let shared = Arc::new(Shared {
            table: client.database(DATABASE).table(VISITS),
            ledger: Arc::clone(ledger),
            is_over: AtomicBool::new(false),
            acknowledged: ledger.registers.iter().map(|_| zero()).collect(),
            reads: zero(),
            wrong_reads: zero(),
            failed_reads: zero(),
        });
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for partition in 0..ledger.registers.len() {
            writers.spawn(Arc::clone(&shared).write(partition));
            readers.spawn(Arc::clone(&shared).read(partition));
        }
        Workload { shared, writers, readers }
    }

    /// The counts so far, in a sentence.
    pub(super) fn progress(&self) -> String {
        let acknowledged = self.acknowledged().iter().sum();
        let reads = self.shared.reads.load(Ordering::Relaxed);
        format!(
            "{} writes acknowledged, {} strong reads checked",
            thousands(acknowledged),
            thousands(reads)
        )
    }

    /// The writes that were acknowledged so far, by partition.
    pub(super) fn acknowledged(&self) -> Vec<u64> {
        self.shared.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Lets every request under way end, and answers what was done.
    pub(super) async fn stop(self) -> History {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let writes = self.writers.join_all().await.into_iter().flatten().collect();
        self.readers.join_all().await;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        History {
            writes,
            reads: count(&self.shared.reads),
            wrong_reads: count(&self.shared.wrong_reads),
            failed_reads: count(&self.shared.failed_reads),
        }
    }
}

impl Shared {
    /// Writes the registers of a partition in turn.
    async fn write(self: Arc<Shared>, partition: usize) -> Vec<Write> {
        let registers = &self.ledger.registers[partition];
        let run = fastrand::u64(..);
        let mut writes = Vec::new();
        for turn in 0_usize.. {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let register = turn % registers.len();
            let number = registers[register].begin();
            let key = format!("visit-{run:016x}-{turn}");
            let fate = self.write_once(&registers[register], number, &key).await;
            if matches!(fate, Fate::Acknowledged { .. }) {
                self.acknowledged[partition].fetch_add(1, Ordering::Relaxed);
            }
            // A database counts at most 1,024 partitions.
            let partition = partition as u32;
            writes.push(Write { partition, register, number, fate });
            sleep(BREATH).await;
        }
        writes
    }

    async fn write_once(&self, register: &Register, number: u64, key: &str) -> Fate {
        let value = serde_json::to_vec(&Visits { visits: number });
        let value = Bytes::from(value.expect("a number is JSON"));
        let write = WriteOptions { idempotency_key: Some(key), ..WriteOptions::default() };
        match self.table.put(&register.key, value, &write).await {
            Ok(_) => {
                register.acknowledge(number);
                Fate::Acknowledged { at: Instant::now() }
            }
            Err(error) => match error.outcome() {
                Outcome::None => Fate::Refused,
                Outcome::Unknown => Fate::Open,
            },
        }
    }

    /// Reads registers of a partition at random, and judges every answer.
    async fn read(self: Arc<Shared>, partition: usize) {
        let registers = &self.ledger.registers[partition];
        while !self.is_over.load(Ordering::Relaxed) {
            let register = &registers[fastrand::usize(..registers.len())];
            let floor = register.floor();
            match self.read_once(register).await {
                Ok(answer) => {
                    if !register.judge(floor, answer) {
                        self.wrong_reads.fetch_add(1, Ordering::Relaxed);
                    }
                    self.reads.fetch_add(1, Ordering::Relaxed);
                }
                Err(_not_served) => {
                    self.failed_reads.fetch_add(1, Ordering::Relaxed);
                }
            }
            sleep(BREATH).await;
        }
    }

    async fn read_once(&self, register: &Register) -> Result<u64, ClientError> {
        let found = self.table.get(&register.key, &ReadOptions::default()).await?;
        let Some(found) = found else { return Ok(0) };
        let parsed: Result<Visits, _> = serde_json::from_slice(&found.value);
        parsed
            .map(|found| found.visits)
            .map_err(|error| ClientError::BadAnswer { what: error.to_string() })
    }
}
