//! The log in memory: a pure state machine that fails exactly as it is told to.
//!
//! [`MemoryLog`] has no clock, no thread and no randomness, so that a simulator can own it.
//! [`SharedMemoryLog`] puts the asynchronous port on top, for tests of everything else. Nothing
//! here survives the process. Start reading at [`MemoryLog`].

mod fault;
mod shared;

pub use fault::{Fault, ReadFault};
pub use shared::SharedMemoryLog;

use crate::{AppendError, LogEntry, ReadError, check_records};
use bytes::Bytes;
use cortado_model::{LogOffset, PartitionId};
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// The ordered records of many partitions, and the faults still to come.
#[derive(Debug, Default)]
pub struct MemoryLog {
    partitions: BTreeMap<PartitionId, Partition>,
    /// Why the log takes no appends any more.
    unusable: Option<String>,
    /// Acknowledgements that [`Fault::HoldAcknowledgement`] keeps back, oldest first.
    held: BTreeMap<Hold, LogOffset>,
    holds: u64,
}

#[derive(Debug, Default)]
struct Partition {
    first: LogOffset,
    /// The records from `first` on.
    records: VecDeque<Bytes>,
    faults: VecDeque<Fault>,
    read_faults: VecDeque<ReadFault>,
}

/// What an append says at once.
#[derive(Debug)]
pub enum Appended {
    /// The answer that the caller gets now.
    Answered(Result<LogOffset, AppendError>),
    /// The records are in the log; the caller hears of it at [`MemoryLog::release`].
    Held(Hold),
}

/// An acknowledgement that is kept back; sorts in the order of the appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold(u64);

impl MemoryLog {
    /// An empty log that fails at nothing.
    pub fn new() -> MemoryLog {
        MemoryLog::default()
    }

    /// Appends `records` next to one another, or does what the partition's next [`Fault`] says.
    ///
    /// Takes what [`Log::append`](crate::Log::append) takes; a refused request uses up no fault.
    pub fn append_now(&mut self, partition: PartitionId, records: Vec<Bytes>) -> Appended {
        if let Err(error) = check_records(&records) {
            return Appended::Answered(Err(error));
        }
        if let Some(error) = self.refusal() {
            return Appended::Answered(Err(error));
        }
        let state = self.partitions.entry(partition).or_default();
        let Some(fault) = state.faults.pop_front() else {
            return Appended::Answered(Ok(state.land(records)));
        };
        self.suffer(fault, partition, records)
    }

    /// Reads records in order from `from` on, by the rules of [`Log::read`](crate::Log::read).
    ///
    /// # Errors
    /// `Trimmed` below [`first`](Self::first); otherwise what the next [`ReadFault`] says.
    pub fn read_now(
        &mut self,
        partition: PartitionId,
        from: LogOffset,
        bytes_max: usize,
    ) -> Result<Vec<LogEntry>, ReadError> {
        let Some(state) = self.partitions.get_mut(&partition) else { return Ok(Vec::new()) };
        match state.read_faults.pop_front() {
            None => state.read(from, bytes_max),
            Some(ReadFault::Unavailable) => {
                Err(ReadError::Unavailable(io::Error::other("told to be unavailable")))
            }
            Some(ReadFault::Damaged) => {
                Err(ReadError::Damaged { why: "told to be damaged".to_owned() })
            }
        }
    }

    /// The offset that the next record will get.
    pub fn end(&self, partition: PartitionId) -> LogOffset {
        self.partitions.get(&partition).map_or(LogOffset::ZERO, Partition::end)
    }

    /// The offset of the oldest record that can be read; the end if there is none.
    pub fn first(&self, partition: PartitionId) -> LogOffset {
        self.partitions.get(&partition).map_or(LogOffset::ZERO, |state| state.first)
    }

    /// Forgets every record below `below`, at most up to the end.
    ///
    /// # Errors
    /// `Unusable` once the log is.
    pub fn trim_now(
        &mut self,
        partition: PartitionId,
        below: LogOffset,
    ) -> Result<(), AppendError> {
        self.refusal().map_or(Ok(()), Err)?;
        if let Some(state) = self.partitions.get_mut(&partition) {
            let below = below.min(state.end());
            while state.first < below {
                state.records.pop_front();
                state.first = state.first.plus(1);
            }
        }
        Ok(())
    }

    /// Forgets the records and the offsets of `partition`; its faults stay.
    ///
    /// # Errors
    /// `Unusable` once the log is.
    pub fn remove_now(&mut self, partition: PartitionId) -> Result<(), AppendError> {
        self.refusal().map_or(Ok(()), Err)?;
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.records.clear();
            state.first = LogOffset::ZERO;
        }
        Ok(())
    }

    /// Lets the next append to `partition` that no earlier fault awaits suffer `fault`.
    pub fn inject(&mut self, partition: PartitionId, fault: Fault) {
        self.partitions.entry(partition).or_default().faults.push_back(fault);
    }

    /// Lets the next read of `partition` that no earlier fault awaits suffer `fault`.
    pub fn inject_read(&mut self, partition: PartitionId, fault: ReadFault) {
        self.partitions.entry(partition).or_default().read_faults.push_back(fault);
    }

    /// Forgets the faults that have not happened yet, of every partition.
    pub fn clear_faults(&mut self) {
        for state in self.partitions.values_mut() {
            state.faults.clear();
            state.read_faults.clear();
        }
    }

    /// Refuses every append from now on, until [`restart`](Self::restart).
    pub fn make_unusable(&mut self, why: &str) {
        self.unusable = Some(why.to_owned());
    }

    /// What a new process finds: every record, no faults, no kept-back acknowledgements.
    pub fn restart(&mut self) {
        self.unusable = None;
        self.held.clear();
        self.clear_faults();
    }

    /// The acknowledgements that are kept back, oldest first.
    pub fn holds(&self) -> impl Iterator<Item = Hold> + '_ {
        self.held.keys().copied()
    }

    /// Tells what the append behind `hold` answers; `None` if that has been told before.
    pub fn release(&mut self, hold: Hold) -> Option<LogOffset> {
        self.held.remove(&hold)
    }

    fn suffer(&mut self, fault: Fault, partition: PartitionId, records: Vec<Bytes>) -> Appended {
        let state = self.partitions.entry(partition).or_default();
        let unknown = |why: &str| Appended::Answered(Err(AppendError::Unknown { why: why.into() }));
        match fault {
            Fault::Refuse => {
                let why = "told to refuse".to_owned();
                Appended::Answered(Err(AppendError::NotAppended { why }))
            }
            Fault::UnknownLanded => {
                state.land(records);
                unknown("told to answer perhaps")
            }
            Fault::UnknownLost => unknown("told to answer perhaps"),
            Fault::Prefix { records: count } => {
                state.land(records.into_iter().take(count).collect());
                unknown("told to land a prefix")
            }
            Fault::HoldAcknowledgement => {
                let offset = state.land(records);
                self.holds += 1;
                self.held.insert(Hold(self.holds), offset);
                Appended::Held(Hold(self.holds))
            }
            Fault::Duplicate => {
                let offset = state.land(records.clone());
                state.land(records);
                Appended::Answered(Ok(offset))
            }
            Fault::Unusable { landed } => {
                if landed {
                    state.land(records);
                }
                let why = "told to become unusable".to_owned();
                self.unusable = Some(why.clone());
                Appended::Answered(Err(AppendError::Unusable { why }))
            }
        }
    }

    fn refusal(&self) -> Option<AppendError> {
        self.unusable.clone().map(|why| AppendError::Unusable { why })
    }
}

impl Partition {
    fn end(&self) -> LogOffset {
        self.first.plus(self.records.len() as u64)
    }

    /// Puts `records` at the end and tells where the first one stands.
    fn land(&mut self, records: Vec<Bytes>) -> LogOffset {
        let offset = self.end();
        self.records.extend(records);
        offset
    }

    fn read(&self, from: LogOffset, bytes_max: usize) -> Result<Vec<LogEntry>, ReadError> {
        if from < self.first {
            return Err(ReadError::Trimmed { first: self.first });
        }
        let mut entries: Vec<LogEntry> = Vec::new();
        let mut bytes = 0;
        let skipped = usize::try_from(from.0 - self.first.0).unwrap_or(usize::MAX);
        for record in self.records.iter().skip(skipped) {
            bytes += record.len();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            let offset = from.plus(entries.len() as u64);
            entries.push(LogEntry { offset, record: record.clone() });
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests;
