//! One node: its tasks, and the replicas that it should have.
//!
//! Start reading at [`run_node`].

use crate::asker::Input;
use crate::catalog::Catalog;
use crate::cluster_log::{read_catalog, read_scn};
use crate::controller::control;
use crate::database_log::Origin;
use crate::decisions::Entry;
use crate::directory::DirectoryError;
use crate::gateway::Gateway;
use crate::node_context::NodeContext;
use crate::registration::register;
use crate::replica_handle::ReplicaHandle;
use crate::replica_task::run_replica;
use crate::standing::Standing;
use crate::watcher::watch_over;
use cortado_model::PartitionId;
use cortado_store::StoreError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{error, info, warn};

/// How often a node looks at its tasks and its catalog, whatever happens.
const LOOK: Duration = Duration::from_secs(1);
/// How long a replica that is taken away may take to settle what it has begun.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a node was not started or ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No node of this process has that id.
    #[error("this process has no such node")]
    NoSuchNode,
    /// It runs.
    #[error("the node runs already")]
    AlreadyRunning,
    /// It does not run.
    #[error("the node does not run")]
    NotRunning,
    /// Requests of its former life still read its store.
    #[error("the node's store is still in use")]
    StoreInUse,
    /// The process is ending.
    #[error("the process is ending")]
    Ending,
    /// The cluster does not let it live.
    #[error("the cluster refuses the node: {why}")]
    Refused {
        /// Why, and what to do about it.
        why: String,
    },
    /// Its directory does not say who it is.
    #[error(transparent)]
    Directory(DirectoryError),
    /// Its store cannot be opened.
    #[error("the node's store cannot be opened")]
    Store(#[source] StoreError),
}

/// Starts the tasks of a node. They end with it.
pub(crate) fn run_node(
    context: &Arc<NodeContext>,
    gateway: Gateway,
    decisions: mpsc::Receiver<Entry>,
) {
    let cluster = context.newest_catalog.borrow().cluster;
    let mut replicas = Replicas { context: Arc::clone(context), handles: BTreeMap::new() };
    replicas.start(PartitionId::CLUSTER, Origin::of_cluster(cluster));
    context.spawn(replicas.keep());
    context.spawn(watch_over(Arc::clone(context), gateway.clone()));
    context.spawn(gateway.clone().found_journal(Arc::clone(context)));
    context.spawn(gateway.clone().write_journal(Arc::clone(context), decisions));
    context.spawn(control(Arc::clone(context), gateway.clone()));
    context.spawn(register(Arc::clone(context), gateway));
}

/// The replicas that a node runs.
struct Replicas {
    context: Arc<NodeContext>,
    handles: BTreeMap<PartitionId, Arc<ReplicaHandle>>,
}

impl Replicas {
    /// Runs the replicas that the catalog places on this node, and no others.
    async fn keep(mut self) {
        loop {
            // Either of the two: both mean to look.
            let _ = timeout(LOOK, self.context.catalog_changed.notified()).await;
            self.context.check_tasks();
            match self.refresh_catalog().await {
                Ok(true) => self.follow_catalog().await,
                Ok(false) => {}
                Err(error) => {
                    let node = self.context.node();
                    error!(%node, %error, "catalog not read");
                }
            }
        }
    }

    /// Reads the catalog anew; answers whether it has moved.
    async fn refresh_catalog(&self) -> Result<bool, StoreError> {
        let before = Arc::clone(&self.context.catalog.borrow());
        let known = Arc::clone(&before);
        let read = self.context.lanes.read(move |store| {
            let view = store.view(PartitionId::CLUSTER)?;
            if read_scn(view.as_ref())?.is_none_or(|scn| scn <= known.scn) {
                return Ok(None);
            }
            read_catalog(view.as_ref(), &known).map(Some)
        });
        let Some(catalog) = read.await?.map(Arc::new) else { return Ok(false) };
        if let Standing::Refused(refusal) = self.context.standing_in(&catalog) {
            self.context.report_refusal(refusal);
        }
        self.context.catalog.send_replace(Arc::clone(&catalog));
        self.context.newest_catalog.send_if_modified(|newest| {
            let newer = catalog.scn > newest.scn;
            if newer {
                *newest = catalog;
            }
            newer
        });
        Ok(true)
    }

    async fn follow_catalog(&mut self) {
        let catalog = Arc::clone(&self.context.catalog.borrow());
        let me = self.context.node();
        for database in catalog.databases() {
            for (number, nodes) in (0..).zip(&database.placements) {
                let partition = database.partition_id(number);
                if nodes.contains(&me)
                    && !self.handles.contains_key(&partition)
                    && let Some(origin) = Origin::of(database, number, &catalog)
                {
                    self.start(partition, origin);
                }
            }
        }
        let placed: BTreeMap<_, _> = catalog.placements().collect();
        let gone: Vec<PartitionId> = self
            .handles
            .keys()
            .filter(|partition| **partition != PartitionId::CLUSTER)
            .filter(|partition| !placed.get(partition).is_some_and(|nodes| nodes.contains(&me)))
            .copied()
            .collect();
        for partition in gone {
            self.stop(partition).await;
        }
        self.remove_strays(&catalog).await;
    }

    fn start(&mut self, partition: PartitionId, origin: Origin) {
        let identity = (self.context.node(), self.context.me.incarnation);
        let lanes = Arc::clone(&self.context.lanes);
        let vitals = Arc::clone(&self.context.vitals);
        let changed = Arc::clone(&self.context.changed);
        let (handle, inbox) = ReplicaHandle::new(partition, identity, lanes, vitals, changed);
        self.context.routes.route(partition).add(Arc::clone(&handle));
        self.handles.insert(partition, Arc::clone(&handle));
        let context = Arc::clone(&self.context);
        self.context.spawn(run_replica(context, handle, inbox, origin));
    }

    async fn stop(&mut self, partition: PartitionId) {
        let Some(handle) = self.handles.remove(&partition) else { return };
        self.context.routes.route(partition).remove(&handle);
        stop_replica(&handle).await;
        self.remove_state(partition);
    }

    /// Removes what the store still holds of databases that were dropped while this node slept.
    async fn remove_strays(&self, catalog: &Catalog) {
        let Ok(stored) = self.context.lanes.read(|store| store.partitions()).await else { return };
        for partition in stored {
            let known = partition == PartitionId::CLUSTER
                || self.handles.contains_key(&partition)
                // Newer than what this node has folded so far: nothing is known of it.
                || partition.database >= catalog.next_database;
            if !known {
                self.remove_state(partition);
            }
        }
    }

    /// Removes a replica's state, behind what it has left to the store if it has not settled.
    fn remove_state(&self, partition: PartitionId) {
        let (sender, turn) = oneshot::channel();
        self.context.lanes.run(partition, move |store| {
            // Nobody waits if the node has ended.
            let _ = sender.send(store.is_ok());
        });
        let (context, node) = (Arc::clone(&self.context), self.context.node());
        self.context.spawn(async move {
            if turn.await != Ok(true) {
                return;
            }
            let store = Arc::clone(&context.store);
            context.spawn_blocking(move || match store.remove(partition) {
                Ok(()) => info!(%partition, %node, "replica removed"),
                Err(error) => warn!(%partition, %node, %error, "replica not removed"),
            });
        });
    }
}

/// Lets a replica finish what it has begun, and waits for its end.
pub(crate) async fn stop_replica(handle: &ReplicaHandle) {
    let stopped = async {
        // Its line may be full, and it may stand still: a log that cannot be read ends no shutdown.
        if handle.send(Input::Stop).await {
            handle.ended().await;
        }
    };
    if timeout(STOP_TIMEOUT, stopped).await.is_err() {
        let (partition, node) = (handle.partition, handle.node);
        warn!(%partition, %node, "replica did not settle what it had begun");
    }
}

impl std::fmt::Display for crate::events::DecisionEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.node, self.kind.name(), self.what)
    }
}
