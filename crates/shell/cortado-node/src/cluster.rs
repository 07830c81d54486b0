//! The in-process nodes as one thing: started together, ended together, one door for all.
//!
//! Start reading at [`Cluster::start`].

use crate::cluster_identity::{IdentityError, identity};
use crate::components::Components;
use crate::nodes::{NodeError, Nodes, Running};
use crate::observation::Observation;
use crate::settings::Settings;
use cortado_cluster::LifeStanding;
use cortado_gateway::{Catalog, Gateway};
use cortado_model::{NodeId, with_causes};
use cortado_store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

/// How long a cluster may take until it serves its own partition.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is checked whether a starting node was refused: no signal tells of that.
const REGISTRATION_LOOK: Duration = Duration::from_millis(20);

/// The nodes of this process, and a router to them. Dropping it without
/// [`shutdown`](Self::shutdown) ends them at once.
pub struct Cluster {
    nodes: Arc<Nodes>,
    router: Arc<Running>,
    supervisor: JoinHandle<()>,
    /// The nodes that could not be started yet, each tried again.
    starting: JoinSet<()>,
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
    /// Requests cannot be routed.
    #[error("the router did not start")]
    Router(#[source] StoreError),
    /// No node led `_cluster` in time, or could create the journal.
    #[error("_cluster or its journal was not served within {waited_s} s")]
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
        let running = Arc::new(Nodes::new(cluster, settings, components, failures));
        let router = running.start_router().map_err(StartError::Router)?;
        metrics.collect(Observation::of(&running));
        let supervisor = tokio::spawn(Arc::clone(&running).supervise(failed));
        let starting = JoinSet::new();
        let mut started = Cluster { nodes: running, router, supervisor, starting };
        if let Err(error) = started.start_nodes(nodes).await {
            started.abort().await;
            return Err(error);
        }
        if let Err(error) = started.await_registration(Instant::now() + START_TIMEOUT).await {
            started.abort().await;
            return Err(error);
        }
        info!(%cluster, "cluster started");
        Ok(started)
    }

    /// Starts all nodes but those whose stores are damaged or cannot be opened now, unless none is
    /// left. The latter are tried again.
    async fn start_nodes(&mut self, nodes: Vec<NodeId>) -> Result<(), StartError> {
        let mut down = None;
        for node in nodes {
            match self.nodes.start(node).await {
                Ok(()) => {}
                Err(source @ (NodeError::Store(_) | NodeError::StoreForeign { .. })) => {
                    if self.nodes.stays_down(node, &source) {
                        let told = with_causes(&source);
                        self.starting.spawn(Arc::clone(&self.nodes).start_some_time(node, told));
                    }
                    down = Some(StartError::Node { node, source });
                }
                Err(source) => return Err(StartError::Node { node, source }),
            }
        }
        match down {
            Some(error) if self.nodes.all_running().is_empty() => Err(error),
            Some(_) | None => Ok(()),
        }
    }

    /// The door for clients of the whole cluster, whichever nodes run.
    pub fn gateway(&self) -> Gateway {
        self.router.node.gateway().clone()
    }

    /// The nodes of this process, to end and to start them.
    pub fn nodes(&self) -> Arc<Nodes> {
        Arc::clone(&self.nodes)
    }

    /// Ends the cluster: begins nothing new, settles what was begun, makes the stores durable.
    pub async fn shutdown(mut self) {
        self.nodes.set_ending();
        self.starting.shutdown().await;
        self.supervisor.abort();
        self.gateway().end();
        let mut settling = JoinSet::new();
        for running in self.nodes.all_running() {
            settling.spawn(async move { running.node.settle().await });
        }
        // Settling dies of nothing; if it did, the nodes are ended next anyway.
        while settling.join_next().await.is_some() {}
        self.abort().await;
    }

    /// Ends every node at once.
    async fn abort(mut self) {
        self.nodes.set_ending();
        self.starting.shutdown().await;
        self.supervisor.abort();
        self.gateway().end();
        for node in self.nodes.all() {
            match self.nodes.kill(node).await {
                Ok(()) | Err(NodeError::NotRunning) => {}
                Err(error) => warn!(%node, error = with_causes(&error), "node not ended"),
            }
        }
        self.router.node.end().await;
    }

    /// Waits until every node that the cluster does not refuse has registered, and for the journal.
    async fn await_registration(&self, deadline: Instant) -> Result<(), StartError> {
        let registered = |catalog: &Catalog, node| {
            let running = self.nodes.running(node);
            running.is_some_and(|running| {
                running.node.host().standing_in(catalog) == LifeStanding::Registered
            })
        };
        while Instant::now() < deadline {
            let settled = |catalog: &Catalog| {
                let mut nodes = self.nodes.all();
                let is_refused = |node| self.nodes.refused(node).is_some();
                let all = nodes.all(|node| is_refused(node) || registered(catalog, node));
                // A process all of whose nodes are refused makes no journal.
                all && (catalog.journal().is_some() || self.nodes.all().all(is_refused))
            };
            let look_again = deadline.min(Instant::now() + REGISTRATION_LOOK);
            if self.router.node.host().cluster.catalog.wait_for(look_again, settled).await {
                return self.check_refused();
            }
        }
        Err(StartError::NotServed { waited_s: START_TIMEOUT.as_secs() })
    }

    /// A process none of whose nodes may live has not started.
    fn check_refused(&self) -> Result<(), StartError> {
        let refused = self.nodes.all().map(|node| Some((node, self.nodes.refused(node)?)));
        match refused.collect::<Option<Vec<_>>>().and_then(|refused| refused.into_iter().next()) {
            Some((node, why)) => Err(StartError::Node { node, source: NodeError::Refused { why } }),
            None => Ok(()),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.supervisor.abort();
        for running in self.nodes.all_running() {
            running.node.abort();
        }
        self.router.node.abort();
    }
}
