//! Seeing to it that a consumer shows what was acknowledged, where nobody reads at the moment.
//!
//! Start reading at [`RecordWitness::show`].

use crate::feeds::Feeds;
use crate::known_logs::{KnownLog, KnownLogs};
use crate::partition_follower::PartitionFollower;
use crate::seen_records::SeenRecords;
use cortado_log::page_of;
use cortado_model::PartitionId;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Bytes that are taken at once, as much as a feed holds.
const PAGE_BYTES: usize = 1 << 20;

/// Reads where nobody does.
pub(crate) struct RecordWitness {
    pub(crate) runtime: Handle,
    pub(crate) known: Arc<KnownLogs>,
    pub(crate) feeds: Weak<Feeds>,
    /// How long nothing may be shown before it is given up.
    pub(crate) within: Duration,
}

impl RecordWitness {
    /// Sees to it that what is acknowledged in a partition, and was not seen, is seen or given up.
    ///
    /// Mostly nothing needs to be done: whoever appends reads, too.
    pub(crate) fn show(&self, partition: PartitionId, log: &Arc<KnownLog>) {
        let Some(feeds) = self.feeds.upgrade() else {
            return log.give_up_unseen(partition.number);
        };
        if !feeds.runs(partition, log) {
            self.read(feeds, partition, log);
        }
    }

    /// The same for every partition that waits for a record for long.
    ///
    /// * `waited`: for which records partitions waited when this was called before.
    pub(crate) fn show_all(&self, waited: &mut Vec<(PartitionId, u64)>) {
        let Some(feeds) = self.feeds.upgrade() else { return };
        let former = std::mem::take(waited);
        for log in self.known.all() {
            for number in 0..log.partitions {
                let oldest = log.seen(number, SeenRecords::oldest_waiting).flatten();
                let Some(oldest) = oldest else { continue };
                let partition = PartitionId { database: log.database, number };
                if former.contains(&(partition, oldest)) {
                    self.read(Arc::clone(&feeds), partition, &log);
                }
                waited.push((partition, oldest));
            }
        }
    }

    fn read(&self, feeds: Arc<Feeds>, partition: PartitionId, log: &Arc<KnownLog>) {
        let number = partition.number;
        if log.seen(number, SeenRecords::begin_showing) != Some(true) {
            return;
        }
        let (known, log, within) = (Arc::clone(&self.known), Arc::clone(log), self.within);
        self.runtime.spawn(async move {
            let oldest = || log.seen(number, SeenRecords::oldest_unseen).flatten();
            let Some(first) = oldest() else { return };
            let mut follower = PartitionFollower::anywhere(known, feeds, partition, first);
            while oldest().is_some() {
                let page = timeout(within, page_of(&mut follower, PAGE_BYTES)).await;
                if !matches!(page, Ok(Ok(_))) {
                    log.give_up_unseen(number);
                }
            }
        });
    }
}
