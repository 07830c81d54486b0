//! The in-process nodes as one thing: started together, ended together.
//!
//! Start reading at [`Cluster::start`].

use crate::catalog::Catalog;
use crate::database_log::{BeginError, begin_log, cluster_spec};
use crate::former_lives::{Stored, former_lives};
use crate::gateway::Gateway;
use crate::genesis::cluster_genesis;
use crate::node::{NodeError, all_registered, stop_replica};
use crate::node_context::{NodeContext, NodeFailure};
use crate::observation::Observation;
use crate::process::Process;
use crate::randomness::random_u128;
use crate::settings::Settings;
use bytes::Bytes;
use cortado_log::{Log, ReadError};
use cortado_metrics::Registry;
use cortado_model::{ClusterUuid, NodeId, PartitionId, Position, WallMillis, with_causes};
use cortado_replica::{Body, Frame, Genesis, Now};
use cortado_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{error, info, warn};

/// How long a cluster may take until it serves its own partition.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two tries to start a node whose store has failed.
const RETRY: Duration = Duration::from_secs(1);

/// Opens the store of a node.
pub trait StoreFactory: Send + Sync + 'static {
    /// Opens it; what it held is there again. May block.
    ///
    /// Called for each start of a node; everything of its former life has been dropped by then.
    ///
    /// # Errors
    /// The store cannot be opened.
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError>;
}

/// What a cluster is built from.
#[derive(Clone)]
pub struct Components {
    /// The log that all nodes share.
    pub log: Arc<dyn Log>,
    /// A store for each node.
    pub stores: Arc<dyn StoreFactory>,
    /// Takes what the nodes count and show; of this cluster alone.
    pub metrics: Arc<Registry>,
}

/// The nodes of this process. Dropping it without [`shutdown`](Self::shutdown) ends them without
/// any goodbye.
pub struct Cluster {
    gateway: Gateway,
    supervisor: JoinHandle<()>,
}

/// Why a cluster did not start. Nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The cluster's own log does not say whose it is.
    #[error("the log of _cluster cannot be read")]
    LogUnreadable(#[source] ReadError),
    /// The cluster's own log cannot be begun.
    #[error("the log of _cluster cannot be begun")]
    LogUnwritable(#[source] BeginError),
    /// The log begins with something else than a genesis.
    #[error("the log of _cluster is not Cortado's: {why}")]
    LogForeign {
        /// For people.
        why: String,
    },
    /// The log was trimmed, and no store remembers whose it is.
    #[error("the log of _cluster was trimmed, and no node's store says which cluster it is")]
    IdentityLost,
    /// A node's store belongs to another cluster than the log.
    #[error("the store of {node} belongs to cluster {store}, the log to {log}")]
    StoreForeign {
        /// The node.
        node: NodeId,
        /// Whose store it is.
        store: ClusterUuid,
        /// Whose log it is.
        log: ClusterUuid,
    },
    /// A node did not start.
    #[error("node {node} did not start")]
    Node {
        /// The node.
        node: NodeId,
        /// Why.
        #[source]
        source: NodeError,
    },
    /// Nobody led the cluster's own partition in time.
    #[error("the cluster's own partition was not served after {waited_s} s")]
    NotServed {
        /// How long it took.
        waited_s: u64,
    },
}

impl Cluster {
    /// Starts every node, and waits until the cluster's own partition is served.
    ///
    /// Needs a runtime with time and more than one thread.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: Settings, components: Components) -> Result<Cluster, StartError> {
        let Components { log, stores, metrics } = components;
        let stored = stored(&stores, &settings).await?;
        let cluster = identity(&log, &stored).await?;
        let states: Vec<_> = stored.into_iter().map(|(_, stored)| stored).collect();
        let lives = former_lives(log.as_ref(), cluster, &states).await;
        let lives = lives.map_err(StartError::LogUnreadable)?;
        let (failures, failed) = mpsc::unbounded_channel();
        let nodes: Vec<NodeId> = settings.nodes().collect();
        let catalog = Catalog::empty(cluster);
        let process = Process::new(settings, log, stores, &metrics, catalog, &lives, failures);
        let process = Arc::new(process);
        metrics.collect(Observation::of(&process));
        let supervisor = tokio::spawn(supervise(Arc::clone(&process), failed));
        let gateway = Gateway { process: Arc::clone(&process) };
        let started = Cluster { gateway, supervisor };
        for node in nodes {
            if let Err(source) = Process::start_node(&process, node).await {
                started.abort().await;
                return Err(StartError::Node { node, source });
            }
        }
        let deadline = Instant::now() + START_TIMEOUT;
        if !started.await_registration(deadline).await {
            started.abort().await;
            return Err(StartError::NotServed { waited_s: START_TIMEOUT.as_secs() });
        }
        info!(%cluster, "cluster started");
        Ok(started)
    }

    /// The door for clients.
    pub fn gateway(&self) -> Gateway {
        self.gateway.clone()
    }

    /// Ends a node without any goodbye, as its death would.
    ///
    /// # Errors
    /// There is no such node, or it does not run.
    pub async fn kill(&self, node: NodeId) -> Result<(), NodeError> {
        self.gateway.kill_node(node).await
    }

    /// Starts a node again, as a new incarnation.
    ///
    /// # Errors
    /// There is no such node, it runs, or its store cannot be opened.
    pub async fn start_node(&self, node: NodeId) -> Result<(), NodeError> {
        self.gateway.start_node(node).await
    }

    /// Ends the cluster: begins nothing new, settles what was begun, makes the stores durable.
    pub async fn shutdown(self) {
        let process = &self.gateway.process;
        process.set_ending();
        self.supervisor.abort();
        let mut stopping = Vec::new();
        for route in process.routes.all() {
            for replica in route.replicas() {
                stopping.push(tokio::spawn(async move { stop_replica(&replica).await }));
            }
        }
        for stopped in stopping {
            // Stopping dies of nothing; if it did, the node is ended below anyway.
            let _ = stopped.await;
        }
        for context in process.all_running() {
            sync(&context).await;
        }
        self.abort().await;
    }

    /// Ends every node without any goodbye.
    async fn abort(self) {
        let process = Arc::clone(&self.gateway.process);
        process.set_ending();
        self.supervisor.abort();
        for node in process.settings.nodes() {
            match process.kill(node).await {
                Ok(()) | Err(NodeError::NotRunning) => {}
                Err(error) => warn!(%node, %error, "node not ended"),
            }
        }
    }

    async fn await_registration(&self, deadline: Instant) -> bool {
        let process = &self.gateway.process;
        let mut catalog = process.newest_catalog.subscribe();
        let running = process.all_running();
        let lives = || running.iter().map(|context| (context.node(), context.me.incarnation));
        let registered = catalog.wait_for(|catalog| all_registered(catalog, lives()));
        matches!(timeout_at(deadline, registered).await, Ok(Ok(_)))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.supervisor.abort();
        for context in self.gateway.process.all_running() {
            context.abort();
        }
    }
}

async fn sync(context: &NodeContext) {
    let (store, node) = (Arc::clone(&context.store), context.node());
    match tokio::task::spawn_blocking(move || store.sync()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%node, %error, "store not synced; the log has what it lacks"),
        Err(error) => warn!(%node, %error, "store not synced; the log has what it lacks"),
    }
}

/// Starts nodes again that cannot go on.
async fn supervise(process: Arc<Process>, mut failed: mpsc::UnboundedReceiver<NodeFailure>) {
    while let Some(NodeFailure { node, incarnation, why }) = failed.recv().await {
        match process.end_node(node, Some(incarnation)).await {
            Ok(()) => error!(%node, why, "node has failed and starts again"),
            // An earlier failure of the same life has ended it.
            Err(_) => continue,
        }
        loop {
            sleep(RETRY).await;
            match Process::start_node(&process, node).await {
                Ok(()) | Err(NodeError::AlreadyRunning | NodeError::Ending) => break,
                Err(error) => error!(%node, error = with_causes(&error), "node not started"),
            }
        }
    }
}

/// Which cluster this is: as the log says, else as a store says, else a new one.
async fn identity(
    log: &Arc<dyn Log>,
    stored: &[(NodeId, Option<Stored>)],
) -> Result<ClusterUuid, StartError> {
    let partition = PartitionId::CLUSTER;
    // Whoever finds the log empty begins it, as a cluster of its own; of two the first counts.
    let genesis = |_| cluster_genesis(ClusterUuid(random_u128()));
    let now = Now { clock: cortado_model::Millis(0), wall: WallMillis(0) };
    begin_log(log.as_ref(), &cluster_spec(), genesis, now)
        .await
        .map_err(StartError::LogUnwritable)?;
    let first = match log.read(partition, Position::START, 1).await {
        Ok(page) => page.entries.into_iter().next(),
        Err(ReadError::Trimmed { .. }) => None,
        Err(error) => return Err(StartError::LogUnreadable(error)),
    };
    let logged = first.map(|entry| cluster_of(&entry.record)).transpose()?;
    let mut stored = stored.iter().filter_map(|(node, stored)| Some((*node, stored.as_ref()?)));
    let cluster = logged.or(stored.clone().next().map(|(_, stored)| stored.cluster));
    let cluster = cluster.ok_or(StartError::IdentityLost)?;
    match stored.find(|(_, stored)| stored.cluster != cluster) {
        Some((node, Stored { cluster: store, .. })) => {
            Err(StartError::StoreForeign { node, store: *store, log: cluster })
        }
        None => Ok(cluster),
    }
}

fn cluster_of(record: &Bytes) -> Result<ClusterUuid, StartError> {
    let foreign = |why: String| StartError::LogForeign { why };
    let frame = Frame::read_any(record).map_err(|error| foreign(error.to_string()))?;
    let record = frame.record().map_err(|error| foreign(error.to_string()))?;
    match record.body {
        Body::Genesis(genesis) if is_cluster(&genesis) => Ok(genesis.identity.cluster),
        Body::Genesis(_) => Err(foreign("it begins with another partition's genesis".to_owned())),
        Body::Claim(_)
        | Body::Transaction(_)
        | Body::Barrier(_)
        | Body::StepDown(_)
        | Body::Config(_)
        | Body::Heartbeat => Err(foreign("it does not begin with a genesis".to_owned())),
    }
}

/// Whether a log that begins with `genesis` is that of some `_cluster`.
fn is_cluster(genesis: &Genesis) -> bool {
    genesis.identity == cluster_genesis(genesis.identity.cluster).identity
}

/// What the store of each node knows.
async fn stored(
    stores: &Arc<dyn StoreFactory>,
    settings: &Settings,
) -> Result<Vec<(NodeId, Option<Stored>)>, StartError> {
    let mut all = Vec::new();
    for node in settings.nodes() {
        let stores = Arc::clone(stores);
        let looked = tokio::task::spawn_blocking(move || Stored::read(stores.open(node)?.as_ref()));
        let why = "opening the store has died of a defect".to_owned();
        let stored = looked.await.unwrap_or(Err(StoreError::Failed { why }));
        let failed = |error| StartError::Node { node, source: NodeError::Store(error) };
        all.push((node, stored.map_err(failed)?));
    }
    Ok(all)
}
