//! The nodes of this process as one thing: started together, ended together, one door for all.
//!
//! Start reading at [`Cluster::start`], for all nodes in one process, and [`Cluster::join`].

use crate::cluster_identity::{IdentityError, identity};
use crate::components::Components;
use crate::directory::DirectoryError;
use crate::node_seat::{NodeSeats, ROUTERS, SeatError, seat_in};
use crate::nodes::{NodeError, Nodes, Running};
use crate::observation::Observation;
use crate::settings::Settings;
use cortado_cluster::LifeStanding;
use cortado_gateway::{Catalog, Gateway, random_u128};
use cortado_model::{NodeId, NodeIncarnation, PartitionId, with_causes};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// How long a cluster may take until it serves its own partition.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is checked whether a starting node was refused: no signal tells of that.
const REGISTRATION_LOOK: Duration = Duration::from_millis(20);

/// In whose name the process of all nodes routes: no node's.
const ONLY_ROUTER: NodeId = NodeId(0);

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
    Router(#[source] NodeError),
    /// The log of `_cluster` goes on with what this build cannot read.
    #[error("_cluster cannot be read to its end: {why}")]
    TooOld {
        /// What it would take.
        why: String,
    },
    /// The log of `_cluster` is not read.
    #[error(
        "_cluster was not read to its end within {waited_s} s: its log does not answer, or was \
         trimmed and no other node of this cluster can be reached"
    )]
    NotFolded {
        /// How long it took.
        waited_s: u64,
    },
    /// The data directory does not say which node it is.
    #[error(transparent)]
    Seat(#[from] DirectoryError),
    /// The node's name is another one's.
    #[error(transparent)]
    Name(#[from] SeatError),
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
        let mut started = Cluster::route(ONLY_ROUTER, &nodes, settings, components).await?;
        started.nodes.seat(nodes.iter().copied());
        if let Err(error) = started.start_nodes(nodes).await {
            started.abort().await;
            return Err(error);
        }
        if let Err(error) = started.await_registration(Instant::now() + START_TIMEOUT).await {
            started.abort().await;
            return Err(error);
        }
        info!(cluster = %started.gateway().catalog().cluster(), "cluster started");
        Ok(started)
    }

    /// Joins a cluster of other processes, as one node of it or as a router alone. The node has
    /// started, and registers.
    ///
    /// Needs a runtime with time and more than one thread.
    ///
    /// * `seats`: which node the data directory is; `None`: none, the process routes only.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn join(
        settings: Settings,
        components: Components,
        seats: Option<Arc<dyn NodeSeats>>,
    ) -> Result<Cluster, StartError> {
        let settings = settings.without_nodes();
        let name = settings.description.name.clone();
        let known = match &seats {
            Some(seats) => seats.taken(&name)?,
            None => None,
        };
        let known: Vec<NodeId> = known.into_iter().collect();
        let mut started = Cluster::route(some_router(), &known, settings, components).await?;
        let joined = match seats {
            Some(seats) => started.join_as(&name, seats.as_ref()).await,
            None => started.await_fold(Instant::now() + START_TIMEOUT).await.map(drop),
        };
        if let Err(error) = joined {
            started.abort().await;
            return Err(error);
        }
        Ok(started)
    }

    /// Finds out which node this is, and starts it.
    async fn join_as(&mut self, name: &str, seats: &dyn NodeSeats) -> Result<(), StartError> {
        let catalog = self.await_fold(Instant::now() + START_TIMEOUT).await?;
        let seat = seat_in(&catalog, name, seats.taken(name)?)?;
        seats.take(name, seat.node)?;
        info!(node = %seat.node, name, "this data directory is a node of the cluster");
        self.nodes.seat(std::iter::once(seat.node));
        self.start_node(seat.node, seat.above).await
    }

    async fn start_node(&mut self, node: NodeId, above: NodeIncarnation) -> Result<(), StartError> {
        match self.nodes.start_above(node, above).await {
            Ok(()) => Ok(()),
            Err(source) => Err(StartError::Node { node, source }),
        }
    }

    /// The catalog as it stands at the end of the log.
    async fn await_fold(&self, deadline: Instant) -> Result<Arc<Catalog>, StartError> {
        let not_folded = || StartError::NotFolded { waited_s: START_TIMEOUT.as_secs() };
        let host = self.router.node.host();
        let extents = self.nodes.log().extents(&[PartitionId::CLUSTER]).await;
        let extents =
            extents.map_err(|error| StartError::Identity(IdentityError::LogUnreadable(error)))?;
        let end = extents.first().map(|extent| extent.end).unwrap_or_default();
        let route = host.routes.route(PartitionId::CLUSTER);
        let has_folded = || route.replica().filter(|replica| replica.folded() >= end);
        let replica = loop {
            if let Some(why) = route.replica().and_then(|replica| replica.needs_upgrade()) {
                return Err(StartError::TooOld { why });
            }
            match has_folded() {
                Some(replica) => break replica,
                None if Instant::now() >= deadline => return Err(not_folded()),
                None => sleep(REGISTRATION_LOOK).await,
            }
        };
        let catalog = host.cluster.catalog.reaching(replica.applied(), deadline).await;
        catalog.ok_or_else(not_folded)
    }

    /// Finds the cluster, and follows it.
    ///
    /// * `known`: the nodes whose stores may say which cluster it is.
    async fn route(
        router: NodeId,
        known: &[NodeId],
        settings: Settings,
        components: Components,
    ) -> Result<Cluster, StartError> {
        let cluster = identity(&components, known).await?;
        let metrics = Arc::clone(&components.metrics);
        // Bounded by the nodes of the process, each of which fails for few reasons and then ends.
        let (failures, failed) = mpsc::unbounded_channel();
        let nodes = Arc::new(Nodes::new(cluster, router, settings, components, failures));
        let router = nodes.start_router().await.map_err(StartError::Router)?;
        metrics.collect(Observation::of(&nodes));
        let supervisor = tokio::spawn(Arc::clone(&nodes).supervise(failed));
        Ok(Cluster { nodes, router, supervisor, starting: JoinSet::new() })
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

    /// Waits until the cluster refuses the node of this process; answers why, for operators.
    pub async fn refused(&self) -> String {
        self.nodes.refusal().await.1
    }

    /// Gives up the leaderships of this process's nodes to others that can take them.
    ///
    /// * `deadline`: what has not been handed over by then is left to failovers.
    pub async fn hand_over(&self, deadline: Instant) {
        let mut handing = JoinSet::new();
        for running in self.nodes.all_running() {
            handing.spawn(async move { running.node.hand_over(deadline).await });
        }
        // Handing over dies of nothing; if it did, others would claim.
        while handing.join_next().await.is_some() {}
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
        self.router.end().await;
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

/// In whose name one of many processes routes: a name above all those that nodes get, and its own.
fn some_router() -> NodeId {
    NodeId(random_u128() as u32 | ROUTERS)
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
