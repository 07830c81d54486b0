//! Which replicas of a node show something new: told by their drivers, heard by the watcher and by
//! the task that tells the peers.
//!
//! Says that there is something, never what. Start reading at [`ChangedReplicas`].

use cortado_model::PartitionId;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use tokio::sync::Notify;

/// The replicas that are to be looked at.
#[derive(Debug, Default)]
pub(crate) struct ChangedReplicas {
    /// Show another role, life or leadership than when they were last looked at, or a log that has
    /// begun. Progress is nothing new: it would be told for every record.
    partitions: Mutex<BTreeSet<PartitionId>>,
    told: Notify,
    /// Have also made progress that the peers have not been told.
    moved: Mutex<BTreeSet<PartitionId>>,
    moved_urgently: Notify,
}

impl ChangedReplicas {
    /// The replica of `partition` shows something new. What it shows must be in place before.
    pub(crate) fn tell(&self, partition: PartitionId) {
        self.partitions.lock().insert(partition);
        self.told.notify_one();
    }

    /// Waits until something was told since the last call.
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }

    /// What was told since the last call.
    pub(crate) fn take(&self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut *self.partitions.lock())
    }

    /// The replica of `partition` is not any more as the peers know it.
    pub(crate) fn tell_moved(&self, partition: PartitionId) {
        self.moved.lock().insert(partition);
    }

    /// The peers should know soon what has moved.
    pub(crate) fn hurry(&self) {
        self.moved_urgently.notify_one();
    }

    /// Waits until [`hurry`](Self::hurry) was called since the last call.
    pub(crate) async fn told_urgently(&self) {
        self.moved_urgently.notified().await;
    }

    /// What has moved since the last call.
    pub(crate) fn take_moved(&self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut *self.moved.lock())
    }
}
