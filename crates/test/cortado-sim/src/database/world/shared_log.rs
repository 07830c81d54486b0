//! The log that all nodes share, what is on its way to it, and what ails it.
//!
//! What is stored is stored by the in-memory log of `cortado-log`. Start reading at [`SharedLog`].

use super::broker_log::Brokers;
use super::transit::Transit;
use crate::kernel::time::Moment;
use cortado_kafka_model::BrokerId;
use cortado_log::memory::MemoryLog;
use cortado_log::{LogPage, LogReadError, LogSpec};
use cortado_model::{DatabaseId, LogId, LogOffset, LogPosition, PartitionId, PartitionUuid};
use std::collections::BTreeMap;

/// The log and the ways to it.
#[derive(Debug)]
pub(super) struct SharedLog {
    pub(super) memory: MemoryLog,
    /// What takes the place of that log, where a world has brokers.
    pub(super) brokers: Option<Box<Brokers>>,
    /// The broker that comes to lead though it is not in sync.
    pub(super) laggard: Option<BrokerId>,
    id: LogId,
    pub(super) in_transit: BTreeMap<u64, Transit>,
    /// When the last append of a node to a partition arrives: later ones arrive behind it.
    pub(super) lanes: BTreeMap<(usize, usize), Moment>,
    /// No node reaches the log before.
    pub(super) outage_until: Moment,
    /// The log refuses all appends before.
    pub(super) full_until: Moment,
    /// Appends that were given up and still arrive.
    pub(super) late: u64,
    /// Bytes that were handed to it.
    pub(super) bytes: u64,
    /// What comes late comes too late.
    pub(super) is_closed: bool,
    /// Earlier ends that a node is told, by node and partition.
    old_ends: BTreeMap<(usize, usize), OldEnd>,
}

/// An end that was true once.
#[derive(Clone, Copy, Debug)]
struct OldEnd {
    end: LogOffset,
    /// The true one is told from then on.
    until: Moment,
}

impl SharedLog {
    /// The empty log of `partitions` partitions.
    pub(super) fn new(partitions: usize, brokers: Option<Brokers>) -> SharedLog {
        let mut memory = MemoryLog::new();
        let database = partition_id(0).database;
        let (name, uuid) = ("world".to_owned(), PartitionUuid(0));
        let spec = LogSpec { database, name, uuid, partitions: partitions as u32 };
        let id = memory.create_now(&spec).expect("nothing has been created before");
        SharedLog {
            memory,
            brokers: brokers.map(Box::new),
            laggard: None,
            id,
            in_transit: BTreeMap::new(),
            lanes: BTreeMap::new(),
            outage_until: Moment::default(),
            full_until: Moment::default(),
            late: 0,
            bytes: 0,
            is_closed: false,
            old_ends: BTreeMap::new(),
        }
    }

    /// Its identity.
    pub(super) fn id(&self) -> LogId {
        self.brokers.as_ref().map_or(self.id, |brokers| brokers.log())
    }

    /// The offset behind the last record.
    pub(super) fn end(&self, partition: usize) -> LogOffset {
        match &self.brokers {
            Some(brokers) => brokers.end(partition),
            None => self.memory.end(partition_id(partition)),
        }
    }

    /// The end that `node` is told, and from when on it is told the true one, if it is not.
    pub(super) fn end_told(
        &self,
        (node, partition): (usize, usize),
        now: Moment,
    ) -> (LogOffset, Option<Moment>) {
        let (first, end) = (self.first(partition), self.end(partition));
        let old = self.old_ends.get(&(node, partition)).filter(|old| old.until > now);
        // What was forgotten, or lost, since is known.
        old.map_or((end, None), |old| (old.end.clamp(first, end), Some(old.until)))
    }

    /// Lets `node` be told an end that lies `records` back.
    pub(super) fn tell_old_end(
        &mut self,
        (node, partition): (usize, usize),
        records: u64,
        until: Moment,
    ) {
        let end = LogOffset(self.end(partition).0.saturating_sub(records));
        self.old_ends.insert((node, partition), OldEnd { end, until });
    }

    /// Every node is told the true end.
    pub(super) fn tell_true_ends(&mut self) {
        self.old_ends.clear();
    }

    /// The oldest offset that can be read.
    pub(super) fn first(&self, partition: usize) -> LogOffset {
        match &self.brokers {
            Some(brokers) => brokers.first(partition),
            None => self.memory.first(partition_id(partition)),
        }
    }

    /// Reads the log in memory.
    pub(super) fn read_memory(
        &mut self,
        partition: usize,
        from: LogPosition,
        bytes_max: usize,
    ) -> Result<LogPage, LogReadError> {
        self.memory.read_now(partition_id(partition), from, bytes_max)
    }

    /// Forgets what lies below.
    pub(super) fn trim(&mut self, partition: usize, below: LogOffset) {
        if let Some(brokers) = &mut self.brokers {
            return brokers.trim(partition, below);
        }
        let trimmed = self.memory.trim_now(partition_id(partition), self.id, below);
        trimmed.expect("the shared log itself never becomes unusable");
    }

    /// Loses its tail.
    pub(super) fn truncate(&mut self, partition: usize, end: LogOffset) {
        self.memory.truncate(partition_id(partition), end);
    }

    /// Loses whatever is on its way to it.
    pub(super) fn forget_transit(&mut self) {
        self.in_transit.clear();
        self.is_closed = true;
    }

    /// Whether an append may still arrive.
    pub(super) fn is_busy(&self) -> bool {
        let writes = self.brokers.as_ref().is_some_and(|brokers| brokers.writers.is_busy());
        !self.in_transit.is_empty() || self.late > 0 || writes
    }
}

/// The name of `partition` in the log.
pub(super) fn partition_id(partition: usize) -> PartitionId {
    PartitionId { database: DatabaseId(7), number: partition as u32 }
}
