//! What the tasks of one node share: components, clocks, counters, and the way to one another.
//!
//! Start reading at [`NodeContext`].

use crate::append_vitals::AppendVitals;
use crate::catalog::Catalog;
use crate::changed_replicas::ChangedReplicas;
use crate::clock::Clock;
use crate::decisions::Decisions;
use crate::metrics::NodeMetrics;
use crate::node_life::{NextLife, NodeLife};
use crate::routes::Routes;
use crate::settings::Settings;
use crate::standing::{Refusal, Standing, gives_way_until, standing};
use crate::store_lanes::StoreLanes;
use crate::vitals::Vitals;
use bytes::Bytes;
use cortado_cluster::Evidence;
use cortado_driver::Leadership;
use cortado_log::{Beats, Log};
use cortado_model::{Millis, NodeId, NodeIncarnation, PartitionId};
use cortado_store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tracing::error;

/// One life of a node, as its tasks see it.
pub(crate) struct NodeContext {
    pub(crate) me: NodeLife,
    pub(crate) address: String,
    pub(crate) settings: Arc<Settings>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) beats: Arc<dyn Beats>,
    /// For who may block, and for what the store does inline.
    pub(crate) store: Arc<dyn Store>,
    /// Its threads.
    pub(crate) lanes: Arc<StoreLanes>,
    pub(crate) clock: Clock,
    pub(crate) routes: Arc<Routes>,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) appends: Arc<AppendVitals>,
    pub(crate) decisions: Decisions,
    /// As this node has folded it.
    pub(crate) catalog: watch::Sender<Arc<Catalog>>,
    /// The newest that any node of the process has folded.
    pub(crate) newest_catalog: watch::Sender<Arc<Catalog>>,
    /// `_cluster` has been applied to.
    pub(crate) catalog_changed: Notify,
    /// The replicas that the watcher should look at.
    pub(crate) changed: Arc<ChangedReplicas>,
    /// What has been read in the log since the watcher last looked.
    signs: Mutex<Vec<Evidence>>,
    /// Why the node trusts itself less, if it does.
    sickness: Mutex<Option<String>>,
    ending: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
    /// Bytes handed to the log by all nodes of the process.
    pub(crate) log_bytes: Arc<AtomicU64>,
    /// Held while a replica's state is hashed: one at a time leaves the disk to clients.
    pub(crate) hashing: Mutex<()>,
    /// How much each replica held when it was last hashed.
    state_bytes: Mutex<BTreeMap<PartitionId, u64>>,
    failures: mpsc::UnboundedSender<NodeFailure>,
}

impl NodeLife {
    /// Tells the process that this life must end.
    fn report(self, failures: &mpsc::UnboundedSender<NodeFailure>, why: String, next: NextLife) {
        let NodeLife { node, incarnation, .. } = self;
        // Without a process to tell, the node is ending anyway.
        let _ = failures.send(NodeFailure { node, incarnation, why, next });
    }
}

/// A node cannot go on.
#[derive(Clone, Debug)]
pub(crate) struct NodeFailure {
    pub(crate) node: NodeId,
    /// In which life; a later one is well.
    pub(crate) incarnation: NodeIncarnation,
    pub(crate) why: String,
    pub(crate) next: NextLife,
}

/// What a node needs from its process.
pub(crate) struct NodeParts {
    pub(crate) me: NodeLife,
    pub(crate) settings: Arc<Settings>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) beats: Arc<dyn Beats>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) routes: Arc<Routes>,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) decisions: Decisions,
    pub(crate) newest_catalog: watch::Sender<Arc<Catalog>>,
    pub(crate) log_bytes: Arc<AtomicU64>,
    pub(crate) failures: mpsc::UnboundedSender<NodeFailure>,
}

impl NodeContext {
    /// Begins a life, with the threads of its store.
    ///
    /// # Errors
    /// These cannot be started.
    pub(crate) fn new(parts: NodeParts) -> Result<NodeContext, StoreError> {
        let cluster = parts.newest_catalog.borrow().cluster;
        let vitals = Arc::new(Vitals::new(parts.clock));
        let (me, failures) = (parts.me, parts.failures.clone());
        let lanes = StoreLanes::start(
            me.node,
            Arc::clone(&parts.store),
            Arc::clone(&vitals),
            Arc::clone(&parts.metrics),
            move |why| me.report(&failures, why, NextLife::Begins { above: me.incarnation }),
        )?;
        Ok(NodeContext {
            address: parts.settings.address.clone(),
            vitals,
            appends: Arc::new(AppendVitals::new(parts.clock)),
            lanes: Arc::new(lanes),
            catalog: watch::Sender::new(Arc::new(Catalog::empty(cluster))),
            me: parts.me,
            settings: parts.settings,
            log: parts.log,
            beats: parts.beats,
            store: parts.store,
            clock: parts.clock,
            routes: parts.routes,
            metrics: parts.metrics,
            decisions: parts.decisions,
            newest_catalog: parts.newest_catalog,
            failures: parts.failures,
            catalog_changed: Notify::new(),
            changed: Arc::default(),
            signs: Mutex::default(),
            sickness: Mutex::default(),
            ending: AtomicBool::new(false),
            tasks: Mutex::default(),
            log_bytes: parts.log_bytes,
            hashing: Mutex::default(),
            state_bytes: Mutex::default(),
        })
    }

    pub(crate) fn node(&self) -> NodeId {
        self.me.node
    }

    /// Something was read in the log.
    pub(crate) fn heard(&self, sign: Evidence) {
        let mut signs = lock(&self.signs);
        if !signs.contains(&sign) {
            signs.push(sign);
        }
    }

    /// What has been read in the log since the last call.
    pub(crate) fn take_signs(&self) -> Vec<Evidence> {
        std::mem::take(&mut *lock(&self.signs))
    }

    /// Why the node trusts itself less, if it does.
    pub(crate) fn sickness(&self) -> Option<String> {
        let full = self.vitals.waits_for_room().then(|| "the store has no room".to_owned());
        full.or_else(|| lock(&self.sickness).clone())
    }

    pub(crate) fn set_sickness(&self, sickness: Option<String>) {
        *lock(&self.sickness) = sickness;
    }

    /// These are handed to the log.
    pub(crate) fn count_log_bytes(&self, records: &[Bytes]) {
        let bytes: usize = records.iter().map(Bytes::len).sum();
        self.log_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether this node may claim the leadership of `partition`, by what it has folded of
    /// `_cluster`.
    pub(crate) fn may_claim(&self, partition: PartitionId) -> bool {
        self.standing_in(&self.catalog.borrow()).may_claim(partition)
    }

    /// Until when this node leaves a leadership alone for a newer life of its own.
    ///
    /// * `shown`: who leads now.
    pub(crate) fn gives_way_until(&self, shown: &Leadership) -> Option<Millis> {
        gives_way_until(&self.me, shown).filter(|until| self.clock.steady() < *until)
    }

    /// How many replicas `partition` should have.
    pub(crate) fn replica_count(&self, partition: PartitionId) -> usize {
        let catalog = self.catalog.borrow();
        if partition == PartitionId::CLUSTER {
            return self.cluster_nodes(&catalog).len();
        }
        let database = catalog.database_by_id(partition.database);
        // A partition that the catalog does not know yet is compared by nobody alone.
        database.map_or(2, |database| database.placement(partition.number).len())
    }

    /// The nodes that may lead `_cluster`, in order of rank: the members, and this one, whose
    /// accepted claim is its registration.
    pub(crate) fn cluster_nodes(&self, catalog: &Catalog) -> Vec<NodeId> {
        let mut nodes: BTreeSet<NodeId> = catalog.members().chain([self.node()]).collect();
        if catalog.members().next().is_none() {
            // A new cluster: these are about to register.
            nodes.extend(self.settings.nodes());
        }
        nodes.into_iter().collect()
    }

    /// A replica held this much when it was hashed.
    pub(crate) fn set_state_bytes(&self, partition: PartitionId, bytes: u64) {
        lock(&self.state_bytes).insert(partition, bytes);
    }

    /// How much all replicas together held when they were last hashed.
    pub(crate) fn state_bytes(&self) -> u64 {
        lock(&self.state_bytes).values().sum()
    }

    /// Whether the node is going away.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// The store of the node has failed: it must be opened again.
    pub(crate) fn report_store_failure(&self, why: String) {
        self.report(why, NextLife::Begins { above: self.me.incarnation });
    }

    /// The cluster does not let this life hold the node's name.
    pub(crate) fn report_refusal(&self, refusal: Refusal) {
        self.report(refusal.to_string(), refusal.next_life());
    }

    fn report(&self, why: String, next: NextLife) {
        self.me.report(&self.failures, why, next);
    }

    /// How this life stands to what `catalog` says of the node.
    pub(crate) fn standing_in(&self, catalog: &Catalog) -> Standing {
        standing(catalog.nodes.get(&self.me.node), &self.me)
    }

    /// Runs `task` until it ends or the node does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        if !self.is_ending() {
            tasks.spawn(task);
        }
        self.reap(&mut tasks);
    }

    /// Runs `work` beside the tasks; the node waits for it when it ends. `false` if it has ended.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let mut tasks = lock(&self.tasks);
        let runs = !self.is_ending();
        if runs {
            tasks.spawn_blocking(work);
        }
        self.reap(&mut tasks);
        runs
    }

    /// Notices tasks that have died of a defect.
    pub(crate) fn check_tasks(&self) {
        self.reap(&mut lock(&self.tasks));
    }

    fn reap(&self, tasks: &mut JoinSet<()>) {
        while let Some(ended) = tasks.try_join_next() {
            if let Err(panic) = ended
                && panic.is_panic()
            {
                let node = self.me.node;
                error!(%node, %panic, "a task has died of a defect; the node starts again");
                self.report_store_failure(format!("a task has died of a defect: {panic}"));
            }
        }
    }

    /// Ends every task without any goodbye.
    pub(crate) fn abort(&self) {
        self.ending.store(true, Ordering::Release);
        lock(&self.tasks).abort_all();
    }

    /// Ends every task as [`abort`](Self::abort) does, then the store's threads, and waits until
    /// none is left.
    pub(crate) async fn end(&self) {
        self.abort();
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
        let lanes = Arc::clone(&self.lanes);
        if let Err(panic) = spawn_blocking(move || lanes.end()).await {
            error!(node = %self.me.node, %panic, "the store's threads were not ended");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks with the value half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
