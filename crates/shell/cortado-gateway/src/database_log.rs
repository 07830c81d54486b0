//! The log of a database: its name, how it is made, and with which records it begins.
//!
//! Made where a database is created, never by a replica. Start reading at [`begin_log`].

use crate::catalog::{Catalog, Database, Dropped};
use crate::genesis::{cluster_genesis, genesis_of};
use cortado_log::{AppendOutcome, Cause, CreateError, Log, LogReadError, LogSpec, outcomes_of};
use cortado_model::{
    ClusterUuid, DatabaseId, LogId, LogOffset, Millis, NodeId, PartitionId, PartitionUuid,
    ReplicaIncarnation, WallMillis,
};
use cortado_replica::{Genesis, Identity, Now, genesis_record};

/// Why a database's log was not begun. Begin it again: what was done stays.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// It was not created.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// It does not say whether it has begun.
    #[error(transparent)]
    Read(#[from] LogReadError),
    /// A partition's first record was not appended.
    #[error("the first record of partition {number} was not appended")]
    Append {
        /// The partition's number.
        number: u32,
        /// Why.
        #[source]
        source: Cause,
    },
}

/// What a partition's replicas must find in its log.
#[derive(Clone, Debug)]
pub struct ExpectedLog {
    /// The log of its database.
    pub spec: LogSpec,
    /// That log's identity; `None` for `_cluster`, whose genesis alone says whose it is.
    pub log: Option<LogId>,
    /// With which record it begins.
    pub genesis: Genesis,
}

impl ExpectedLog {
    /// Of a partition of a database; `None` while the database's log is being made.
    pub fn of(database: &Database, number: u32, catalog: &Catalog) -> Option<ExpectedLog> {
        let log = Some(database.log?);
        let genesis = genesis_of(database, number, catalog.founding());
        Some(ExpectedLog { spec: spec_of(database), log, genesis })
    }

    /// Of `_cluster`.
    pub fn of_cluster(cluster: ClusterUuid) -> ExpectedLog {
        ExpectedLog { spec: cluster_spec(), log: None, genesis: cluster_genesis(cluster) }
    }
}

/// The log of a database.
pub(crate) fn spec_of(database: &Database) -> LogSpec {
    LogSpec {
        database: database.id,
        name: database.name.clone(),
        uuid: database.uuid,
        partitions: database.partitions,
    }
}

/// The log of a database that was dropped.
pub(crate) fn spec_of_dropped(database: DatabaseId, dropped: &Dropped) -> LogSpec {
    let Dropped { name, uuid, partitions } = dropped.clone();
    LogSpec { database, name, uuid, partitions }
}

/// What the cluster's own log is called, and its partition.
pub const CLUSTER_NAME: &str = "_cluster";

/// The log of `_cluster`, found by its name alone.
pub fn cluster_spec() -> LogSpec {
    let (database, uuid) = (DatabaseId::CLUSTER, PartitionUuid(0));
    LogSpec { database, name: CLUSTER_NAME.to_owned(), uuid, partitions: 1 }
}

/// Makes the log of a database and begins each of its partitions, unless that has been done;
/// answers its identity.
///
/// * `genesis`: of each partition by its number.
/// * `time`: of their first records.
///
/// # Errors
/// See [`BeginError`].
pub async fn begin_log(
    log: &dyn Log,
    spec: &LogSpec,
    genesis: impl Fn(u32) -> Genesis,
    time: WallMillis,
) -> Result<LogId, BeginError> {
    // A genesis is no node's word: it knows no steady clock.
    let now = Now { clock: Millis(0), wall: time };
    let id = log.create(spec).await?;
    let partition = |number| PartitionId { database: spec.database, number };
    let partitions: Vec<PartitionId> = (0..spec.partitions).map(partition).collect();
    let extents = log.extents(&partitions).await?;
    let mut begun = Vec::new();
    for (partition, extent) in partitions.into_iter().zip(extents) {
        if extent.end == LogOffset::ZERO {
            let mut producer = log.producer(partition);
            producer.send(vec![genesis_record(&genesis(partition.number), &founder(), now)]);
            begun.push((partition.number, producer));
        }
    }
    for (number, mut producer) in begun {
        let mut outcomes = Vec::new();
        outcomes_of(producer.as_mut(), &mut outcomes).await;
        let source = match outcomes.pop() {
            Some(AppendOutcome::At(_) | AppendOutcome::Somewhere) => continue,
            // If it landed after all, the one of the next try is void.
            Some(
                AppendOutcome::NotAppended(source)
                | AppendOutcome::Perhaps(source)
                | AppendOutcome::Unusable(source),
            ) => source,
            None => Cause::failed("it told no outcome"),
        };
        return Err(BeginError::Append { number, source });
    }
    Ok(id)
}

/// The identity in a genesis: node 0, which does not exist, since a genesis is no node's word.
fn founder() -> Identity {
    Identity { node: NodeId(0), incarnation: ReplicaIncarnation::default() }
}
