//! Partitions that are kept by fewer brokers than should.

use crate::cluster_admin::ClusterAdmin;
use crate::known_logs::KnownLog;
use cortado_model::PartitionId;
use std::io;
use std::sync::Arc;

/// A partition with fewer replicas in sync than it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThinPartition {
    /// The partition.
    pub partition: PartitionId,
    /// Its topic, for who looks with other tools.
    pub topic: String,
    /// The ids of the brokers that should keep it.
    pub replicas: Vec<i32>,
    /// Of those, the ones that are in sync.
    pub in_sync: Vec<i32>,
}

/// Looks at all partitions of `logs`.
pub(crate) async fn find(
    logs: &[Arc<KnownLog>],
    admin: &ClusterAdmin,
) -> io::Result<Vec<ThinPartition>> {
    let topics = admin.topics(logs.iter().map(|log| Arc::clone(&log.topic)).collect()).await?;
    let mut thin = Vec::new();
    for (log, topic) in logs.iter().zip(topics) {
        for found in topic.map(|topic| topic.partitions).unwrap_or_default() {
            let Ok(number) = u32::try_from(found.number) else { continue };
            if found.in_sync.len() < found.replicas.len() {
                let partition = PartitionId { database: log.database, number };
                let (topic, replicas) = (log.topic.to_string(), found.replicas);
                let in_sync = found.in_sync;
                thin.push(ThinPartition { partition, topic, replicas, in_sync });
            }
        }
    }
    Ok(thin)
}
