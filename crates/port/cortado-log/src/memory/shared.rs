//! The asynchronous port on top of the in-memory log, shared by all nodes of the process.
//!
//! Decides nothing: every answer is [`MemoryLog`]'s. Start reading at [`SharedMemoryLog`].

use super::{Fault, Hold, MemoryLog, ReadFault, Receipt};
use crate::{
    AppendOutcome, Appended, Cause, CreateError, Extent, Follower, Log, LogPage, LogReadError,
    LogSpec, LogTraits, Pending, Producer, PullFollower, QueueProducer, RECORD_BYTES_MAX,
    RemoveError, TrimError, Verified, VerifyError,
};
use bytes::Bytes;
use cortado_model::{LogId, LogOffset, LogPosition, PartitionId};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};

/// An in-memory [`Log`]; clones share the records and the faults.
///
/// Every answer but a kept-back one is ready when the call returns.
#[derive(Clone, Debug)]
pub struct SharedMemoryLog {
    state: Arc<Mutex<State>>,
    /// Whether [`Log::local_end`] answers, as if no other machine appended.
    local: bool,
}

#[derive(Debug, Default)]
struct State {
    log: MemoryLog,
    ends: BTreeMap<PartitionId, watch::Sender<LogOffset>>,
    /// The callers that await an answer that is kept back.
    waiting: BTreeMap<Hold, oneshot::Sender<LogOffset>>,
}

impl SharedMemoryLog {
    /// An empty log of this process alone: [`Log::local_end`] answers.
    pub fn new() -> SharedMemoryLog {
        SharedMemoryLog { state: Arc::default(), local: true }
    }

    /// An empty log to which other machines append too: [`Log::local_end`] is `None`.
    pub fn of_many_machines() -> SharedMemoryLog {
        SharedMemoryLog { state: Arc::default(), local: false }
    }

    /// Lets the next append to `partition` that no earlier fault awaits suffer `fault`.
    pub fn inject(&self, partition: PartitionId, fault: Fault) {
        self.with(|log| log.inject(partition, fault));
    }

    /// Lets the next read of `partition` that no earlier fault awaits suffer `fault`.
    pub fn inject_read(&self, partition: PartitionId, fault: ReadFault) {
        self.with(|log| log.inject_read(partition, fault));
    }

    /// Lands and tells everything that is kept back, oldest first; answers how many appends.
    pub fn release_all(&self) -> usize {
        let mut state = self.lock();
        let holds: Vec<Hold> = state.log.holds().collect();
        for hold in &holds {
            let offset = state.log.release(*hold);
            if let (Some(offset), Some(answer)) = (offset, state.waiting.remove(hold)) {
                // A caller that has gone away wants no answer.
                let _ = answer.send(offset);
            }
        }
        state.publish_ends();
        holds.len()
    }

    /// What a new process finds; appends whose answer is kept back are "perhaps".
    pub fn restart(&self) {
        let mut state = self.lock();
        state.log.restart();
        state.waiting.clear();
    }

    /// Works on the log itself, then tells followers of the ends that have moved.
    pub fn with<T>(&self, work: impl FnOnce(&mut MemoryLog) -> T) -> T {
        let mut state = self.lock();
        let answer = work(&mut state.log);
        state.publish_ends();
        answer
    }

    /// Lets something go wrong, in the words of the conformance suite.
    #[cfg(feature = "conformance")]
    pub fn provoke(&self, partition: PartitionId, mischief: crate::conformance::Mischief) {
        use crate::conformance::Mischief;
        match mischief {
            Mischief::SucceedWithoutPosition => self.inject(partition, Fault::Somewhere),
            Mischief::HoldNext => self.inject(partition, Fault::HoldRecords),
            Mischief::ReleaseHeld => {
                self.release_all();
            }
            Mischief::Skip { offsets } => self.with(|log| log.skip(partition, offsets)),
            Mischief::Lose { at } => self.with(|log| log.lose(partition, at)),
            Mischief::Truncate { end } => self.with(|log| log.truncate(partition, end)),
            Mischief::Replace => self.with(|log| log.replace(partition.database)),
        }
    }

    fn append(&self, partition: PartitionId, records: Vec<Bytes>) -> Pending<Appended> {
        let mut state = self.lock();
        let receipt = state.log.append_now(partition, records);
        state.publish_ends();
        match receipt {
            Receipt::Answered(appended) => Box::pin(ready(appended)),
            Receipt::Held(hold) => {
                let (sender, receiver) = oneshot::channel();
                state.waiting.insert(hold, sender);
                Box::pin(async move {
                    let why = "the log restarted before it acknowledged";
                    let unknown = |_| Appended::Each(AppendOutcome::Perhaps(Cause::failed(why)));
                    receiver.await.map_or_else(unknown, Appended::From)
                })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No method of the log leaves it half changed, so a panic elsewhere does not taint it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SharedMemoryLog {
    fn default() -> SharedMemoryLog {
        SharedMemoryLog::new()
    }
}

impl State {
    fn publish_ends(&self) {
        for (partition, sender) in &self.ends {
            let end = self.log.end(*partition);
            sender.send_if_modified(|shown| std::mem::replace(shown, end) != end);
        }
    }

    fn watch_end(&mut self, partition: PartitionId) -> watch::Receiver<LogOffset> {
        let end = self.log.end(partition);
        self.ends.entry(partition).or_insert_with(|| watch::Sender::new(end)).subscribe()
    }
}

impl Log for SharedMemoryLog {
    fn traits(&self) -> LogTraits {
        LogTraits { local: self.local, record_bytes_max: RECORD_BYTES_MAX }
    }

    fn create(&self, spec: &LogSpec) -> Pending<Result<LogId, CreateError>> {
        Box::pin(ready(self.with(|log| log.create_now(spec))))
    }

    fn verify(&self, spec: &LogSpec) -> Pending<Result<Verified, VerifyError>> {
        Box::pin(ready(self.with(|log| log.verify_now(spec))))
    }

    fn remove(&self, spec: &LogSpec) -> Pending<Result<(), RemoveError>> {
        self.with(|log| log.remove_now(spec.database));
        Box::pin(ready(Ok(())))
    }

    fn extents(&self, partitions: &[PartitionId]) -> Pending<Result<Vec<Extent>, LogReadError>> {
        let state = self.lock();
        let extent = |partition: &PartitionId| state.log.extent(*partition);
        let extents: Option<Vec<Extent>> = partitions.iter().map(extent).collect();
        Box::pin(ready(extents.ok_or(LogReadError::Missing)))
    }

    fn producer(&self, partition: PartitionId) -> Box<dyn Producer> {
        let log = self.clone();
        Box::new(QueueProducer::new(move |records, _| log.append(partition, records)))
    }

    fn follow(&self, partition: PartitionId, from: LogPosition) -> Box<dyn Follower> {
        let mut state = self.lock();
        let followed = state.log.extent(partition).map(|extent| extent.log);
        let end = state.watch_end(partition);
        drop(state);
        let log = self.clone();
        let read = move |from, bytes_max| {
            let found = log.lock().log.extent(partition).map(|extent| extent.log);
            match (followed, found) {
                (Some(followed), Some(found)) if followed != found => {
                    Box::pin(ready(Err(LogReadError::Replaced { found })))
                }
                _ => log.read(partition, from, bytes_max),
            }
        };
        Box::new(PullFollower::new(read, end, from))
    }

    fn read(
        &self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Pending<Result<LogPage, LogReadError>> {
        Box::pin(ready(self.lock().log.read_now(partition, from, bytes_max)))
    }

    fn local_end(&self, partition: PartitionId) -> Option<LogOffset> {
        self.local.then(|| self.lock().log.end(partition))
    }

    fn trim(
        &self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Pending<Result<(), TrimError>> {
        Box::pin(ready(self.with(|memory| memory.trim_now(partition, log, below))))
    }
}
