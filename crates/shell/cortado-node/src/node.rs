//! One life of a node: its parts, put together, and their end.
//!
//! Knows other nodes through its peers and the log alone. Start reading at [`Node::start`].

use crate::clock::Clock;
use crate::controller::control;
use crate::decisions::{Decisions, Entry};
use crate::effort::Effort;
use crate::folded_catalog::FoldedCatalog;
use crate::gateway::Gateway;
use crate::health::Health;
use crate::log_time::LogTime;
use crate::metrics::{GatewayMetrics, NodeMetrics};
use crate::placed_replicas::{PlacedReplicas, stop_replica};
use crate::progress_teller::tell_progress;
use crate::refusals::Refusals;
use crate::registration::register;
use crate::replica_host::{Duty, ReplicaHost};
use crate::routes::Routes;
use crate::service::NodeService;
use crate::settings::Settings;
use crate::store_observer::StoreObserver;
use crate::tasks::{Life, NodeFailure, Tasks};
use crate::watcher::watch_over;
use cortado_cluster::NodeLife;
use cortado_lanes::StoreLanes;
use cortado_log::{Beats, Log};
use cortado_model::ClusterUuid;
use cortado_peer::{Peer, PeerProgress, Peers};
use cortado_store::{Store, StoreError};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tracing::{error, warn};

/// What a node is made of.
pub(crate) struct NodeParts {
    pub(crate) me: NodeLife,
    pub(crate) duty: Duty,
    pub(crate) cluster: ClusterUuid,
    pub(crate) settings: Arc<Settings>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) beats: Arc<dyn Beats>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) gateway_metrics: Arc<GatewayMetrics>,
    pub(crate) refusals: Arc<Refusals>,
    /// Is told why the node cannot go on.
    pub(crate) failures: mpsc::UnboundedSender<NodeFailure>,
}

/// A node that runs.
pub(crate) struct Node {
    host: Arc<ReplicaHost>,
    service: Arc<NodeService>,
    gateway: Gateway,
}

impl Node {
    /// Begins a life: the threads of its store, then its tasks.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub(crate) fn start(parts: NodeParts) -> Result<Node, StoreError> {
        let (gateway_metrics, refusals) =
            (Arc::clone(&parts.gateway_metrics), Arc::clone(&parts.refusals));
        let (host, entries) = host_of(parts)?;
        let service = Arc::new(NodeService::new(Arc::clone(&host)));
        let gateway = Gateway::new(Arc::clone(&host), &service, gateway_metrics, refusals);
        let node = Node { host, service, gateway };
        node.spawn_tasks(entries);
        Ok(node)
    }

    fn spawn_tasks(&self, entries: mpsc::Receiver<Entry>) {
        let (host, gateway) = (&self.host, &self.gateway);
        let replicas = PlacedReplicas::start(Arc::clone(host), Arc::clone(&self.service));
        host.tasks.spawn(replicas.keep());
        host.tasks.spawn(tell_progress(Arc::clone(host)));
        host.tasks.spawn(gateway.clone().write_journal(entries));
        if host.duty == Duty::Member {
            let (watched, service) = (Arc::clone(host), Arc::clone(&self.service));
            host.tasks.spawn(watch_over(watched, service));
            host.tasks.spawn(control(Arc::clone(host), gateway.clone()));
            host.tasks.spawn(gateway.clone().found_journal());
            host.tasks.spawn(register(Arc::clone(host), gateway.clone()));
        }
    }

    pub(crate) fn me(&self) -> &NodeLife {
        self.host.me()
    }

    /// What it does for others.
    pub(crate) fn service(&self) -> Arc<dyn Peer> {
        Arc::clone(&self.service) as Arc<dyn Peer>
    }

    /// Its door for clients.
    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// For whoever shows what it counts and holds.
    pub(crate) fn host(&self) -> &Arc<ReplicaHost> {
        &self.host
    }

    /// Settles what was begun, begins nothing new, and makes the store durable.
    pub(crate) async fn settle(&self) {
        self.gateway.end();
        let mut stopping = tokio::task::JoinSet::new();
        for replica in self.host.routes.replicas() {
            stopping.spawn(async move { stop_replica(&replica).await });
        }
        // Stopping dies of nothing; if it did, the node is ended next anyway.
        while stopping.join_next().await.is_some() {}
        let (store, node) = (Arc::clone(&self.host.store), self.host.node());
        match spawn_blocking(move || store.sync()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%node, %error, "store not synced; the log has what it lacks"),
            Err(error) => warn!(%node, %error, "store not synced; the log has what it lacks"),
        }
    }

    /// Ends every task without any goodbye.
    pub(crate) fn abort(&self) {
        self.host.tasks.abort();
    }

    /// Ends every task as [`abort`](Self::abort) does, then the store's threads, and waits until
    /// none is left.
    pub(crate) async fn end(&self) {
        self.abort();
        // Threads may wait for somebody who takes their chunks.
        self.service.snapshots.give_up();
        self.host.tasks.end().await;
        let lanes = Arc::clone(&self.host.lanes);
        if let Err(panic) = spawn_blocking(move || lanes.end()).await {
            error!(node = %self.host.node(), %panic, "the store's threads were not ended");
        }
    }
}

/// What the node's replicas stand on, and where the entries of its journal come out.
fn host_of(parts: NodeParts) -> Result<(Arc<ReplicaHost>, mpsc::Receiver<Entry>), StoreError> {
    let life = Life::new(parts.me, parts.failures);
    let health = Health::new(parts.clock);
    let observer = StoreObserver {
        vitals: Arc::clone(&health.store),
        metrics: Arc::clone(&parts.metrics),
        life: life.clone(),
    };
    let lanes = StoreLanes::start(parts.me.node, Arc::clone(&parts.store), observer)?;
    let (decisions, entries) = Decisions::new(parts.me.node, Arc::clone(&parts.metrics));
    let host = ReplicaHost {
        tasks: Arc::new(Tasks::new(life.clone())),
        life,
        duty: parts.duty,
        log: parts.log,
        beats: parts.beats,
        store: parts.store,
        lanes: Arc::new(lanes),
        clock: parts.clock,
        log_time: LogTime::new(parts.clock),
        settings: parts.settings,
        health,
        effort: Effort::default(),
        metrics: parts.metrics,
        catalog: FoldedCatalog::new(parts.cluster),
        routes: Routes::default(),
        peers: parts.peers,
        progress: PeerProgress::default(),
        decisions,
        changed: Arc::default(),
    };
    Ok((Arc::new(host), entries))
}
