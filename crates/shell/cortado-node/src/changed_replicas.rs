//! Which replicas of a node show something new: told by their drivers, heard by the watcher.
//!
//! Says that there is something, never what. Start reading at [`ChangedReplicas`].

use cortado_model::PartitionId;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The partitions whose replica shows another role, life or leadership than when it was last looked
/// at, or a log that has begun. Progress is nothing new: it would be told for every record.
#[derive(Debug, Default)]
pub(crate) struct ChangedReplicas {
    partitions: Mutex<BTreeSet<PartitionId>>,
    told: Notify,
}

impl ChangedReplicas {
    /// The replica of `partition` shows something new. What it shows must be in place before.
    pub(crate) fn tell(&self, partition: PartitionId) {
        self.lock().insert(partition);
        self.told.notify_one();
    }

    /// Waits until something was told since the last call.
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }

    /// What was told since the last call.
    pub(crate) fn take(&self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PartitionId>> {
        // No insertion leaves the set half done.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
