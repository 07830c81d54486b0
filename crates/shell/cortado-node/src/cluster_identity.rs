//! Which cluster a process belongs to, as its log and its stores say.
//!
//! Start reading at [`identity`].

use crate::components::{Components, Founding};
use crate::log_drifts::told;
use crate::store_factory::StoreFactory;
use bytes::Bytes;
use cortado_gateway::{BeginError, begin_log, cluster_genesis, cluster_spec, random_u128};
use cortado_log::{Log, LogReadError, Verified, VerifyError};
use cortado_model::{ClusterUuid, LogOffset, LogPosition, NodeId, PartitionId, WallMillis};
use cortado_replica::{Body, FoldState, Frame, Genesis};
use cortado_store::{Store, StoreError};
use std::sync::Arc;

/// Why a process does not know its cluster. Nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The cluster's own log does not say whose it is.
    #[error("the log of _cluster cannot be read")]
    LogUnreadable(#[source] LogReadError),
    /// The cluster's own log cannot be looked for, or is not as it should be.
    #[error("the log of _cluster cannot be verified")]
    LogUnverified(#[source] VerifyError),
    /// The cluster's own log is there, and its settings endanger what would be written.
    #[error("the log of _cluster is not as it should be: {differs}")]
    LogDrifted {
        /// What differs, in words.
        differs: String,
    },
    /// The cluster's own log cannot be begun.
    #[error("the log of _cluster cannot be created")]
    LogUnwritable(#[source] BeginError),
    /// The log begins with something else than a genesis.
    #[error("the log of _cluster holds something else: {why}")]
    LogForeign {
        /// The reason, for messages.
        why: String,
    },
    /// There is no cluster in the log, and the process must not begin one.
    #[error(
        "the log of _cluster is empty, but this data belongs to a cluster already: the log is a \
         different one, or has lost its records; restore it"
    )]
    LogEmpty,
    /// The log was trimmed, and no store remembers whose it is.
    #[error(
        "the log of _cluster was trimmed, and neither a node's store nor another node says which \
         cluster it is"
    )]
    IdentityLost,
    /// A node's store belongs to another cluster than the log.
    #[error("the store of {node} belongs to cluster {store}, the log to cluster {log}")]
    StoreForeign {
        /// The node.
        node: NodeId,
        /// Whose store it is.
        store: ClusterUuid,
        /// Whose log it is.
        log: ClusterUuid,
    },
    /// The data of this process belongs to another cluster than the log.
    #[error("the data directory belongs to cluster {data}, but the log to cluster {log}")]
    DataForeign {
        /// Whose data it is.
        data: ClusterUuid,
        /// Whose log it is.
        log: ClusterUuid,
    },
    /// A node's store cannot be opened or read.
    #[error("the store of {node} cannot be opened")]
    Store {
        /// The node.
        node: NodeId,
        /// Why.
        #[source]
        source: StoreError,
    },
}

/// Which cluster this is: as the log says, else as a store says, else as a node says, else a new
/// one.
///
/// * `components`: whether it may be a new one, which it must be, if that is noted, and a way to
///   ask nodes.
///
/// # Errors
/// See [`IdentityError`].
pub(crate) async fn identity(
    components: &Components,
    nodes: &[NodeId],
) -> Result<ClusterUuid, IdentityError> {
    let Components { log, stores, network, founding, belongs_to, .. } = components;
    let (log, founding) = (log.as_ref(), *founding);
    let (stored, unread) = stored(stores, nodes).await;
    let unread = unread.map(|(node, source)| IdentityError::Store { node, source });
    if founding == Founding::Create && stored.is_empty() {
        if let Some(unread) = unread {
            // It may know a cluster, and this must not begin another one.
            return Err(unread);
        }
        // If the log is not empty this changes nothing; of two that begin it the first counts.
        let genesis = |_| cluster_genesis(ClusterUuid(random_u128()));
        let begun = begin_log(log, &cluster_spec(), genesis, WallMillis(0)).await;
        begun.map_err(IdentityError::LogUnwritable)?;
    } else {
        check_begun(log).await?;
    }
    let cluster = logged(log).await?.or(stored.first().map(|(_, cluster)| *cluster));
    let cluster = match cluster {
        Some(cluster) => Some(cluster),
        None => network.seek_cluster().await,
    };
    let log = match cluster {
        Some(cluster) => cluster,
        None => return Err(unread.unwrap_or(IdentityError::IdentityLost)),
    };
    if let Some(data) = belongs_to.filter(|data| *data != log) {
        return Err(IdentityError::DataForeign { data, log });
    }
    match stored.into_iter().find(|(_, store)| *store != log) {
        Some((node, store)) => Err(IdentityError::StoreForeign { node, store, log }),
        None => Ok(log),
    }
}

/// Whose `log` is; `None` if its beginning was trimmed.
///
/// # Errors
/// It cannot be read, or begins with something else than a cluster.
pub async fn logged(log: &dyn Log) -> Result<Option<ClusterUuid>, IdentityError> {
    let first = match log.read(PartitionId::CLUSTER, LogPosition::START, 1).await {
        Ok(page) => page.entries.into_iter().next(),
        Err(LogReadError::Trimmed { .. }) => None,
        Err(error) => return Err(IdentityError::LogUnreadable(error)),
    };
    first.map(|entry| cluster_of(&entry.record)).transpose()
}

/// Begins a cluster in `log`, unless there is one; answers which it is, and whether it is new.
///
/// # Errors
/// See [`IdentityError`]. What was begun is finished by the next try.
pub async fn begin_cluster(log: &dyn Log) -> Result<(ClusterUuid, bool), IdentityError> {
    let is_new = match check_begun(log).await {
        Ok(()) => false,
        Err(IdentityError::LogEmpty) => true,
        Err(error) => return Err(error),
    };
    if let Ok(Verified { drift, .. }) = log.verify(&cluster_spec()).await
        && !drift.is_empty()
    {
        return Err(IdentityError::LogDrifted { differs: told(&drift) });
    }
    let own = ClusterUuid(random_u128());
    if is_new {
        let genesis = |_| cluster_genesis(own);
        let begun = begin_log(log, &cluster_spec(), genesis, WallMillis(0)).await;
        begun.map_err(IdentityError::LogUnwritable)?;
    }
    // Of two that begin it the first counts.
    let cluster = logged(log).await?.ok_or(IdentityError::IdentityLost)?;
    Ok((cluster, cluster == own))
}

/// Refuses a log in which no cluster has begun: it is missing or empty.
///
/// # Errors
/// See [`IdentityError`].
pub async fn check_begun(log: &dyn Log) -> Result<(), IdentityError> {
    match log.verify(&cluster_spec()).await {
        Ok(_) => {}
        Err(VerifyError::Missing) => return Err(IdentityError::LogEmpty),
        Err(error) => return Err(IdentityError::LogUnverified(error)),
    }
    let extents = log.extents(&[PartitionId::CLUSTER]).await;
    let extents = extents.map_err(IdentityError::LogUnreadable)?;
    let begun = extents.iter().any(|extent| extent.end > LogOffset::ZERO);
    if begun { Ok(()) } else { Err(IdentityError::LogEmpty) }
}

fn cluster_of(record: &Bytes) -> Result<ClusterUuid, IdentityError> {
    let foreign = |why: String| IdentityError::LogForeign { why };
    let frame = Frame::read_any(record).map_err(|error| foreign(error.to_string()))?;
    let record = frame.record().map_err(|error| foreign(error.to_string()))?;
    match record.body {
        Body::Genesis(genesis) if is_cluster(&genesis) => Ok(genesis.identity.cluster),
        Body::Genesis(_) => Err(foreign("it begins with another partition's genesis".to_owned())),
        Body::Claim(_)
        | Body::Transaction(_)
        | Body::Barrier(_)
        | Body::StepDown(_)
        | Body::Config(_) => Err(foreign("it does not begin with a genesis".to_owned())),
    }
}

/// Whether a log that begins with `genesis` is that of some `_cluster`.
fn is_cluster(genesis: &Genesis) -> bool {
    genesis.identity == cluster_genesis(genesis.identity.cluster).identity
}

/// The nodes whose stores know a cluster, and which; and the last of those that cannot be read for
/// now, and why.
async fn stored(
    stores: &Arc<dyn StoreFactory>,
    nodes: &[NodeId],
) -> (Vec<(NodeId, ClusterUuid)>, Option<(NodeId, StoreError)>) {
    let (mut all, mut unread) = (Vec::new(), None);
    for node in nodes.iter().copied() {
        let stores = Arc::clone(stores);
        let looked =
            tokio::task::spawn_blocking(move || cluster_in(stores.look(node)?.as_ref())).await;
        let why = "opening the store panicked".to_owned();
        let cluster = looked.unwrap_or(Err(StoreError::Failed { why }));
        let cluster = match cluster {
            Ok(cluster) => cluster,
            // The node stays down; that is no reason for others to do so.
            Err(StoreError::Damaged { .. }) => None,
            Err(error @ (StoreError::Failed { .. } | StoreError::Full { .. })) => {
                unread = Some((node, error));
                None
            }
        };
        all.extend(cluster.map(|cluster| (node, cluster)));
    }
    (all, unread)
}

/// Below which offset of its log `store` holds everything of a partition; `None` if it does not
/// hold it, or cannot be read.
pub fn folded_in(store: &dyn Store, partition: PartitionId) -> Option<LogOffset> {
    let checkpoint = store.view(partition).ok()?.checkpoint().ok()??;
    Some(FoldState::decode(&checkpoint).ok()?.position.offset)
}

/// Whose `store` is; `None` if it is new, or so damaged that it will be built anew.
pub(crate) fn cluster_in(store: &dyn Store) -> Result<Option<ClusterUuid>, StoreError> {
    let Some(checkpoint) = store.view(PartitionId::CLUSTER)?.checkpoint()? else {
        return Ok(None);
    };
    let fold = FoldState::decode(&checkpoint).ok();
    Ok(fold.map(|fold| fold.genesis.identity.cluster))
}
