//! Batches: what producers send, replicas store and followers fetch whole.

use crate::names::ProducerName;
use bytes::Bytes;

/// Records that were appended together, at consecutive offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The offset of the first one.
    pub base: u64,
    /// The epoch of the leader that appended it: with `base`, what tells it from any other.
    pub epoch: u32,
    /// Who has written it, if that producer numbers its records.
    pub writer: Option<Sequenced>,
    /// What it is.
    pub kind: BatchKind,
    /// The records; one that is gone has left its offset behind.
    pub slots: Vec<Option<Bytes>>,
}

/// Where a batch stands among those of its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// Whose.
    pub producer: ProducerName,
    /// The number of its first record.
    pub first: u32,
}

/// What a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchKind {
    /// Records.
    Plain,
    /// Records of a transaction, whose end a control batch tells.
    Transactional,
    /// The end of a transaction: takes an offset and holds no record.
    Control,
}

impl Batch {
    /// The offset behind the last record.
    pub fn end(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// What tells it from any other batch that was ever appended to the partition.
    pub(crate) fn identity(&self) -> (u64, u32) {
        (self.base, self.epoch)
    }
}
