//! The nodes of this process: started, ended, and started again when they fail.
//!
//! Nothing of one node's memory is reached by another here: they find one another through the
//! network. Start reading at [`Nodes::start_node`] and [`Nodes::kill`].

use crate::clock::Clock;
use crate::cluster_identity::cluster_in;
use crate::components::Components;
use crate::directory::{DirectoryError, NodeDirectories, NodeIdentity};
use crate::metrics::NodeMetrics;
use crate::node::{Node, NodeParts};
use crate::replica_host::Duty;
use crate::request_reach::RequestReach;
use crate::settings::Settings;
use crate::store_factory::StoreFactory;
use crate::tasks::NodeFailure;
use cortado_cluster::{NextLife, NodeLife};
use cortado_driver::ReplicaRole;
use cortado_gateway::{
    Catalog, EventKind, Gateway, GatewayMetrics, NotReady, Refusals, random_u128,
};
use cortado_log::{Beats, Log};
use cortado_metrics::Registry;
use cortado_model::{
    ClusterUuid, DirectoryUuid, NodeId, NodeIncarnation, PartitionId, with_causes,
};
use cortado_peer::{PeerLife, PeerNetwork, PeerPlace, PeerPlaceError, PlaceUsage};
use cortado_store::{MemoryStore, Store, StoreError};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

/// How long a node's former store may take to be let go of by requests that still read it.
const STORE_RELEASE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often that is looked at.
const STORE_RELEASE_LOOK: Duration = Duration::from_millis(2);
/// Between two tries to start a node whose store has failed.
const RETRY: Duration = Duration::from_secs(1);

/// Why a node was not started or ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No node of this process has that id.
    #[error("this process has no such node")]
    NoSuchNode,
    /// It runs.
    #[error("the node is already running")]
    AlreadyRunning,
    /// It does not run.
    #[error("the node is not running")]
    NotRunning,
    /// Requests of its former life still read its store.
    #[error("the node's store is still in use by requests of its former life; retry")]
    StoreInUse,
    /// The process is ending.
    #[error("the process is shutting down")]
    Ending,
    /// The cluster does not let it live.
    #[error("the node cannot run: {why}")]
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
    /// The others cannot reach it.
    #[error(transparent)]
    Place(#[from] PeerPlaceError),
    /// Its store is another cluster's.
    #[error(
        "the node's store belongs to cluster {store}, the log to {log}; restore those that belong \
         together"
    )]
    StoreForeign {
        /// As the store's replicas say.
        store: ClusterUuid,
        /// As the log says.
        log: ClusterUuid,
    },
}

/// The nodes of this process.
pub struct Nodes {
    cluster: ClusterUuid,
    settings: Arc<Settings>,
    log: Arc<dyn Log>,
    beats: Arc<dyn Beats>,
    stores: Arc<dyn StoreFactory>,
    directories: Arc<dyn NodeDirectories>,
    clock: Clock,
    network: Arc<dyn PeerNetwork>,
    warnings: Vec<String>,
    /// Where the process follows `_cluster` to route requests: no node's name.
    router: NodeId,
    /// Its present life; weak, so that it ends with its owner.
    routing: OnceLock<Weak<Running>>,
    registry: Arc<Registry>,
    gateway_metrics: Arc<GatewayMetrics>,
    refusals: Arc<Refusals>,
    reach: Arc<RequestReach>,
    /// A node was refused.
    refused: Notify,
    /// Empty until it is known which nodes these are.
    slots: OnceLock<BTreeMap<NodeId, Slot>>,
    failures: mpsc::UnboundedSender<NodeFailure>,
    ending: AtomicBool,
}

/// The place of one node, whether it runs or not.
struct Slot {
    metrics: Arc<NodeMetrics>,
    running: RwLock<Option<Arc<Running>>>,
    /// Held while the node is started or ended: the store of its last life.
    changing: Mutex<Option<Weak<dyn Store>>>,
}

/// A router that has known for so long that the log of `_cluster` holds more sends requests by an
/// old picture of the cluster.
const ROUTER_BEHIND_MS: u64 = 5_000;

/// A node that the others reach.
pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) place: Arc<dyn PeerPlace>,
}

impl Nodes {
    /// It is not known yet which nodes these are.
    ///
    /// * `router`: in whose name requests are routed; no node's.
    pub(crate) fn new(
        cluster: ClusterUuid,
        router: NodeId,
        settings: Settings,
        components: Components,
        failures: mpsc::UnboundedSender<NodeFailure>,
    ) -> Nodes {
        let registry = Arc::clone(&components.metrics);
        let Components { log, beats, network, stores, directories, warnings, .. } = components;
        Nodes {
            cluster,
            settings: Arc::new(settings),
            log,
            beats,
            stores,
            directories,
            clock: Clock::start(),
            network,
            warnings,
            router,
            routing: OnceLock::new(),
            gateway_metrics: Arc::new(GatewayMetrics::register(&registry)),
            registry,
            refusals: Arc::default(),
            reach: Arc::new(RequestReach::new(router)),
            refused: Notify::new(),
            slots: OnceLock::new(),
            failures,
            ending: AtomicBool::new(false),
        }
    }

    /// These are the nodes of the process, none of which runs yet. Once.
    pub(crate) fn seat(&self, nodes: impl Iterator<Item = NodeId>) {
        let named = nodes.map(|node| (node, self.name_of(node)));
        let slot = |(node, metrics)| {
            (node, Slot { metrics, running: RwLock::default(), changing: Mutex::default() })
        };
        let slots = NodeMetrics::register_named(&self.registry, named).into_iter().map(slot);
        // Whoever seats them is the one that starts them.
        let _ = self.slots.set(slots.collect());
    }

    /// What people call a node of this process.
    pub(crate) fn name_of(&self, node: NodeId) -> String {
        self.settings.name_of(node)
    }

    fn slot(&self, node: NodeId) -> Option<&Slot> {
        self.slots.get()?.get(&node)
    }

    fn slots(&self) -> impl Iterator<Item = (&NodeId, &Slot)> {
        self.slots.get().into_iter().flatten()
    }

    /// The door of one node, while it runs.
    pub fn gateway(&self, node: NodeId) -> Option<Gateway> {
        self.running(node).map(|running| running.node.gateway().clone())
    }

    /// Ends a node at once, as its death would.
    ///
    /// # Errors
    /// There is no such node, or it does not run.
    pub async fn kill(&self, node: NodeId) -> Result<(), NodeError> {
        self.end_node(node, None).await
    }

    /// Starts a node: a new incarnation, from what its store holds.
    ///
    /// # Errors
    /// Nothing was started.
    pub async fn start(&self, node: NodeId) -> Result<(), NodeError> {
        self.start_above(node, NodeIncarnation(0)).await
    }

    /// Whether the nodes of this process have registered, and their replicas serve or follow; what
    /// is wrong with them all the same.
    ///
    /// # Errors
    /// What is missing.
    pub fn ready(&self) -> Result<Vec<String>, NotReady> {
        if let Some(why) = self.log.failure() {
            return Err(NotReady::LogFailed { why });
        }
        if self.is_ending() {
            return Err(NotReady::Ending);
        }
        if self.all().next().is_none() {
            return self.router_ready();
        }
        let mut wrong = Vec::new();
        for node in self.all() {
            let Some(running) = self.running(node) else {
                let why = self.refused(node).unwrap_or_else(|| "it is starting".to_owned());
                return Err(NotReady::NodeDown { why });
            };
            let host = running.node.host();
            host.check_ready()?;
            wrong.extend(host.health.sickness());
        }
        Ok(wrong)
    }

    /// Whether requests that come here find their way: the process follows `_cluster`, and reaches
    /// nodes. Those that it does not reach are told.
    fn router_ready(&self) -> Result<Vec<String>, NotReady> {
        let Some(router) = self.routing.get().and_then(Weak::upgrade) else {
            return Err(NotReady::CatalogNotRead);
        };
        let host = router.node.host();
        let replica = host.routes.route(PartitionId::CLUSTER).replica();
        let replica = replica.ok_or(NotReady::CatalogNotRead)?;
        let is_behind = replica.behind_ms(host.clock.steady()) > ROUTER_BEHIND_MS;
        let has_nodes = host.cluster.catalog.newest().members().next().is_some();
        match replica.role() {
            ReplicaRole::NeedsUpgrade => return Err(NotReady::TooOld),
            ReplicaRole::Disputed => return Err(NotReady::CatalogDisputed),
            role if role.is_readable() && has_nodes && !is_behind => {}
            _ => return Err(NotReady::CatalogNotRead),
        }
        let PlaceUsage { known, connected, .. } = router.place.usage();
        match connected {
            0 => Err(NotReady::NoNodeReached),
            connected if connected < known => {
                Ok(vec![format!("{} of {known} nodes are not reached", known - connected)])
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What the operator has allowed and should not forget.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = NodeId> {
        self.slots().map(|(node, _)| *node)
    }

    pub(crate) fn log(&self) -> &dyn Log {
        self.log.as_ref()
    }

    /// The node's present life, if it runs.
    pub(crate) fn running(&self, node: NodeId) -> Option<Arc<Running>> {
        self.slot(node).and_then(Slot::running)
    }

    /// The newest state of the cluster that a node of this process has folded; `None` if none runs.
    pub(crate) fn catalog(&self) -> Option<Arc<Catalog>> {
        let running = self.all_running().into_iter();
        let known = running.map(|running| running.node.host().cluster.catalog.newest());
        known.max_by_key(|catalog| catalog.scn())
    }

    /// Every node that runs.
    pub(crate) fn all_running(&self) -> Vec<Arc<Running>> {
        self.slots().filter_map(|(_, slot)| slot.running()).collect()
    }

    /// Why the node stays down; `None` if it runs, or was ended by hand.
    pub(crate) fn refused(&self, node: NodeId) -> Option<String> {
        self.refusals.of(node)
    }

    /// A node could not be started: `cortado status` says why. Answers whether it is of use to try
    /// again.
    pub(crate) fn stays_down(&self, node: NodeId, why: &NodeError) -> bool {
        let error = with_causes(why);
        let tries_again = !matches!(
            why,
            NodeError::StoreForeign { .. } | NodeError::Store(StoreError::Damaged { .. })
        );
        if tries_again {
            error!(%node, error, "node not started; trying again");
        } else {
            error!(%node, error, "node not started; repair its store, then restart the process");
        }
        self.refusals.note(node, error);
        tries_again
    }

    /// No node is started any more.
    pub(crate) fn set_ending(&self) {
        self.ending.store(true, Ordering::Release);
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// The partitions of which each node of this process that runs holds a replica, in ascending
    /// order.
    pub fn replicas_held(&self) -> Vec<(NodeId, Vec<PartitionId>)> {
        let held = |running: Arc<Running>| {
            let host = running.node.host();
            let replicas = host.routes.replicas();
            let mut held: Vec<_> = replicas.iter().map(|replica| replica.partition).collect();
            held.sort_unstable();
            (host.node(), held)
        };
        self.all_running().into_iter().map(held).collect()
    }

    /// Waits until a node is refused by the cluster; answers which, and why.
    pub(crate) async fn refusal(&self) -> (NodeId, String) {
        loop {
            // Before the look, so that none is missed.
            let refused = self.refused.notified();
            if let Some(found) = self.all().find_map(|node| Some((node, self.refused(node)?))) {
                return found;
            }
            refused.await;
        }
    }

    /// Follows `_cluster` for requests that come to the process rather than to one of its nodes.
    ///
    /// # Errors
    /// The threads of its store, which is in memory, cannot be started; or it has no place.
    pub(crate) async fn start_router(&self) -> Result<Arc<Running>, NodeError> {
        let (incarnation, directory) = (NodeIncarnation(1), DirectoryUuid(0));
        let me = NodeLife { node: self.router, incarnation, directory, nonce: random_u128() };
        let unseen = Registry::default();
        let metrics = NodeMetrics::register(&unseen, [self.router].into_iter());
        let metrics = metrics.into_values().next().expect("one was asked for");
        let store = Arc::new(MemoryStore::new());
        let running = Arc::new(self.run(me, Duty::Router, store, metrics).await?);
        // A process has one for as long as it runs.
        let _ = self.routing.set(Arc::downgrade(&running));
        Ok(running)
    }

    /// Starts a node in an incarnation above `above`.
    pub(crate) async fn start_above(
        &self,
        node: NodeId,
        above: NodeIncarnation,
    ) -> Result<(), NodeError> {
        let slot = self.slot(node).ok_or(NodeError::NoSuchNode)?;
        let mut former = slot.changing.lock().await;
        if slot.running().is_some() {
            return Err(NodeError::AlreadyRunning);
        }
        if self.is_ending() {
            return Err(NodeError::Ending);
        }
        await_release(former.as_ref()).await?;
        let NodeIdentity { directory, incarnation } = self.begin_life(node, above).await?;
        let store = self.open_store(node).await?;
        *former = Some(Arc::downgrade(&store));
        let me = NodeLife { node, incarnation, directory, nonce: random_u128() };
        let running = self.run(me, Duty::Member, store, Arc::clone(&slot.metrics)).await?;
        self.refusals.forget(node);
        *slot.running.write() = Some(Arc::new(running));
        info!(%node, %incarnation, "node started");
        Ok(())
    }

    /// Runs one life, and lets the others reach it.
    async fn run(
        &self,
        me: NodeLife,
        duty: Duty,
        store: Arc<dyn Store>,
        metrics: Arc<NodeMetrics>,
    ) -> Result<Running, NodeError> {
        let place = self.network.enter(PeerLife {
            cluster: self.cluster,
            node: me.node,
            incarnation: me.incarnation,
            directory: me.directory,
            is_asked: duty == Duty::Member,
        });
        let node = Node::start(NodeParts {
            me,
            duty,
            cluster: self.cluster,
            settings: Arc::clone(&self.settings),
            log: Arc::clone(&self.log),
            beats: Arc::clone(&self.beats),
            store,
            stores: Arc::clone(&self.stores),
            peers: place.peers(),
            clock: self.clock,
            metrics,
            gateway_metrics: Arc::clone(&self.gateway_metrics),
            refusals: Arc::clone(&self.refusals),
            reach: Arc::clone(&self.reach),
            failures: self.failures.clone(),
        });
        let node = node.map_err(NodeError::Store)?;
        if let Err(error) = place.serve(node.service()).await {
            node.end().await;
            return Err(error.into());
        }
        node.announce(Arc::clone(&place));
        Ok(Running { node, place })
    }

    /// Ends a node; with `life`, only if that is its present one.
    async fn end_node(&self, node: NodeId, life: Option<NodeIncarnation>) -> Result<(), NodeError> {
        let slot = self.slot(node).ok_or(NodeError::NoSuchNode)?;
        // Until the end, so that the next life does not open the store while it is still in use.
        let former = slot.changing.lock().await;
        let running = slot.running().ok_or(NodeError::NotRunning)?;
        let incarnation = running.node.me().incarnation;
        if life.is_some_and(|life| life != incarnation) {
            return Err(NodeError::NotRunning);
        }
        running.node.abort();
        *slot.running.write() = None;
        running.end().await;
        if self.is_ending() {
            info!(%node, %incarnation, "node ended");
        } else {
            warn!(%node, %incarnation, "node ended without a shutdown");
        }
        drop(former);
        Ok(())
    }

    /// Raises the incarnation of a node, durably.
    async fn begin_life(
        &self,
        node: NodeId,
        above: NodeIncarnation,
    ) -> Result<NodeIdentity, NodeError> {
        let directories = Arc::clone(&self.directories);
        let begin = move || directories.begin_life(node, above);
        let begun = tokio::task::spawn_blocking(begin).await.unwrap_or_else(|panic| {
            let what = "reading the node's identity panicked".to_owned();
            Err(DirectoryError::Failed { what, source: io::Error::other(panic) })
        });
        begun.map_err(NodeError::Directory)
    }

    async fn open_store(&self, node: NodeId) -> Result<Arc<dyn Store>, NodeError> {
        let (stores, cluster) = (Arc::clone(&self.stores), self.cluster);
        let open = move || {
            let store = stores.open(node).map_err(NodeError::Store)?;
            match cluster_in(store.as_ref()) {
                // It could not be read when the others were.
                Ok(Some(store)) if store != cluster => {
                    Err(NodeError::StoreForeign { store, log: cluster })
                }
                // What is damaged is met again by who wants it.
                Ok(_) | Err(_) => Ok(store),
            }
        };
        let opened = tokio::task::spawn_blocking(open).await;
        let why = "opening the store panicked".to_owned();
        opened.unwrap_or(Err(NodeError::Store(StoreError::Failed { why })))
    }

    /// Starts nodes again that cannot go on, until the process ends.
    pub(crate) async fn supervise(
        self: Arc<Self>,
        mut failed: mpsc::UnboundedReceiver<NodeFailure>,
    ) {
        // One that cannot be started holds up no other.
        let mut mending = JoinSet::new();
        while let Some(failure) = failed.recv().await {
            mending.spawn(Arc::clone(&self).mend(failure));
            while mending.try_join_next().is_some() {}
        }
    }

    /// Ends a life that cannot go on, and begins the next one if there is to be one.
    async fn mend(self: Arc<Self>, failure: NodeFailure) {
        let NodeFailure { life, why, next, steps_down } = failure;
        let NodeLife { node, incarnation, .. } = life;
        if steps_down {
            self.step_down(&life, &why).await;
        }
        if self.end_node(node, Some(incarnation)).await.is_err() {
            // An earlier failure of the same life has ended it. A router has no life to end: what
            // it knows of the cluster grows old, and it says so.
            if node == self.router {
                error!(error = why, "router failed; restart the process");
            }
            return;
        }
        let above = match next {
            NextLife::Begins { above } => above,
            NextLife::Waits => {
                error!(%node, %incarnation, reason = why, "cluster refused the node");
                self.refusals.note(node, why);
                return self.refused.notify_waiters();
            }
        };
        error!(%node, %incarnation, error = why, "node failed; restarting it");
        self.start_until_it_runs(node, above, String::new()).await;
    }

    /// Has a life give up in the log what it leads, before it ends: others lead at once, and need
    /// not find out first that it is gone. The router tells why: it outlives the node.
    async fn step_down(&self, life: &NodeLife, why: &str) {
        let running = self.running(life.node);
        let Some(running) = running.filter(|running| running.node.me() == life) else { return };
        if let Some(router) = self.routing.get().and_then(Weak::upgrade) {
            let what = format!("{} gives up what it leads and starts again: {why}", life.node);
            router.node.host().decisions.explain_of(Some(life.node), EventKind::Health, what);
        }
        running.node.step_down(why).await;
    }

    /// Starts a node as soon as it can be started.
    ///
    /// * `told`: why it could not be until now.
    pub(crate) async fn start_some_time(self: Arc<Self>, node: NodeId, told: String) {
        self.start_until_it_runs(node, NodeIncarnation(0), told).await;
    }

    async fn start_until_it_runs(&self, node: NodeId, above: NodeIncarnation, mut told: String) {
        loop {
            sleep(RETRY).await;
            match self.start_above(node, above).await {
                Ok(()) | Err(NodeError::AlreadyRunning | NodeError::Ending) => return,
                Err(error) if with_causes(&error) == told => {}
                Err(error) => {
                    told = with_causes(&error);
                    if !self.stays_down(node, &error) {
                        return;
                    }
                }
            }
        }
    }
}

impl Running {
    /// Ends the life at once. Calls that are on their way are answered, as far as they can be.
    pub(crate) async fn end(&self) {
        self.node.abort();
        self.node.end().await;
        self.place.leave().await;
    }
}

impl Slot {
    fn running(&self) -> Option<Arc<Running>> {
        self.running.read().clone()
    }
}

/// Waits until a node's former store is held no more.
async fn await_release(store: Option<&Weak<dyn Store>>) -> Result<(), NodeError> {
    let give_up_at = Instant::now() + STORE_RELEASE_TIMEOUT;
    while store.is_some_and(|store| store.strong_count() > 0) {
        if Instant::now() >= give_up_at {
            return Err(NodeError::StoreInUse);
        }
        sleep(STORE_RELEASE_LOOK).await;
    }
    Ok(())
}
