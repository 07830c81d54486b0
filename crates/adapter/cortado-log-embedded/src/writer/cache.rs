//! Bounds the memory of the recent records that all partitions keep together.
//!
//! Start reading at [`Cache`].

use crate::frame::PartitionIncarnation;
use crate::partition::Partition;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The cached records of all partitions, oldest first.
#[derive(Debug)]
pub(crate) struct Cache {
    order: VecDeque<(Arc<Partition>, PartitionIncarnation, usize)>,
    bytes: usize,
    bytes_max: usize,
    /// `bytes` after the last eviction, for the usage that the log reports.
    shown_bytes: Arc<AtomicU64>,
}

/// What a record costs beside its bytes, here and in its partition.
const ENTRY_BYTES: usize = 64;

impl Cache {
    /// An empty cache of at most `bytes_max`.
    pub(crate) fn new(bytes_max: usize) -> Cache {
        Cache { order: VecDeque::new(), bytes: 0, bytes_max, shown_bytes: Arc::default() }
    }

    /// Follows the bytes in use.
    pub(crate) fn shown_bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shown_bytes)
    }

    /// Notes that a partition caches a record of `record_bytes` more.
    pub(crate) fn note(
        &mut self,
        partition: &Arc<Partition>,
        incarnation: PartitionIncarnation,
        record_bytes: usize,
    ) {
        let bytes = record_bytes + ENTRY_BYTES;
        self.order.push_back((Arc::clone(partition), incarnation, bytes));
        self.bytes += bytes;
    }

    /// Gives up the oldest records until the rest is within the bound.
    pub(crate) fn evict(&mut self) {
        while self.bytes > self.bytes_max {
            let Some((partition, incarnation, bytes)) = self.order.pop_front() else { break };
            partition.uncache_oldest(incarnation);
            self.bytes -= bytes;
        }
        self.shown_bytes.store(self.bytes as u64, Ordering::Relaxed);
    }
}
