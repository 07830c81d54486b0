//! What a driver wants done beside the log: by its store, its peers and the rest of the node.
//!
//! What takes long runs beside the task, and its end comes back through [`Work::done`]. Start
//! reading there.

use super::copying::copy;
use super::hashing::hash;
use super::surroundings::look_around;
use super::surveying::{ask_extent, survey};
use crate::asker::{Asker, Input};
use crate::database_log::Origin;
use crate::events::EventKind;
use crate::node_context::NodeContext;
use crate::replica_handle::ReplicaHandle;
use cortado_driver::{
    CopyError, DigestReport, Event, Hashed, JobId, Surroundings, first_bookmark_at,
};
use cortado_model::{
    Batch, DocumentKey, NodeId, PartitionId, RememberedKey, TableId, WallMillis, with_causes,
};
use cortado_replica::Trim;
use cortado_store::Store;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

/// The hands of one replica's task.
pub(super) struct Work {
    context: Arc<NodeContext>,
    handle: Arc<ReplicaHandle>,
    origin: Arc<Origin>,
    /// Bounded by the driver: one of each kind of work, and at most
    /// [`WAITING_MAX`](cortado_driver::WAITING_MAX) looks into the store.
    ended: mpsc::UnboundedSender<Input>,
    ends: mpsc::UnboundedReceiver<Input>,
}

impl Work {
    pub(super) fn new(
        context: &Arc<NodeContext>,
        handle: &Arc<ReplicaHandle>,
        origin: Origin,
    ) -> Work {
        let (ended, ends) = mpsc::unbounded_channel();
        let (context, handle) = (Arc::clone(context), Arc::clone(handle));
        Work { context, handle, origin: Arc::new(origin), ended, ends }
    }

    /// The end of something that has run beside the task.
    pub(super) async fn done(&mut self) -> Event<Asker> {
        match self.ends.recv().await {
            Some(event) => event,
            // `self` holds a sender.
            None => std::future::pending().await,
        }
    }

    pub(super) fn survey(&self, job: JobId) {
        let (context, origin) = (Arc::clone(&self.context), Arc::clone(&self.origin));
        let (partition, ended) = (self.handle.partition, self.ended.clone());
        self.context.spawn(async move {
            let surveyed = survey(&context, partition, &origin).await;
            // A task that has ended wants to know nothing any more; so below.
            let _ = ended.send(Event::Surveyed(job, surveyed));
        });
    }

    pub(super) fn ask_extent(&self, job: JobId) {
        let (context, ended) = (Arc::clone(&self.context), self.ended.clone());
        let partition = self.handle.partition;
        self.context.spawn(async move {
            let extent = ask_extent(&context, partition).await;
            if let Err(error) = &extent {
                warn!(%partition, why = error.why, "log's end unknown");
            }
            let _ = ended.send(Event::Extent(job, extent));
        });
    }

    /// Looks into the store; answers at once if that may be done here.
    pub(super) fn find(
        &self,
        job: JobId,
        keys: Vec<(TableId, DocumentKey)>,
        name: Option<RememberedKey>,
    ) -> Option<Input> {
        let (lanes, partition) = (&self.handle.lanes, self.handle.partition);
        if let Some(store) = lanes.inline() {
            return Some(Event::Found(job, store.find(partition, &keys, name.as_ref())));
        }
        let (lanes, ended) = (Arc::clone(lanes), self.ended.clone());
        self.context.spawn(async move {
            let find = move |store: &dyn Store| store.find(partition, &keys, name.as_ref());
            let _ = ended.send(Event::Found(job, lanes.read(find).await));
        });
        None
    }

    /// Makes a batch visible, on the store's own threads.
    pub(super) fn apply(&self, job: JobId, batch: Batch, transactions: u64) {
        let (context, ended) = (Arc::clone(&self.context), self.ended.clone());
        let partition = self.handle.partition;
        self.handle.lanes.apply(partition, batch, move |applied| {
            if applied.is_ok() && transactions > 0 {
                context.metrics.transactions.add(transactions);
                if partition == PartitionId::CLUSTER {
                    context.catalog_changed.notify_one();
                }
            }
            let _ = ended.send(Event::Applied(job, applied));
        });
    }

    pub(super) fn find_bookmark(&self, job: JobId, trim: Trim) {
        let (partition, ended) = (self.handle.partition, self.ended.clone());
        self.handle.lanes.run(partition, move |store| {
            let found = store.and_then(|store| {
                let view = store.view(partition)?;
                first_bookmark_at(&trim, |scn| view.bookmark(scn))
            });
            let _ = ended.send(Event::BookmarkFound(job, found));
        });
    }

    /// Takes a view in the order of the batches; the hashing runs beside everything.
    pub(super) fn hash(&self, job: JobId, time: WallMillis, known: Option<Hashed>) {
        let (sender, viewed) = oneshot::channel();
        let partition = self.handle.partition;
        self.handle.lanes.run(partition, move |store| {
            // Whoever waited has gone away with the node.
            let _ = sender.send(store.and_then(|store| store.view(partition)));
        });
        let (context, ended) = (Arc::clone(&self.context), self.ended.clone());
        self.context.spawn(async move {
            let Ok(viewed) = viewed.await else { return };
            let hashing = Arc::clone(&context);
            context.spawn_blocking(move || {
                let hashed = viewed.and_then(|view| hash(&hashing, partition, view, time, known));
                if let Some(hashed) = hashed.transpose() {
                    let _ = ended.send(Event::Hashed(job, hashed));
                }
            });
        });
    }

    /// Writes what is there once more, to see whether the store takes it.
    pub(super) fn probe(&self, job: JobId) {
        let (store, ended) = (Arc::clone(&self.context.store), self.ended.clone());
        let partition = self.handle.partition;
        self.context.spawn_blocking(move || {
            let checkpoint = store.view(partition).and_then(|view| view.checkpoint());
            let probed = checkpoint.and_then(|checkpoint| match checkpoint {
                Some(checkpoint) => {
                    store.apply_one(partition, Batch { checkpoint, ..Batch::default() })
                }
                None => Ok(()),
            });
            let _ = ended.send(Event::Probed(job, probed));
        });
    }

    pub(super) fn clear(&self, job: JobId) {
        let (store, ended) = (Arc::clone(&self.context.store), self.ended.clone());
        let partition = self.handle.partition;
        self.context.spawn_blocking(move || {
            let _ = ended.send(Event::Cleared(job, store.remove(partition)));
        });
    }

    pub(super) fn install(&self, job: JobId, from: NodeId) {
        let peer = self.context.routes.route(self.handle.partition).replica(from);
        let (context, ended) = (Arc::clone(&self.context), self.ended.clone());
        self.context.spawn_blocking(move || {
            let installed = match peer {
                Some(peer) => copy(&context, peer),
                None => Err(CopyError::Failed { why: "its node has ended".to_owned() }),
            };
            let _ = ended.send(Event::Installed(job, installed));
        });
    }

    pub(super) fn look_around(&self) -> Surroundings {
        look_around(&self.context, &self.handle)
    }

    /// Takes a digest to the replica that leads.
    pub(super) fn report(&self, report: DigestReport) {
        let partition = self.handle.partition;
        let leader = self.context.routes.route(partition).serving();
        let sent = leader.is_some_and(|leader| leader.offer(Event::Digest(report)).is_ok());
        if !sent {
            warn!(%partition, at = %report.at, "digest not reported: no leader takes it");
        }
    }

    pub(super) fn condemn(&self, nodes: &[NodeId], why: &str) {
        let route = self.context.routes.route(self.handle.partition);
        for handle in nodes.iter().filter_map(|node| route.replica(*node)) {
            let why = why.to_owned();
            self.context.spawn(async move {
                // A replica that is gone starts anew anyway.
                let _ = handle.send(Event::Condemned { why }).await;
            });
        }
    }

    /// Lets the log forget, if it has not yet: a new leader cannot tell what the former one did.
    pub(super) fn trim_log(&self, trim: Trim) {
        let (partition, context) = (self.handle.partition, Arc::clone(&self.context));
        self.context.spawn(async move {
            let extent = ask_extent(&context, partition).await;
            if extent.is_ok_and(|extent| extent.first >= trim.below) {
                return;
            }
            match context.log.trim(partition, trim.log, trim.below).await {
                Ok(()) => {
                    let (below, snapshot) = (trim.below, trim.snapshot);
                    info!(%partition, %below, %snapshot, "log trimmed");
                    let what = format!("the log may forget offsets below {below}");
                    let evidence = vec![format!("equal snapshots at {snapshot}")];
                    let kind = EventKind::Trim;
                    context.decisions.explain(kind, Some(partition), what, evidence);
                }
                Err(error) => warn!(%partition, error = with_causes(&error), "log not trimmed"),
            }
        });
    }
}
