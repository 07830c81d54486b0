//! The log in memory: a pure state machine that fails exactly as it is told to.
//!
//! [`MemoryLog`] has no clock, no thread and no randomness, so that a simulator can own it.
//! [`SharedMemoryLog`] puts the asynchronous port on top, for tests of everything else. Nothing
//! here survives the process. Start reading at [`MemoryLog`].

mod beats;
mod fault;
mod partition;
mod shared;
mod shared_beats;

pub use beats::{BeatPlace, MemoryBeats, StreamFault};
pub use fault::{Fault, ReadFault};
pub use shared::SharedMemoryLog;
pub use shared_beats::SharedMemoryBeats;

use crate::{
    AppendOutcome, Appended, Cause, CreateError, Drift, Extent, LogPage, LogReadError, LogSpec,
    RECORD_BYTES_MAX, TrimError, Verified, VerifyError,
};
use bytes::Bytes;
use cortado_model::{DatabaseId, LogId, LogOffset, LogPosition, PartitionId};
use partition::Partition;
use std::collections::BTreeMap;
use std::io;

/// The ordered records of many partitions, and the faults still to come.
#[derive(Debug, Default)]
pub struct MemoryLog {
    databases: BTreeMap<DatabaseId, Database>,
    /// Logs made so far: each has an identity of its own.
    made: u128,
    /// Why the log takes no appends any more.
    unusable: Option<String>,
    /// What is kept back, oldest first.
    held: BTreeMap<Hold, Held>,
    holds: u64,
}

#[derive(Debug)]
struct Database {
    log: LogId,
    partitions: Vec<Partition>,
    drift: Vec<Drift>,
}

/// What an append says at once.
#[derive(Debug)]
pub enum Receipt {
    /// What the caller gets now.
    Answered(Appended),
    /// The caller hears of it at [`MemoryLog::release`].
    Held(Hold),
}

/// An append that is kept back; sorts in the order of the appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold(u64);

/// What is kept back of an append.
#[derive(Debug)]
enum Held {
    /// That it landed here.
    Acknowledgement(LogOffset),
    /// All of it.
    Records(PartitionId, Vec<Bytes>),
}

impl MemoryLog {
    /// An empty log that fails at nothing.
    pub fn new() -> MemoryLog {
        MemoryLog::default()
    }

    /// See [`Log::create`](crate::Log::create).
    ///
    /// # Errors
    /// It exists with another number of partitions.
    pub fn create_now(&mut self, spec: &LogSpec) -> Result<LogId, CreateError> {
        if let Some(database) = self.databases.get(&spec.database) {
            let (found, wanted) = (database.partitions.len() as u32, spec.partitions);
            let other = CreateError::OtherPartitions { found, wanted };
            return if found == wanted { Ok(database.log) } else { Err(other) };
        }
        let log = self.next_id();
        let partitions = (0..spec.partitions).map(|_| Partition::default()).collect();
        let database = Database { log, partitions, drift: Vec::new() };
        self.databases.insert(spec.database, database);
        Ok(log)
    }

    /// See [`Log::verify`](crate::Log::verify).
    ///
    /// # Errors
    /// It does not exist, or with another number of partitions.
    pub fn verify_now(&self, spec: &LogSpec) -> Result<Verified, VerifyError> {
        let database = self.databases.get(&spec.database).ok_or(VerifyError::Missing)?;
        let (found, wanted) = (database.partitions.len() as u32, spec.partitions);
        if found != wanted {
            return Err(VerifyError::OtherPartitions { found, wanted });
        }
        Ok(Verified { log: database.log, drift: database.drift.clone() })
    }

    /// See [`Log::remove`](crate::Log::remove).
    pub fn remove_now(&mut self, database: DatabaseId) {
        self.databases.remove(&database);
    }

    /// Appends `records` next to one another, or does what the partition's next [`Fault`] says.
    ///
    /// An append that is refused before it reaches the log uses up no fault.
    pub fn append_now(&mut self, partition: PartitionId, records: Vec<Bytes>) -> Receipt {
        if let Some(cause) = too_large(&records) {
            return Receipt::Answered(Appended::Each(AppendOutcome::NotAppended(cause)));
        }
        if let Some(why) = &self.unusable {
            let cause = Cause::failed(why.clone());
            return Receipt::Answered(Appended::Each(AppendOutcome::Unusable(cause)));
        }
        let Some(state) = self.partition_mut(partition) else {
            return Receipt::Answered(Appended::Each(AppendOutcome::NotAppended(Cause::Missing)));
        };
        let Some(fault) = state.faults.pop_front() else {
            return Receipt::Answered(Appended::From(state.land(records)));
        };
        match fault {
            Fault::HoldAcknowledgement => {
                let landed = state.land(records);
                Receipt::Held(self.hold(Held::Acknowledgement(landed)))
            }
            Fault::HoldRecords => Receipt::Held(self.hold(Held::Records(partition, records))),
            Fault::Unusable { landed } => {
                if landed {
                    state.land(records);
                }
                let why = "told to become unusable";
                self.unusable = Some(why.to_owned());
                Receipt::Answered(Appended::Each(AppendOutcome::Unusable(Cause::failed(why))))
            }
            Fault::Refuse
            | Fault::UnknownLanded
            | Fault::UnknownLost
            | Fault::Prefix { .. }
            | Fault::Split { .. }
            | Fault::Somewhere
            | Fault::Duplicate => Receipt::Answered(suffer(fault, state, records)),
        }
    }

    /// Reads records in order from `from` on, by the rules of [`Log::read`](crate::Log::read).
    ///
    /// # Errors
    /// See [`LogReadError`]; the next [`ReadFault`] comes before all others but `Missing`.
    pub fn read_now(
        &mut self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Result<LogPage, LogReadError> {
        let state = self.partition_mut(partition).ok_or(LogReadError::Missing)?;
        match state.read_faults.pop_front() {
            None => state.read(from, bytes_max),
            Some(ReadFault::Unavailable) => {
                Err(LogReadError::Unavailable(io::Error::other("told to be unavailable")))
            }
            Some(ReadFault::Damaged) => {
                Err(LogReadError::Damaged { why: "told to be damaged".to_owned() })
            }
        }
    }

    /// Where the partition begins and ends; `None` if there is no such log.
    pub fn extent(&self, partition: PartitionId) -> Option<Extent> {
        let database = self.databases.get(&partition.database)?;
        let state = database.partitions.get(partition.number as usize)?;
        let (first, end) = (state.first, state.end());
        Some(Extent { log: database.log, first, end, epoch: 0 })
    }

    /// The offset that the next record will get; 0 if there is no such log.
    pub fn end(&self, partition: PartitionId) -> LogOffset {
        self.extent(partition).map_or(LogOffset::ZERO, |extent| extent.end)
    }

    /// The offset of the oldest record that can be read; the end if there is none.
    pub fn first(&self, partition: PartitionId) -> LogOffset {
        self.extent(partition).map_or(LogOffset::ZERO, |extent| extent.first)
    }

    /// Forgets every record below `below`, at most up to the end.
    ///
    /// # Errors
    /// The log is another one, or unusable.
    pub fn trim_now(
        &mut self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Result<(), TrimError> {
        if let Some(why) = &self.unusable {
            return Err(TrimError::Unavailable(io::Error::other(why.clone())));
        }
        let found = self.extent(partition).ok_or(TrimError::Missing)?.log;
        if found != log {
            return Err(TrimError::Replaced { found });
        }
        if let Some(state) = self.partition_mut(partition) {
            state.trim(below);
        }
        Ok(())
    }

    /// Lets the next append to `partition` that no earlier fault awaits suffer `fault`.
    pub fn inject(&mut self, partition: PartitionId, fault: Fault) {
        if let Some(state) = self.partition_mut(partition) {
            state.faults.push_back(fault);
        }
    }

    /// Lets the next read of `partition` that no earlier fault awaits suffer `fault`.
    pub fn inject_read(&mut self, partition: PartitionId, fault: ReadFault) {
        if let Some(state) = self.partition_mut(partition) {
            state.read_faults.push_back(fault);
        }
    }

    /// Forgets the faults that have not happened yet, of every partition.
    pub fn clear_faults(&mut self) {
        for state in self.databases.values_mut().flat_map(|database| &mut database.partitions) {
            state.faults.clear();
            state.read_faults.clear();
        }
    }

    /// Lets the next `count` offsets hold no record, as the control records of a log do.
    pub fn skip(&mut self, partition: PartitionId, count: u64) {
        if let Some(state) = self.partition_mut(partition) {
            state.skip(count);
        }
    }

    /// Loses the record at `offset` without a trace.
    pub fn lose(&mut self, partition: PartitionId, offset: LogOffset) {
        if let Some(state) = self.partition_mut(partition) {
            state.lose(offset);
        }
    }

    /// Loses every record from `end` on, as an unclean change of the log's own leader does.
    pub fn truncate(&mut self, partition: PartitionId, end: LogOffset) {
        if let Some(state) = self.partition_mut(partition) {
            state.truncate(end);
        }
    }

    /// Puts another, empty log of the same name in the place of a database's.
    pub fn replace(&mut self, database: DatabaseId) {
        let log = self.next_id();
        if let Some(database) = self.databases.get_mut(&database) {
            database.log = log;
            database.partitions.iter_mut().for_each(|state| *state = Partition::default());
        }
    }

    /// Lets a setting of a database's log differ from what it should be.
    pub fn drift(&mut self, database: DatabaseId, drift: Vec<Drift>) {
        if let Some(database) = self.databases.get_mut(&database) {
            database.drift = drift;
        }
    }

    /// Refuses every append from now on, until [`restart`](Self::restart).
    pub fn make_unusable(&mut self, why: &str) {
        self.unusable = Some(why.to_owned());
    }

    /// What a new process finds: every record, no faults, nothing kept back.
    pub fn restart(&mut self) {
        self.unusable = None;
        self.held.clear();
        self.clear_faults();
    }

    /// The appends that are kept back, oldest first.
    pub fn holds(&self) -> impl Iterator<Item = Hold> + '_ {
        self.held.keys().copied()
    }

    /// Lands what is kept back behind `hold`, if it has not, and tells what the append answers;
    /// `None` if that has been told before, or its log is gone.
    pub fn release(&mut self, hold: Hold) -> Option<LogOffset> {
        match self.held.remove(&hold)? {
            Held::Acknowledgement(landed) => Some(landed),
            Held::Records(partition, records) => {
                self.partition_mut(partition).map(|state| state.land(records))
            }
        }
    }

    fn hold(&mut self, held: Held) -> Hold {
        self.holds += 1;
        self.held.insert(Hold(self.holds), held);
        Hold(self.holds)
    }

    fn next_id(&mut self) -> LogId {
        self.made += 1;
        LogId(self.made)
    }

    fn partition_mut(&mut self, partition: PartitionId) -> Option<&mut Partition> {
        let database = self.databases.get_mut(&partition.database)?;
        database.partitions.get_mut(partition.number as usize)
    }
}

/// The rule about what may be appended at all, the same for every implementation.
fn too_large(records: &[Bytes]) -> Option<Cause> {
    let max_bytes = RECORD_BYTES_MAX;
    let bytes = records.iter().map(Bytes::len).find(|bytes| *bytes > max_bytes)?;
    Some(Cause::TooLarge { bytes, max_bytes })
}

/// What becomes of `records` when `fault` strikes them, where nothing is kept back.
fn suffer(fault: Fault, state: &mut Partition, mut records: Vec<Bytes>) -> Appended {
    let perhaps = |why: &str| Appended::Each(AppendOutcome::Perhaps(Cause::failed(why)));
    match fault {
        Fault::Refuse => {
            Appended::Each(AppendOutcome::NotAppended(Cause::refused("told to refuse")))
        }
        Fault::UnknownLanded => {
            state.land(records);
            perhaps("told to answer perhaps")
        }
        Fault::UnknownLost => perhaps("told to answer perhaps"),
        Fault::Prefix { records: count } => {
            records.truncate(count);
            state.land(records);
            perhaps("told to land a prefix")
        }
        Fault::Split { records: count } => {
            let refused = records.split_off(count.min(records.len()));
            let (landed, first) = (records.len() as u64, state.land(records));
            let at =
                |number| AppendOutcome::At(LogPosition { offset: first.plus(number), epoch: 0 });
            let refuse = |_| AppendOutcome::NotAppended(Cause::refused("told to refuse the rest"));
            Appended::Mixed((0..landed).map(at).chain(refused.iter().map(refuse)).collect())
        }
        Fault::Somewhere => {
            state.land(records);
            Appended::Each(AppendOutcome::Somewhere)
        }
        Fault::Duplicate => {
            let offset = state.land(records.clone());
            state.land(records);
            Appended::From(offset)
        }
        Fault::HoldAcknowledgement | Fault::HoldRecords | Fault::Unusable { .. } => {
            unreachable!("the caller keeps these to itself")
        }
    }
}

#[cfg(test)]
mod tests;
