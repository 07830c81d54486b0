//! The nodes of this process, and what they share.
//!
//! Start reading at [`Process::start_node`] and [`Process::kill`].

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::components::Components;
use crate::decisions::Decisions;
use crate::directory::{DirectoryError, NodeDirectories, NodeIdentity};
use crate::events::EventKind;
use crate::gateway::Gateway;
use crate::metrics::{GatewayMetrics, NodeMetrics};
use crate::node::{NodeError, run_node};
use crate::node_context::{NodeContext, NodeFailure, NodeParts};
use crate::node_life::NodeLife;
use crate::randomness::random_u128;
use crate::routes::Routes;
use crate::settings::Settings;
use crate::store_factory::StoreFactory;
use cortado_log::{Beats, Log};
use cortado_model::{NodeId, NodeIncarnation};
use cortado_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// How long a node's former store may take to be let go of by requests that still read it.
const STORE_RELEASE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often that is looked at.
const STORE_RELEASE_LOOK: Duration = Duration::from_millis(2);

/// Everything that the gateway and the nodes of one process share.
pub(crate) struct Process {
    pub(crate) settings: Arc<Settings>,
    pub(crate) log: Arc<dyn Log>,
    beats: Arc<dyn Beats>,
    pub(crate) clock: Clock,
    pub(crate) routes: Arc<Routes>,
    pub(crate) metrics: Arc<GatewayMetrics>,
    /// The newest catalog that any node has folded.
    pub(crate) newest_catalog: watch::Sender<Arc<Catalog>>,
    /// Whose turn it is to serve a read that any replica may serve.
    pub(crate) turn: AtomicUsize,
    log_bytes: Arc<AtomicU64>,
    stores: Arc<dyn StoreFactory>,
    directories: Arc<dyn NodeDirectories>,
    nodes: BTreeMap<NodeId, Slot>,
    failures: mpsc::UnboundedSender<NodeFailure>,
    ending: AtomicBool,
}

/// The place of one node, whether it runs or not.
struct Slot {
    metrics: Arc<NodeMetrics>,
    running: RwLock<Option<Arc<NodeContext>>>,
    /// Why it stays down, if it was refused.
    refused: RwLock<Option<String>>,
    /// Held while the node is started or ended: the store of its last life.
    changing: Mutex<Option<Weak<dyn Store>>>,
}

impl Process {
    pub(crate) fn new(
        settings: Settings,
        components: Components,
        catalog: Catalog,
        failures: mpsc::UnboundedSender<NodeFailure>,
    ) -> Process {
        let Components { log, beats, stores, directories, metrics: registry, .. } = components;
        let metrics = Arc::new(GatewayMetrics::register(&registry));
        let slot = |(node, metrics)| {
            let (running, refused) = (RwLock::default(), RwLock::default());
            (node, Slot { metrics, running, refused, changing: Mutex::default() })
        };
        let nodes = NodeMetrics::register(&registry, settings.nodes());
        let nodes = nodes.into_iter().map(slot).collect();
        Process {
            settings: Arc::new(settings),
            log,
            beats,
            clock: Clock::start(),
            routes: Arc::new(Routes::new(Arc::clone(&metrics))),
            metrics,
            newest_catalog: watch::Sender::new(Arc::new(catalog)),
            turn: AtomicUsize::new(0),
            log_bytes: Arc::default(),
            stores,
            directories,
            nodes,
            failures,
            ending: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    pub(crate) fn set_ending(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// The node's present life, if it runs.
    pub(crate) fn running(&self, node: NodeId) -> Option<Arc<NodeContext>> {
        self.nodes.get(&node).and_then(Slot::running)
    }

    /// Why the node stays down; `None` if it runs, or was ended by hand.
    pub(crate) fn refused(&self, node: NodeId) -> Option<String> {
        let slot = self.nodes.get(&node)?;
        slot.refused.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The node has ended, and stays down because of this.
    pub(crate) fn note_refused(&self, node: NodeId, why: String) {
        if let Some(slot) = self.nodes.get(&node) {
            *slot.refused.write().unwrap_or_else(PoisonError::into_inner) = Some(why);
        }
    }

    /// Every node that runs.
    pub(crate) fn all_running(&self) -> Vec<Arc<NodeContext>> {
        self.nodes.values().filter_map(Slot::running).collect()
    }

    /// Lets every node look at what it has folded of `_cluster`.
    pub(crate) fn refresh_catalogs(&self) {
        for context in self.all_running() {
            context.catalog_changed.notify_one();
        }
    }

    /// Tells the decision log of something that the process did, not one of its nodes.
    pub(crate) fn explain(&self, kind: EventKind, what: String) {
        if let Some(context) = self.all_running().first() {
            context.decisions.explain(kind, None, what, Vec::new());
        }
    }

    /// Starts a node: a new incarnation, from what its store holds.
    ///
    /// # Errors
    /// Nothing was started.
    pub(crate) async fn start_node(process: &Arc<Process>, node: NodeId) -> Result<(), NodeError> {
        Process::start_node_above(process, node, NodeIncarnation(0)).await
    }

    /// Starts a node in an incarnation above `above`.
    pub(crate) async fn start_node_above(
        process: &Arc<Process>,
        node: NodeId,
        above: NodeIncarnation,
    ) -> Result<(), NodeError> {
        let slot = process.nodes.get(&node).ok_or(NodeError::NoSuchNode)?;
        let mut former = slot.changing.lock().await;
        if slot.running().is_some() {
            return Err(NodeError::AlreadyRunning);
        }
        if process.is_ending() {
            return Err(NodeError::Ending);
        }
        await_release(former.as_ref()).await?;
        let NodeIdentity { directory, incarnation } = process.begin_life(node, above).await?;
        let store = process.open_store(node).await?;
        *former = Some(Arc::downgrade(&store));
        let metrics = Arc::clone(&slot.metrics);
        let (decisions, entries) = Decisions::new(node, Arc::clone(&metrics));
        let context = NodeContext::new(NodeParts {
            me: NodeLife { node, incarnation, directory, nonce: random_u128() },
            settings: Arc::clone(&process.settings),
            log: Arc::clone(&process.log),
            beats: Arc::clone(&process.beats),
            store,
            clock: process.clock,
            routes: Arc::clone(&process.routes),
            metrics,
            decisions,
            newest_catalog: process.newest_catalog.clone(),
            log_bytes: Arc::clone(&process.log_bytes),
            failures: process.failures.clone(),
        });
        let context = Arc::new(context.map_err(NodeError::Store)?);
        *slot.refused.write().unwrap_or_else(PoisonError::into_inner) = None;
        *slot.running.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&context));
        info!(%node, incarnation = incarnation.0, "node starts");
        run_node(&context, Gateway { process: Arc::clone(process) }, entries);
        Ok(())
    }

    /// Ends a node without any goodbye.
    ///
    /// # Errors
    /// Nothing was ended.
    pub(crate) async fn kill(&self, node: NodeId) -> Result<(), NodeError> {
        self.end_node(node, None).await
    }

    /// Ends a node; with `life`, only if that is its present one.
    pub(crate) async fn end_node(
        &self,
        node: NodeId,
        life: Option<NodeIncarnation>,
    ) -> Result<(), NodeError> {
        let slot = self.nodes.get(&node).ok_or(NodeError::NoSuchNode)?;
        // Until the end, so that nobody opens the store while it is still in use.
        let former = slot.changing.lock().await;
        let context = slot.running().ok_or(NodeError::NotRunning)?;
        if life.is_some_and(|life| life != context.me.incarnation) {
            return Err(NodeError::NotRunning);
        }
        context.abort();
        *slot.running.write().unwrap_or_else(PoisonError::into_inner) = None;
        let forget = || {
            for route in self.routes.all() {
                route.remove_node(node, context.me.incarnation);
            }
        };
        forget();
        context.end().await;
        // A task that was at work until now may have entered its replica once more.
        forget();
        let incarnation = context.me.incarnation.0;
        if self.is_ending() {
            info!(%node, incarnation, "node ended");
        } else {
            warn!(%node, incarnation, "node ended without a goodbye");
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
            let what = "reading the node's identity has died of a defect".to_owned();
            Err(DirectoryError::Failed { what, source: io::Error::other(panic) })
        });
        begun.map_err(NodeError::Directory)
    }

    async fn open_store(&self, node: NodeId) -> Result<Arc<dyn Store>, NodeError> {
        let stores = Arc::clone(&self.stores);
        let opened = tokio::task::spawn_blocking(move || stores.open(node)).await;
        let why = "opening the store has died of a defect".to_owned();
        let opened = opened.unwrap_or(Err(StoreError::Failed { why }));
        opened.map_err(NodeError::Store)
    }
}

impl Slot {
    fn running(&self) -> Option<Arc<NodeContext>> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Waits until nobody holds a node's former store any more.
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
