//! Who a partition is: the identity with which its log begins.

use crate::catalog::Database;
use cortado_model::{ClusterUuid, DatabaseId, Generation, LogId, PartitionUuid, Scn, WallMillis};
use cortado_replica::{ChainHash, Genesis, HistoryPoint, Origin, PartitionIdentity, ReplicaSet};
use xxhash_rust::xxh3::xxh3_128;

/// The genesis of a partition of `database`, whose first replicas are those it was placed on. The
/// same on every node, so that any may write it.
///
/// * `feature_level`: what every node reads; the first genesis counts, whatever another one says.
pub(crate) fn genesis_of(
    database: &Database,
    number: u32,
    (cluster, feature_level): (ClusterUuid, u32),
) -> Genesis {
    let partition = partition_uuid(database.uuid, number);
    let identity = PartitionIdentity { partition, cluster, database: database.id, number };
    let replicas = database.placement(number).iter().copied().collect();
    // A level has sixteen bits in the log, and was checked there.
    let feature_level = feature_level as u16;
    let origin = origin_of(database, cluster);
    Genesis { origin, feature_level, ..Genesis::new(identity, replicas) }
}

/// What a database with the name of a dropped one continues: its generations, and nothing else.
fn origin_of(database: &Database, cluster: ClusterUuid) -> Option<Origin> {
    let history = HistoryPoint { scn: Scn::opening(database.after), chain: ChainHash::default() };
    let (partition, log) = (PartitionUuid(0), LogId::UNKNOWN);
    let origin = Origin { cluster, partition, log, history, time: WallMillis(0) };
    Some(origin).filter(|_| database.after > Generation(0))
}

/// The genesis of `_cluster`, whose partition is the cluster: every node may lead it.
pub fn cluster_genesis(cluster: ClusterUuid) -> Genesis {
    let partition = PartitionUuid(cluster.0);
    let database = DatabaseId::CLUSTER;
    let identity = PartitionIdentity { partition, cluster, database, number: 0 };
    Genesis::new(identity, ReplicaSet::default())
}

/// Derived from the database's own, docs/formats/cluster.md. Logs hold it: it never changes.
fn partition_uuid(database: PartitionUuid, number: u32) -> PartitionUuid {
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(&database.0.to_le_bytes());
    bytes[16..].copy_from_slice(&number.to_le_bytes());
    PartitionUuid(xxh3_128(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_never_changes_its_identity() {
        let uuid = |number| partition_uuid(PartitionUuid(1), number).to_string();
        assert_eq!(uuid(0), "b79e7d609d58feb53b0804c6f0386cdf");
        assert_eq!(uuid(1), "d59a9d08252b81d032d95ab751c7d698");
    }
}
