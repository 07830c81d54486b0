//! What was ever committed, as who sees everything knows it: and whether it is still there.
//!
//! Nothing that a broker knows. Start reading at [`KafkaCluster::check_lost`].

use super::{ClusterEffect, KafkaCluster};
use crate::names::{BrokerId, TopicPartition};

impl KafkaCluster {
    /// The offset behind everything that was ever committed and is not lost.
    pub fn committed_end(&self, partition: TopicPartition) -> u64 {
        self.committed.get(&partition).map_or(0, |committed| committed.end)
    }

    /// A leader's high watermark was raised.
    pub(super) fn commit(&mut self, broker: BrokerId, partition: TopicPartition) {
        let Some(replica) = self.brokers[broker.0 as usize].replicas.get(&partition) else {
            return;
        };
        let committed = self.committed.entry(partition).or_default();
        let high = replica.log.high();
        if high <= committed.end {
            return;
        }
        let batches = replica.log.read(committed.end, high, usize::MAX);
        committed.batches.extend(batches.iter().map(|batch| batch.identity()));
        committed.end = high;
        self.effects.push(ClusterEffect::Committed { partition, batches });
    }

    /// A broker begins to lead: what it does not have is lost.
    pub(super) fn check_lost(&mut self, broker: BrokerId, partition: TopicPartition) {
        let Some(replica) = self.brokers[broker.0 as usize].replicas.get(&partition) else {
            return;
        };
        let Some(committed) = self.committed.get_mut(&partition) else { return };
        let held = replica.log.read(replica.log.first(), replica.log.end(), usize::MAX);
        let mut held = held.iter().map(|batch| batch.identity()).peekable();
        let first = replica.log.first();
        let lost = committed.batches.iter().position(|one| {
            while held.next_if(|each| each.0 < one.0).is_some() {}
            one.0 >= first && held.peek() != Some(one)
        });
        // Of a trimmed log with nothing in it, the end tells.
        let from = lost.map(|at| committed.batches[at].0);
        let short = (replica.log.end() < committed.end).then_some(replica.log.end());
        let Some(from) = from.into_iter().chain(short).min() else { return };
        committed.batches.truncate(lost.unwrap_or(committed.batches.len()));
        committed.end = from;
        self.effects.push(ClusterEffect::Lost { partition, from });
    }
}
