//! A log that keeps the transactions of `_cluster` back until it is told to let them go.
//!
//! Nodes live, lead and beat meanwhile, and nothing can be registered. Start reading at
//! [`HeldLog`].

use bytes::Bytes;
use cortado_log::memory::SharedMemoryLog;
use cortado_log::{
    AppendOutcome, CreateError, Extent, Follower, Log, LogPage, LogReadError, LogSpec, LogTraits,
    Pending, Producer, RemoveError, TrimError, Verified, VerifyError,
};
use cortado_model::{LogId, LogOffset, LogPosition, PartitionId};
use cortado_replica::{Body, Frame};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct HeldLog {
    log: SharedMemoryLog,
    /// The producers that keep something back; `None` once it is let go.
    waiting: Arc<Mutex<Option<Vec<Waker>>>>,
    /// How long it says that an append may take.
    stall_max: Duration,
    /// Records that were given up while they were kept.
    abandoned: Arc<AtomicUsize>,
}

impl HeldLog {
    pub(crate) fn new(log: SharedMemoryLog) -> HeldLog {
        let stall_max = log.stall_max();
        let (waiting, abandoned) = (Arc::new(Mutex::new(Some(Vec::new()))), Arc::default());
        HeldLog { log, waiting, stall_max, abandoned }
    }

    /// The same, of which nobody need wait for long.
    pub(crate) fn with_little_patience(log: SharedMemoryLog) -> HeldLog {
        HeldLog { stall_max: Duration::from_millis(100), ..HeldLog::new(log) }
    }

    /// Records that were given up while they were kept.
    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::Relaxed)
    }

    pub(crate) fn let_go(&self) {
        let waiting = self.waiting.lock().unwrap().take();
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Sends what comes before the first transaction, and keeps the rest.
struct HeldProducer {
    producer: Box<dyn Producer>,
    kept: Vec<Bytes>,
    waiting: Arc<Mutex<Option<Vec<Waker>>>>,
    abandoned: Arc<AtomicUsize>,
}

fn is_transaction(record: &Bytes) -> bool {
    let record = Frame::read_any(record).unwrap().record().unwrap();
    matches!(record.body, Body::Transaction(_))
}

impl Producer for HeldProducer {
    fn send(&mut self, records: Vec<Bytes>) {
        let held = self.waiting.lock().unwrap().is_some();
        if held && (!self.kept.is_empty() || records.iter().any(is_transaction)) {
            self.kept.extend(records);
        } else {
            self.producer.send(records);
        }
    }

    fn poll_outcomes(
        &mut self,
        context: &mut Context<'_>,
        outcomes: &mut Vec<AppendOutcome>,
    ) -> Poll<()> {
        if !self.kept.is_empty() {
            match self.waiting.lock().unwrap().as_mut() {
                Some(waiting) => waiting.push(context.waker().clone()),
                None => self.producer.send(std::mem::take(&mut self.kept)),
            }
        }
        if self.producer.outstanding() == 0 && !self.kept.is_empty() {
            return Poll::Pending;
        }
        self.producer.poll_outcomes(context, outcomes)
    }

    fn outstanding(&self) -> usize {
        self.producer.outstanding() + self.kept.len()
    }

    fn abandon(self: Box<Self>) -> Vec<AppendOutcome> {
        self.abandoned.fetch_add(self.kept.len(), Ordering::Relaxed);
        let kept =
            self.kept.iter().map(|_| AppendOutcome::Perhaps(cortado_log::Cause::failed("kept")));
        let kept: Vec<AppendOutcome> = kept.collect();
        self.producer.abandon().into_iter().chain(kept).collect()
    }
}

impl Log for HeldLog {
    fn traits(&self) -> LogTraits {
        self.log.traits()
    }
    fn create(&self, spec: &LogSpec) -> Pending<Result<LogId, CreateError>> {
        self.log.create(spec)
    }
    fn verify(&self, spec: &LogSpec) -> Pending<Result<Verified, VerifyError>> {
        self.log.verify(spec)
    }
    fn remove(&self, spec: &LogSpec) -> Pending<Result<(), RemoveError>> {
        self.log.remove(spec)
    }
    fn extents(&self, partitions: &[PartitionId]) -> Pending<Result<Vec<Extent>, LogReadError>> {
        self.log.extents(partitions)
    }
    fn producer(&self, partition: PartitionId) -> Box<dyn Producer> {
        let producer = self.log.producer(partition);
        if partition != PartitionId::CLUSTER {
            return producer;
        }
        let (kept, waiting) = (Vec::new(), Arc::clone(&self.waiting));
        let abandoned = Arc::clone(&self.abandoned);
        Box::new(HeldProducer { producer, kept, waiting, abandoned })
    }
    fn follow(&self, partition: PartitionId, from: LogPosition) -> Box<dyn Follower> {
        self.log.follow(partition, from)
    }
    fn read(
        &self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Pending<Result<LogPage, LogReadError>> {
        self.log.read(partition, from, bytes_max)
    }
    fn local_end(&self, partition: PartitionId) -> Option<LogOffset> {
        self.log.local_end(partition)
    }
    fn stall_max(&self) -> Duration {
        self.stall_max
    }
    fn trim(
        &self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Pending<Result<(), TrimError>> {
        self.log.trim(partition, log, below)
    }
}
