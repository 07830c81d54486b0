//! The in-process nodes as one thing: started together, ended together.
//!
//! Start reading at [`Cluster::start`].

use crate::catalog::Catalog;
use crate::cluster_identity::{IdentityError, identity};
use crate::components::Components;
use crate::gateway::Gateway;
use crate::node::{NodeError, stop_replica};
use crate::node_context::{NodeContext, NodeFailure};
use crate::node_life::NextLife;
use crate::observation::Observation;
use crate::process::Process;
use crate::settings::Settings;
use crate::standing::Standing;
use cortado_model::{NodeId, with_causes};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

/// How long a cluster may take until it serves its own partition.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked whether a starting node was refused.
const REGISTRATION_LOOK: Duration = Duration::from_millis(20);
/// Between two tries to start a node whose store has failed.
const RETRY: Duration = Duration::from_secs(1);

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
    /// Nobody led the cluster's own partition in time, or could make its journal.
    #[error("the cluster's own partition or its journal was not served after {waited_s} s")]
    NotServed {
        /// How long it took.
        waited_s: u64,
    },
}

impl Cluster {
    /// Starts every node, and waits until they have registered and the cluster has its journal.
    ///
    /// Needs a runtime with time and more than one thread.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: Settings, components: Components) -> Result<Cluster, StartError> {
        let nodes: Vec<NodeId> = settings.nodes().collect();
        let Components { log, stores, founding, .. } = &components;
        let cluster = identity(log.as_ref(), stores, &nodes, *founding).await?;
        let metrics = Arc::clone(&components.metrics);
        // Bounded by the nodes of the process, each of which fails for few reasons and then ends.
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
        if let Err(error) = started.await_registration(Instant::now() + START_TIMEOUT).await {
            started.abort().await;
            return Err(error);
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

    /// Waits until every node that the cluster does not refuse has registered, and for the journal.
    async fn await_registration(&self, deadline: Instant) -> Result<(), StartError> {
        let process = &self.gateway.process;
        let mut catalogs = process.newest_catalog.subscribe();
        let registered = |catalog: &Catalog, node| {
            let context = process.running(node);
            context.is_some_and(|context| context.standing_in(catalog) == Standing::Registered)
        };
        while Instant::now() < deadline {
            let catalog = Arc::clone(&catalogs.borrow_and_update());
            let mut nodes = process.settings.nodes();
            if nodes.all(|node| process.refused(node).is_some() || registered(&catalog, node)) {
                self.check_refused()?;
                if catalog.journal().is_some() {
                    return Ok(());
                }
            }
            // Either a change or a moment: nobody tells of a node that was refused.
            let _ = timeout(REGISTRATION_LOOK, catalogs.changed()).await;
        }
        Err(StartError::NotServed { waited_s: START_TIMEOUT.as_secs() })
    }

    /// A process none of whose nodes may live has not started.
    fn check_refused(&self) -> Result<(), StartError> {
        let process = &self.gateway.process;
        let refused = process.settings.nodes().map(|node| Some((node, process.refused(node)?)));
        match refused.collect::<Option<Vec<_>>>().and_then(|refused| refused.into_iter().next()) {
            Some((node, why)) => Err(StartError::Node { node, source: NodeError::Refused { why } }),
            None => Ok(()),
        }
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
    while let Some(NodeFailure { node, incarnation, why, next }) = failed.recv().await {
        if process.end_node(node, Some(incarnation)).await.is_err() {
            // An earlier failure of the same life has ended it.
            continue;
        }
        let above = match next {
            NextLife::Begins { above } => above,
            NextLife::Waits => {
                error!(%node, %incarnation, why, "the cluster refuses the node; it stays down");
                process.note_refused(node, why);
                continue;
            }
        };
        error!(%node, why, "node has failed and starts again");
        loop {
            sleep(RETRY).await;
            match Process::start_node_above(&process, node, above).await {
                Ok(()) | Err(NodeError::AlreadyRunning | NodeError::Ending) => break,
                Err(error) => error!(%node, error = with_causes(&error), "node not started"),
            }
        }
    }
}
