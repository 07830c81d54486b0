//! One life of a node: its parts, put together, and their end.
//!
//! Knows other nodes through its peers and the log alone. Start reading at [`Node::start`].

use crate::address_book::keep_address_book;
use crate::catalog_seeker::seek_catalog;
use crate::clock::{Clock, wall};
use crate::copies::Copies;
use crate::effort::Effort;
use crate::gossip_follower::follow_gossip;
use crate::handing_over::{hand_over, step_down};
use crate::health::Health;
use crate::local_routes::LocalRoutes;
use crate::log_time::LogTime;
use crate::log_watch::watch_logs;
use crate::metrics::NodeMetrics;
use crate::placed_replicas::{PlacedReplicas, stop_replica};
use crate::progress_teller::tell_progress;
use crate::registration::register;
use crate::replica_host::{Duty, ReplicaHost};
use crate::request_reach::{ObservedPeers, RequestReach};
use crate::room_watch::watch_room;
use crate::service::NodeService;
use crate::settings::Settings;
use crate::store_factory::StoreFactory;
use crate::store_observer::StoreObserver;
use crate::tasks::{Life, NodeFailure, Tasks};
use crate::watcher::watch_over;
use cortado_cluster::NodeLife;
use cortado_gateway::{
    Decisions, Gateway, GatewayMetrics, GatewayParts, JournalEntry, KnownCluster, Refusals,
};
use cortado_lanes::StoreLanes;
use cortado_log::{Beats, Log};
use cortado_model::{ClusterUuid, PartitionId};
use cortado_peer::{Peer, PeerPlace, PeerProgress, Peers};
use cortado_store::{Store, StoreError};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tracing::{error, warn};

/// How long a node that ends waits for its replicas: they have ten seconds to settle, and those
/// that cannot are told once more.
const STOP_ALL_TIMEOUT: Duration = Duration::from_secs(15);

/// What a node is made of.
pub(crate) struct NodeParts {
    pub(crate) me: NodeLife,
    pub(crate) duty: Duty,
    pub(crate) cluster: ClusterUuid,
    pub(crate) settings: Arc<Settings>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) beats: Arc<dyn Beats>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) stores: Arc<dyn StoreFactory>,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) gateway_metrics: Arc<GatewayMetrics>,
    pub(crate) refusals: Arc<Refusals>,
    /// Of its process.
    pub(crate) reach: Arc<RequestReach>,
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
        let (metrics, refusals) = (Arc::clone(&parts.gateway_metrics), Arc::clone(&parts.refusals));
        let (host, entries) = host_of(parts)?;
        let service = Arc::new(NodeService::new(Arc::clone(&host)));
        let gateway = gateway_of(&host, &service, metrics, refusals);
        let node = Node { host, service, gateway };
        node.spawn_tasks(entries);
        Ok(node)
    }

    fn spawn_tasks(&self, entries: mpsc::Receiver<JournalEntry>) {
        let (host, gateway) = (&self.host, &self.gateway);
        let replicas = PlacedReplicas::start(Arc::clone(host), Arc::clone(&self.service));
        host.tasks.spawn(replicas.keep());
        host.tasks.spawn(tell_progress(Arc::clone(host)));
        let tasks = Arc::clone(&host.tasks);
        let spawn = move |batch| tasks.spawn(batch);
        host.tasks.spawn(gateway.clone().write_journal(entries, spawn));
        if host.duty == Duty::Member {
            let (watched, service) = (Arc::clone(host), Arc::clone(&self.service));
            host.tasks.spawn(watch_over(watched, service));
            host.tasks.spawn(watch_room(Arc::clone(host)));
            host.tasks.spawn(watch_logs(Arc::clone(host)));
            host.tasks.spawn(gateway.clone().control(leads_cluster(host)));
            host.tasks.spawn(gateway.clone().move_replicas(leads_cluster(host)));
            host.tasks.spawn(gateway.clone().found_journal(leads_cluster(host)));
        }
    }

    /// Goes among the others: from now on it knows where they are, and a member registers.
    ///
    /// * `place`: where it is reached itself, if it is.
    pub(crate) fn announce(&self, place: Arc<dyn PeerPlace>) {
        let (host, address) = (&self.host, place.address());
        if let Some(gossip) = place.gossip() {
            if host.duty == Duty::Member {
                host.tasks.spawn(follow_gossip(Arc::clone(host), Arc::clone(&gossip)));
            }
            // A life goes among the others once.
            let _ = host.gossip.set(gossip);
        }
        host.tasks.spawn(keep_address_book(Arc::clone(host), place));
        host.tasks.spawn(seek_catalog(Arc::clone(host)));
        if host.duty == Duty::Member {
            host.tasks.spawn(register(Arc::clone(host), self.gateway.clone(), address));
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

    /// This life as its replicas see it.
    pub(crate) fn host(&self) -> &Arc<ReplicaHost> {
        &self.host
    }

    /// Settles what was begun, begins nothing new, and makes the store durable.
    pub(crate) async fn settle(&self) {
        self.gateway.end();
        let mut stopping = tokio::task::JoinSet::new();
        for replica in self.host.routes.replicas() {
            stopping.spawn(async move { timeout(STOP_ALL_TIMEOUT, stop_replica(&replica)).await });
        }
        // Stopping dies of nothing; if it did, the node is ended next anyway.
        while let Some(stopped) = stopping.join_next().await {
            if matches!(stopped, Ok(Err(_))) {
                warn!(node = %self.host.node(), "ending with a replica that has not stopped");
            }
        }
        let (store, node) = (Arc::clone(&self.host.store), self.host.node());
        match spawn_blocking(move || store.sync()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%node, %error, "store not synced; the log has what it lacks"),
            Err(error) => warn!(%node, %error, "store not synced; the log has what it lacks"),
        }
    }

    /// Gives up what it leads; see [`hand_over`].
    pub(crate) async fn hand_over(&self, deadline: Instant) {
        hand_over(&self.host, &self.service, deadline).await;
    }

    /// Steps down wherever it leads, since its store has failed; see
    /// [`step_down`](crate::handing_over::step_down).
    pub(crate) async fn step_down(&self, why: &str) {
        step_down(&self.host, why).await;
    }

    /// Ends every task at once.
    pub(crate) fn abort(&self) {
        self.gateway.end();
        self.host.tasks.abort();
    }

    /// Ends every task as [`abort`](Self::abort) does, then the store's threads, and waits until
    /// none is left.
    pub(crate) async fn end(&self) {
        self.abort();
        // Threads may wait for a peer to take their chunks.
        self.service.snapshots.give_up();
        self.host.tasks.end().await;
        let lanes = Arc::clone(&self.host.lanes);
        if let Err(panic) = spawn_blocking(move || lanes.end()).await {
            error!(node = %self.host.node(), %panic, "ending the store lanes panicked");
        }
    }
}

/// The door of the node; of the router, which has no replicas to ask.
fn gateway_of(
    host: &Arc<ReplicaHost>,
    service: &Arc<NodeService>,
    metrics: Arc<GatewayMetrics>,
    refusals: Arc<Refusals>,
) -> Gateway {
    let own = || (host.node(), Arc::clone(service) as Arc<dyn Peer>);
    Gateway::new(GatewayParts {
        cluster: Arc::clone(&host.cluster),
        own: (host.duty == Duty::Member).then(own),
        peers: Arc::new(ObservedPeers {
            peers: Arc::clone(&host.peers),
            reach: Arc::clone(&host.reach),
        }),
        log: Arc::clone(&host.log),
        wall_clock: wall,
        decisions: host.decisions.clone(),
        journal_entries_max: host.settings.journal_entries_max,
        refusals,
        metrics,
    })
}

/// Whether this node leads `_cluster`, whenever that is asked.
fn leads_cluster(host: &Arc<ReplicaHost>) -> impl Fn() -> bool + Send + 'static {
    let cluster = host.routes.route(PartitionId::CLUSTER);
    move || cluster.serving().is_some()
}

/// What the node's replicas stand on, and where the entries of its journal come out.
fn host_of(
    parts: NodeParts,
) -> Result<(Arc<ReplicaHost>, mpsc::Receiver<JournalEntry>), StoreError> {
    let life = Life::new(parts.me, parts.failures);
    let health = Health::new(parts.clock);
    let observer = StoreObserver {
        vitals: Arc::clone(&health.store),
        metrics: Arc::clone(&parts.metrics),
        life: life.clone(),
    };
    let lanes = StoreLanes::start(parts.me.node, Arc::clone(&parts.store), observer)?;
    let lost = parts.metrics.events_lost.clone();
    let (decisions, entries) = Decisions::new(parts.me.node, wall, lost);
    let own = (parts.duty == Duty::Member).then_some(parts.me.node);
    let founders = parts.settings.nodes().collect();
    let cluster = Arc::new(KnownCluster::new(parts.cluster, founders, own));
    let host = ReplicaHost {
        tasks: Arc::new(Tasks::new(life.clone())),
        life,
        duty: parts.duty,
        log: parts.log,
        beats: parts.beats,
        store: parts.store,
        stores: parts.stores,
        lanes: Arc::new(lanes),
        clock: parts.clock,
        log_time: LogTime::new(parts.clock),
        settings: parts.settings,
        health,
        effort: Effort::default(),
        copies: Copies::default(),
        metrics: parts.metrics,
        routes: LocalRoutes::new(Arc::clone(&cluster.routes)),
        cluster,
        peers: parts.peers,
        progress: PeerProgress::default(),
        gossip: OnceLock::new(),
        reach: parts.reach,
        decisions,
        changed: Arc::default(),
    };
    Ok((Arc::new(host), entries))
}

#[cfg(test)]
mod tests;
