//! What a driver wants done beside the log: by its store, its peers and the rest of the node.
//!
//! What takes long runs beside the task, and its end comes back through [`Work::done`]. Start
//! reading there.

use super::asking::{ask_peers, ask_to_claim};
use super::copying::copy;
use super::hashing::hash;
use super::surroundings::{ask_around, look_around};
use super::surveying::{ask_extent, look_through, survey};
use crate::asker::{Asker, Input};
use crate::replica_handle::ReplicaHandle;
use crate::replica_host::{Duty, ReplicaHost};
use cortado_driver::{DigestReport, Event, Hashed, JobId, first_bookmark_at};
use cortado_gateway::{EventKind, ExpectedLog};
use cortado_model::{
    Batch, DocumentKey, NodeId, PartitionId, RememberedKey, TableId, WallMillis, with_causes,
};
use cortado_peer::Message;
use cortado_replica::Trim;
use cortado_store::Store;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{info, warn};

/// The hands of one replica's task.
pub(super) struct Work {
    host: Arc<ReplicaHost>,
    handle: Arc<ReplicaHandle>,
    origin: Arc<ExpectedLog>,
    /// Bounded by the driver: one of each kind of work, and at most
    /// [`WAITING_MAX`](cortado_driver::WAITING_MAX) looks into the store.
    ended: mpsc::UnboundedSender<Input>,
    ends: mpsc::UnboundedReceiver<Input>,
}

impl Work {
    pub(super) fn new(
        host: &Arc<ReplicaHost>,
        handle: &Arc<ReplicaHandle>,
        origin: ExpectedLog,
    ) -> Work {
        let (ended, ends) = mpsc::unbounded_channel();
        let (host, handle) = (Arc::clone(host), Arc::clone(handle));
        Work { host, handle, origin: Arc::new(origin), ended, ends }
    }

    /// The end of something that has run beside the task.
    pub(super) async fn done(&mut self) -> Event<Asker> {
        match self.ends.recv().await {
            Some(event) => event,
            // `self` holds a sender.
            None => std::future::pending().await,
        }
    }

    /// Runs what blocks beside the task, when it is its turn; what the store logs meanwhile is the
    /// replica's, too.
    fn spawn_blocking(&self, turns: &Arc<Semaphore>, work: impl FnOnce() + Send + 'static) {
        let span = self.handle.span.clone();
        self.host.tasks.spawn_in_turn(turns, move || span.in_scope(work));
    }

    pub(super) fn survey(&self, job: JobId) {
        let (host, origin) = (Arc::clone(&self.host), Arc::clone(&self.origin));
        let (partition, ended) = (self.handle.partition, self.ended.clone());
        self.host.tasks.spawn(async move {
            let surveyed = survey(&host, partition, &origin).await;
            // A task that has ended wants to know nothing any more; so below.
            let _ = ended.send(Event::Surveyed(job, surveyed));
        });
    }

    /// Reads the whole log, beside the task.
    pub(super) fn look_through(&self, job: JobId) {
        let (host, origin) = (Arc::clone(&self.host), Arc::clone(&self.origin));
        let (handle, ended) = (Arc::clone(&self.handle), self.ended.clone());
        self.host.tasks.spawn(async move {
            let found = look_through(&host, handle.partition, &origin).await;
            if let Err(error) = &found {
                warn!(parent: &handle.span, ?error, "log not looked through");
            }
            let _ = ended.send(Event::LookedThrough(job, found));
        });
    }

    pub(super) fn ask_extent(&self, job: JobId) {
        let (host, ended) = (Arc::clone(&self.host), self.ended.clone());
        let handle = Arc::clone(&self.handle);
        self.host.tasks.spawn(async move {
            let extent = ask_extent(&host, handle.partition).await;
            if let Err(error) = &extent {
                warn!(parent: &handle.span, error = error.why, "end of the log unknown");
            }
            let _ = ended.send(Event::Extent(job, extent));
        });
    }

    /// Looks into the store; answers at once if that may be done here.
    pub(super) fn find(
        &self,
        job: JobId,
        keys: Vec<(TableId, DocumentKey)>,
        names: Vec<RememberedKey>,
    ) -> Option<Input> {
        let (lanes, partition) = (&self.handle.lanes, self.handle.partition);
        if let Some(store) = lanes.inline() {
            return Some(Event::Found(job, store.find(partition, &keys, &names)));
        }
        let (lanes, ended) = (Arc::clone(lanes), self.ended.clone());
        self.host.tasks.spawn(async move {
            let find = move |store: &dyn Store| store.find(partition, &keys, &names);
            let _ = ended.send(Event::Found(job, lanes.read(find).await));
        });
        None
    }

    /// Makes a batch visible, on the store's own threads.
    pub(super) fn apply(&self, job: JobId, batch: Batch, transactions: u64) {
        let (host, ended) = (Arc::clone(&self.host), self.ended.clone());
        let partition = self.handle.partition;
        self.handle.lanes.apply(partition, batch, move |applied| {
            if applied.is_ok() && transactions > 0 {
                host.metrics.transactions.add(transactions);
                if partition == PartitionId::CLUSTER {
                    host.cluster.catalog.look();
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
            // The task that waited has gone away with the node.
            let _ = sender.send(store.and_then(|store| store.view(partition)));
        });
        let (host, ended) = (Arc::clone(&self.host), self.ended.clone());
        let handle = Arc::clone(&self.handle);
        self.host.tasks.spawn(async move {
            let Ok(viewed) = viewed.await else { return };
            let hashing = Arc::clone(&host);
            let turns = &host.tasks.turns;
            let turns = if known.is_some() { &turns.upkeep } else { &turns.hashing };
            host.tasks.spawn_in_turn(turns, move || {
                let _entered = handle.span.enter();
                let hashed = viewed.and_then(|view| hash(&hashing, partition, view, time, known));
                if let Some(hashed) = hashed.transpose() {
                    let _ = ended.send(Event::Hashed(job, hashed));
                }
            });
        });
    }

    /// Writes what is there once more, to see whether the store takes it and more.
    pub(super) fn probe(&self, job: JobId) {
        let (store, ended) = (Arc::clone(&self.host.store), self.ended.clone());
        let partition = self.handle.partition;
        self.spawn_blocking(&self.host.tasks.turns.upkeep, move || {
            let checkpoint = store.view(partition).and_then(|view| view.checkpoint());
            let probed = checkpoint.and_then(|checkpoint| match checkpoint {
                Some(checkpoint) => {
                    store.check_space()?;
                    store.apply_one(partition, Batch { checkpoint, ..Batch::default() })
                }
                None => Ok(()),
            });
            let _ = ended.send(Event::Probed(job, probed));
        });
    }

    pub(super) fn clear(&self, job: JobId) {
        let (store, ended) = (Arc::clone(&self.host.store), self.ended.clone());
        let partition = self.handle.partition;
        self.spawn_blocking(&self.host.tasks.turns.upkeep, move || {
            let _ = ended.send(Event::Cleared(job, store.remove(partition)));
        });
    }

    pub(super) fn install(&self, job: JobId, from: NodeId) {
        let (host, ended) = (Arc::clone(&self.host), self.ended.clone());
        let (partition, origin) = (self.handle.partition, Arc::clone(&self.origin));
        self.spawn_blocking(&self.host.tasks.turns.copying, move || {
            let _ = ended.send(Event::Installed(job, copy(&host, partition, &origin, from)));
        });
    }

    /// How the other replicas are: as they have told, unless that decides who gives way.
    pub(super) fn look_around(&self, job: JobId) -> Option<Input> {
        let partition = self.handle.partition;
        if !self.handle.waits_for_room() {
            return Some(Event::Around(job, look_around(&self.host, partition)));
        }
        let (host, ended) = (Arc::clone(&self.host), self.ended.clone());
        self.host.tasks.spawn(async move {
            let _ = ended.send(Event::Around(job, ask_around(&host, partition).await));
        });
        None
    }

    /// Asks the other replicas how they stand.
    pub(super) fn ask_peers(&self, job: JobId) {
        let (host, ended) = (Arc::clone(&self.host), self.ended.clone());
        let handle = Arc::clone(&self.handle);
        self.host.tasks.spawn(async move {
            let _ = ended.send(Event::Peers(job, ask_peers(&host, &handle).await));
        });
    }

    pub(super) fn ask_to_claim(&self, node: NodeId) {
        ask_to_claim(&self.host, self.handle.partition, node);
    }

    /// Takes a digest to the replica that leads.
    pub(super) fn report(&self, report: DigestReport) {
        if self.host.duty == Duty::Router {
            // Its replica does not count.
            return;
        }
        let ReplicaHandle { partition, node, ref span, .. } = *self.handle;
        let leader = self.host.routes.route(partition).leader().node;
        if leader == Some(node) {
            return self.handle.send_beside(&self.host.tasks, Event::Digest(report));
        }
        match leader.and_then(|leader| self.host.peers.peer(leader)) {
            Some(leader) => leader.tell(Message::Digest { partition, report }),
            None => warn!(parent: span, scn = %report.at, "digest not reported: no leader"),
        }
    }

    pub(super) fn condemn(&self, nodes: &[NodeId], why: &str) {
        let partition = self.handle.partition;
        for node in nodes {
            let why = why.to_owned();
            if *node == self.handle.node {
                self.handle.send_beside(&self.host.tasks, Event::Condemned { why });
            } else if let Some(peer) = self.host.peers.peer(*node) {
                // A replica that is gone starts anew anyway.
                peer.tell(Message::Condemned { partition, why });
            }
        }
    }

    /// Lets the log forget, if it has not yet: a new leader cannot tell what the former one did.
    pub(super) fn trim_log(&self, trim: Trim) {
        let (host, handle) = (Arc::clone(&self.host), Arc::clone(&self.handle));
        self.host.tasks.spawn(async move {
            let ReplicaHandle { partition, ref span, .. } = *handle;
            let extent = ask_extent(&host, partition).await;
            if extent.is_ok_and(|extent| extent.first >= trim.below) {
                return;
            }
            match host.log.trim(partition, trim.log, trim.below).await {
                Ok(()) => {
                    let (below, snapshot) = (trim.below, trim.snapshot);
                    info!(parent: span, %below, scn = %snapshot, "log trimmed");
                    let what = format!("trimmed the log below offset {below}");
                    let evidence = vec![format!("equal snapshots at {snapshot}")];
                    let kind = EventKind::Trim;
                    host.decisions.explain(kind, Some(partition), what, evidence);
                }
                Err(error) => {
                    warn!(parent: span, error = with_causes(&error), "log not trimmed");
                }
            }
        });
    }
}
