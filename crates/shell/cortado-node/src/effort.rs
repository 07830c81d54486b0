//! What rounds of digests are paced by: how much this node's logs gain, how much its replicas hold.
//!
//! Start reading at [`Effort`].

use bytes::Bytes;
use cortado_model::PartitionId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counted by the replicas of one node.
#[derive(Default)]
pub(crate) struct Effort {
    /// Bytes that its replicas have appended to their logs, or read in them.
    log_bytes: AtomicU64,
    /// How much each replica that is here held when it was last hashed or measured, if it was.
    state_bytes: Mutex<BTreeMap<PartitionId, Option<u64>>>,
    /// The sizes of replicas are being found out.
    measuring: AtomicBool,
}

impl Effort {
    /// These have been appended, or read.
    pub(crate) fn count_log_bytes<'a>(&self, records: impl Iterator<Item = &'a Bytes>) {
        let bytes: usize = records.map(Bytes::len).sum();
        self.log_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that the logs of this node's replicas have gained since the node started.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    /// A replica is here.
    pub(crate) fn add(&self, partition: PartitionId) {
        self.state_bytes.lock().insert(partition, None);
    }

    /// It has been taken away: what it held delays no round any more.
    pub(crate) fn forget(&self, partition: PartitionId) {
        self.state_bytes.lock().remove(&partition);
    }

    /// A replica held this much when it was hashed. It may be gone by now: hashing takes long.
    pub(crate) fn set_state_bytes(&self, partition: PartitionId, bytes: u64) {
        if let Some(known) = self.state_bytes.lock().get_mut(&partition) {
            *known = Some(bytes);
        }
    }

    /// How much a replica held when that was last found out, if it was.
    pub(crate) fn state_bytes_of(&self, partition: PartitionId) -> Option<u64> {
        self.state_bytes.lock().get(&partition).copied().flatten()
    }

    /// Whether the caller may find out sizes now: one at a time does, until it says it is done.
    pub(crate) fn begin_measuring(&self) -> bool {
        !self.measuring.swap(true, Ordering::AcqRel)
    }

    /// Whoever measured is done.
    pub(crate) fn end_measuring(&self) {
        self.measuring.store(false, Ordering::Release);
    }

    /// How much all replicas together held when that was last found out.
    pub(crate) fn state_bytes(&self) -> u64 {
        self.state_bytes.lock().values().flatten().sum()
    }
}
