//! The in-process nodes as one thing: started together, ended together.
//!
//! Start reading at [`Cluster::start`].

use crate::catalog::Catalog;
use crate::cluster_identity::{IdentityError, identity};
use crate::directory::NodeDirectories;
use crate::gateway::Gateway;
use crate::node::{NodeError, all_registered, stop_replica};
use crate::node_context::{NodeContext, NodeFailure};
use crate::observation::Observation;
use crate::process::Process;
use crate::settings::Settings;
use crate::store_factory::StoreFactory;
use cortado_log::Log;
use cortado_metrics::Registry;
use cortado_model::{NodeId, with_causes};
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

/// What a cluster is built from.
#[derive(Clone)]
pub struct Components {
    /// The log that all nodes share.
    pub log: Arc<dyn Log>,
    /// A store for each node.
    pub stores: Arc<dyn StoreFactory>,
    /// Who the nodes are from one life to the next.
    pub directories: Arc<dyn NodeDirectories>,
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
    /// It is not known which cluster this is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
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
        let nodes: Vec<NodeId> = settings.nodes().collect();
        let cluster = identity(components.log.as_ref(), &components.stores, &nodes).await?;
        let metrics = Arc::clone(&components.metrics);
        let (failures, failed) = mpsc::unbounded_channel();
        let process = Process::new(settings, components, Catalog::empty(cluster), failures);
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
