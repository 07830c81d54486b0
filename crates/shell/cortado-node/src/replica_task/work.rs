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
    Batch, DocumentKey, Found, NodeId, RememberedKey, Scn, TableId, WallMillis, with_causes,
};
use cortado_replica::Trim;
use cortado_store::StoreError;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

/// The hands of one replica's task.
pub(super) struct Work {
    context: Arc<NodeContext>,
    handle: Arc<ReplicaHandle>,
    origin: Arc<Origin>,
    /// Bounded by the driver, which waits for each end before it wants the like again.
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

    pub(super) fn find(
        &self,
        keys: &[(TableId, DocumentKey)],
        name: Option<&RememberedKey>,
    ) -> Result<Found, StoreError> {
        let (store, partition) = (&self.context.store, self.handle.partition);
        let Some(name) = name else {
            let documents = keys.iter().map(|(table, key)| store.get(partition, *table, key));
            return Ok(Found {
                documents: documents.collect::<Result<_, _>>()?,
                ..Found::default()
            });
        };
        let view = store.view(partition)?;
        let documents = keys.iter().map(|(table, key)| view.get(*table, key));
        Ok(Found {
            documents: documents.collect::<Result<_, _>>()?,
            remembered: view.remembered(name)?,
            remembered_bytes: view.remembered_bytes()?,
            first_expiry: view.first_expiry()?,
        })
    }

    pub(super) fn apply(&self, batch: Batch, transactions: u64) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.context.vitals.store_begun();
        let applied = self.context.store.apply(self.handle.partition, batch);
        let took = begun.elapsed();
        // A store that says that it is full works as it should.
        let works = matches!(applied, Ok(()) | Err(StoreError::Full { .. }));
        self.context.vitals.store_ended(took, works);
        if applied.is_ok() {
            self.context.metrics.apply.observe(took);
            self.context.metrics.transactions.add(transactions);
        }
        applied
    }

    pub(super) fn find_bookmark(&self, trim: &Trim) -> Result<Option<Scn>, StoreError> {
        let view = self.context.store.view(self.handle.partition)?;
        first_bookmark_at(trim, |scn| view.bookmark(scn))
    }

    /// Takes a view of what is stored now; the hashing runs beside the task.
    pub(super) fn hash(&self, job: JobId, time: WallMillis, known: Option<Hashed>) {
        let partition = self.handle.partition;
        let view = match self.context.store.view(partition) {
            Ok(view) => view,
            Err(error) => {
                let _ = self.ended.send(Event::Hashed(job, Err(error)));
                return;
            }
        };
        let (context, ended) = (Arc::clone(&self.context), self.ended.clone());
        self.context.spawn_blocking(move || {
            let hashed = hash(&context, partition, view, time, known);
            if let Some(hashed) = hashed.transpose() {
                let _ = ended.send(Event::Hashed(job, hashed));
            }
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
                    store.apply(partition, Batch { checkpoint, ..Batch::default() })
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
