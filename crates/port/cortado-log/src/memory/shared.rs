//! The asynchronous port on top of the in-memory log, shared by everyone in the process.
//!
//! Decides nothing: every answer is [`MemoryLog`]'s. Start reading at [`SharedMemoryLog`].

use super::{Appended, Fault, Hold, MemoryLog, ReadFault};
use crate::{AppendError, Log, LogEntry, Pending, ReadError};
use bytes::Bytes;
use cortado_model::{LogOffset, PartitionId};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};

/// An in-memory [`Log`]; clones share the records and the faults.
///
/// Every answer but a kept-back acknowledgement is ready when the call returns.
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
    /// Whoever awaits an acknowledgement that is kept back.
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

    /// Tells every acknowledgement that is kept back, oldest first; answers how many.
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
        holds.len()
    }

    /// What a new process finds; appends whose acknowledgement is kept back answer "perhaps".
    pub fn restart(&self) {
        let mut state = self.lock();
        state.log.restart();
        state.waiting.clear();
    }

    /// Works on the log itself, then tells those who follow an end that has moved.
    pub fn with<T>(&self, work: impl FnOnce(&mut MemoryLog) -> T) -> T {
        let mut state = self.lock();
        let answer = work(&mut state.log);
        state.publish_ends();
        answer
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
}

impl Log for SharedMemoryLog {
    fn append(
        &self,
        partition: PartitionId,
        records: Vec<Bytes>,
    ) -> Pending<Result<LogOffset, AppendError>> {
        let mut state = self.lock();
        let appended = state.log.append_now(partition, records);
        state.publish_ends();
        match appended {
            Appended::Answered(answer) => Box::pin(ready(answer)),
            Appended::Held(hold) => {
                let (sender, receiver) = oneshot::channel();
                state.waiting.insert(hold, sender);
                Box::pin(async move {
                    let why = "the log restarted before it acknowledged".to_owned();
                    receiver.await.map_err(|_| AppendError::Unknown { why })
                })
            }
        }
    }

    fn read(
        &self,
        partition: PartitionId,
        from: LogOffset,
        bytes_max: usize,
    ) -> Pending<Result<Vec<LogEntry>, ReadError>> {
        Box::pin(ready(self.lock().log.read_now(partition, from, bytes_max)))
    }

    fn end(&self, partition: PartitionId) -> Pending<Result<LogOffset, ReadError>> {
        Box::pin(ready(Ok(self.lock().log.end(partition))))
    }

    fn local_end(&self, partition: PartitionId) -> Option<LogOffset> {
        self.local.then(|| self.lock().log.end(partition))
    }

    fn watch_end(&self, partition: PartitionId) -> watch::Receiver<LogOffset> {
        let mut state = self.lock();
        let end = state.log.end(partition);
        state.ends.entry(partition).or_insert_with(|| watch::Sender::new(end)).subscribe()
    }

    fn trim(&self, partition: PartitionId, below: LogOffset) -> Pending<Result<(), AppendError>> {
        Box::pin(ready(self.with(|log| log.trim_now(partition, below))))
    }

    fn first(&self, partition: PartitionId) -> Pending<Result<LogOffset, ReadError>> {
        Box::pin(ready(Ok(self.lock().log.first(partition))))
    }

    fn remove(&self, partition: PartitionId) -> Pending<Result<(), AppendError>> {
        Box::pin(ready(self.with(|log| log.remove_now(partition))))
    }
}
