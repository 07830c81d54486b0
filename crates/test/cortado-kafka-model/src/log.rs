//! The log port on the model: what the Kafka log must do, without Kafka.
//!
//! Drives the cluster's time itself: an answer comes when the cluster has come to it. Start reading
//! at [`KafkaModelLog`]; [`KafkaModelBeats`] are the streams beside it.

mod beats;
mod mischief;
mod state;

pub use beats::KafkaModelBeats;
pub use mischief::KafkaMischief;

use crate::cluster::ClusterEvent;
use crate::defect::ClientDefect;
use crate::settings::ClusterSettings;
use bytes::Bytes;
use cortado_log::{
    Appended, CreateError, Extent, Follower, Log, LogPage, LogReadError, LogSpec, LogTraits,
    Pending, Producer, PullFollower, QueueProducer, RECORD_BYTES_MAX, RemoveError, TrimError,
    Verified, VerifyError,
};
use cortado_model::{LogId, LogOffset, LogPosition, PartitionId};
use state::{Landing, State};
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A [`Log`] on a modelled cluster; clones share it. A topic is a database, as in production.
#[derive(Clone, Debug)]
pub struct KafkaModelLog {
    state: Arc<Mutex<State>>,
}

impl KafkaModelLog {
    /// A log on a cluster of its own.
    pub fn new(settings: ClusterSettings) -> KafkaModelLog {
        KafkaModelLog { state: Arc::new(Mutex::new(State::new(settings, None))) }
    }

    /// A log whose client does not keep one of the rules.
    pub fn with_defect(settings: ClusterSettings, defect: ClientDefect) -> KafkaModelLog {
        KafkaModelLog { state: Arc::new(Mutex::new(State::new(settings, Some(defect)))) }
    }

    /// Lets something happen to the cluster, and then so many microseconds pass.
    pub fn strike(&self, event: ClusterEvent, then_us: u64) {
        let mut state = self.lock();
        state.happen(event);
        state.pass(then_us);
    }

    /// Changes the settings of a database's topic, as an operator does behind our back.
    pub fn alter(&self, spec: &LogSpec, alter: impl FnOnce(&mut crate::TopicSettings)) {
        self.lock().alter(spec, alter);
    }

    /// What a new process finds; appends on their way are "perhaps".
    pub fn restart(&self) {
        self.lock().restart();
    }

    /// Lets something go wrong, in the words of the conformance suite.
    pub fn provoke(&self, partition: PartitionId, mischief: KafkaMischief) {
        self.lock().provoke(partition, mischief);
    }

    fn append(
        &self,
        partition: PartitionId,
        client: u64,
        records: Vec<Bytes>,
    ) -> Pending<Appended> {
        match self.lock().append(partition, client, records) {
            Landing::Told(appended) => Box::pin(ready(appended)),
            Landing::Awaited(told) => Box::pin(async move {
                let why = "the process that sent it has ended";
                let unknown = cortado_log::AppendOutcome::Perhaps(cortado_log::Cause::failed(why));
                told.await.unwrap_or(Appended::Each(unknown))
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No method leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for KafkaModelLog {
    fn traits(&self) -> LogTraits {
        LogTraits { local: false, record_bytes_max: RECORD_BYTES_MAX }
    }

    fn create(&self, spec: &LogSpec) -> Pending<Result<LogId, CreateError>> {
        Box::pin(ready(self.lock().create(spec)))
    }

    fn verify(&self, spec: &LogSpec) -> Pending<Result<Verified, VerifyError>> {
        Box::pin(ready(self.lock().verify(spec)))
    }

    fn remove(&self, spec: &LogSpec) -> Pending<Result<(), RemoveError>> {
        self.lock().remove(spec);
        Box::pin(ready(Ok(())))
    }

    fn extents(&self, partitions: &[PartitionId]) -> Pending<Result<Vec<Extent>, LogReadError>> {
        let mut state = self.lock();
        Box::pin(ready(partitions.iter().map(|one| state.extent(*one)).collect()))
    }

    fn producer(&self, partition: PartitionId) -> Box<dyn Producer> {
        let (log, client) = (self.clone(), self.lock().open_producer(partition));
        Box::new(QueueProducer::new(move |records, _| log.append(partition, client, records)))
    }

    fn follow(&self, partition: PartitionId, from: LogPosition) -> Box<dyn Follower> {
        let mut state = self.lock();
        let followed = state.log_of(partition);
        let end = state.watch_end(partition);
        drop(state);
        let log = self.clone();
        let read = move |from, bytes_max| -> Pending<Result<LogPage, LogReadError>> {
            Box::pin(ready(log.lock().read(partition, followed, from, bytes_max)))
        };
        Box::new(PullFollower::new(read, end, from))
    }

    fn read(
        &self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Pending<Result<LogPage, LogReadError>> {
        Box::pin(ready(self.lock().read(partition, None, from, bytes_max)))
    }

    fn local_end(&self, _partition: PartitionId) -> Option<LogOffset> {
        None
    }

    fn trim(
        &self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Pending<Result<(), TrimError>> {
        Box::pin(ready(self.lock().trim(partition, log, below)))
    }
}
