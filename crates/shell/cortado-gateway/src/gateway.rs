//! The door to the cluster: finds the replica that a request is for, waits, retries.
//!
//! Knows other nodes by what they answer; of this one, if it belongs to one, it asks the service
//! that the others ask. Start reading at [`Gateway::write`] and [`Gateway::get`].

mod admin_error;
mod bulk;
mod changes;
mod database_spec;
mod databases;
mod declaration;
mod leadership;
mod list;
mod membership;
mod moves;
mod pins;
mod read;
mod request;
mod resolving;
mod search;
mod standstill;
mod standstills;
mod status;
mod tables;
mod upgrade;
mod write;

pub(crate) use admin_error::not_done;
pub use admin_error::{AdminError, InvalidDeclaration, Obstacle, Uncertainty};
pub use bulk::{BulkKey, BulkOperation, BulkRequest};
pub use changes::{ChangeReader, Changes, ChangesError};
pub use database_spec::DatabaseSpec;
pub use declaration::Declared;
pub(crate) use declaration::{operation, put};
pub(crate) use list::whole_table;
pub use membership::{NameTaken, RegistrationError, is_next_life};
pub(crate) use moves::{by_hand, targets_of};
pub use request::{
    Consistency, IdempotencyKey, ListRequest, NotDoneWhy, ReadError, ReadOptions, ScanPage,
    ScanPosition, ScanRequest, Served, Standstill, UnknownReason, WriteError, WriteReceipt,
    WriteRequest,
};
pub use resolving::ReplicaHistory;

use crate::catalog::Catalog;
use crate::decisions::Decisions;
use crate::known_cluster::KnownCluster;
use crate::metrics::GatewayMetrics;
use crate::refusals::Refusals;
use cortado_cluster::{ChangeId, MovingPartition, PlannedChange, RateMeter, progress_of};
use cortado_log::Log;
use cortado_model::{DatabaseId, Millis, NodeId, PartitionId, WallMillis};
use cortado_peer::{Peer, Peers};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout_at};

/// Serves clients of the whole cluster. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Gateway {
    door: Arc<Door>,
}

/// What a gateway stands on.
pub struct GatewayParts {
    /// As its node, or its router, knows it.
    pub cluster: Arc<KnownCluster>,
    /// The node that the gateway belongs to; none of a router's.
    pub own: Option<(NodeId, Arc<dyn Peer>)>,
    /// The way to all others.
    pub peers: Arc<dyn Peers>,
    /// Where changes are read, and the logs of databases are made and removed.
    pub log: Arc<dyn Log>,
    /// Dates the records with which a log begins.
    pub wall_clock: fn() -> WallMillis,
    /// Where it tells what it has done.
    pub decisions: Decisions,
    /// Entries that each partition of the journal keeps.
    pub journal_entries_max: u64,
    /// Of the nodes of its process.
    pub refusals: Arc<Refusals>,
    /// What it counts.
    pub metrics: Arc<GatewayMetrics>,
}

struct Door {
    parts: GatewayParts,
    /// Whose turn it is to serve a read that any replica may serve.
    turn: AtomicUsize,
    /// Nothing new is begun.
    ending: AtomicBool,
    /// When the newest look at the end of `_cluster` began that is done. Held while one is made.
    confirmed: AsyncMutex<Option<Instant>>,
    /// How fast the bytes of planned changes come, and since when that is measured.
    rates: Mutex<BTreeMap<ChangeId, RateMeter>>,
    began: Instant,
    /// What requests have found out about partitions that nothing serves.
    standstills: standstills::Standstills,
}

impl Gateway {
    /// A door to the cluster of `parts`.
    pub fn new(parts: GatewayParts) -> Gateway {
        let (turn, ending) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (rates, began) = (Mutex::default(), Instant::now());
        let (confirmed, standstills) = Default::default();
        let door = Door { parts, turn, ending, confirmed, rates, began, standstills };
        Gateway { door: Arc::new(door) }
    }

    /// How fast the bytes of a change come, as far as they were looked at here.
    pub(crate) fn rate_of(
        &self,
        change: &PlannedChange,
        partitions: &[MovingPartition],
    ) -> Option<u64> {
        // A process lives for less than 500 million years.
        let now = Millis(self.door.began.elapsed().as_millis() as u64);
        let mut rates = self.door.rates.lock();
        let catalog = self.catalog();
        rates.retain(|id, _| catalog.change(*id).is_some());
        let rate = rates.entry(change.id).or_default();
        rate.note(now, progress_of(change, partitions, None).bytes_done);
        rate.bytes_per_second()
    }

    /// The newest state of the cluster that this node has folded.
    ///
    /// Shows every declaration that was answered through this gateway.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.cluster().catalog.newest()
    }

    /// The state of the cluster, when it shows every declaration that was answered before this
    /// call, through whichever door: to be asked for before a client is told that something does
    /// not exist. Those who ask at the same time share one look.
    ///
    /// # Errors
    /// `_cluster` is not served, or this node is behind, until the deadline.
    pub async fn confirmed_catalog(&self, deadline: Instant) -> Result<Arc<Catalog>, AdminError> {
        let asked = Instant::now();
        let turn = timeout_at(deadline, self.door.confirmed.lock()).await;
        let mut confirmed = turn.map_err(|_| not_done(Obstacle::Behind))?;
        if confirmed.is_some_and(|began| began > asked) {
            return Ok(self.catalog());
        }
        let began = Instant::now();
        let catalog = self.newest_catalog(deadline).await?;
        *confirmed = Some(began);
        Ok(catalog)
    }

    /// Begins nothing new from now on.
    pub fn end(&self) {
        self.door.ending.store(true, Ordering::Release);
    }

    fn is_ending(&self) -> bool {
        self.door.ending.load(Ordering::Acquire)
    }

    pub(crate) fn parts(&self) -> &GatewayParts {
        &self.door.parts
    }

    /// What is known of the cluster.
    pub(crate) fn cluster(&self) -> &KnownCluster {
        &self.door.parts.cluster
    }

    fn metrics(&self) -> &GatewayMetrics {
        &self.door.parts.metrics
    }

    /// The node that the gateway belongs to; `None` for a router's.
    pub(crate) fn own(&self) -> Option<NodeId> {
        self.door.parts.own.as_ref().map(|(node, _)| *node)
    }

    /// How `node` is asked; `None` if it cannot be reached.
    pub(crate) fn target(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        match &self.door.parts.own {
            Some((own, peer)) if *own == node => Some(Arc::clone(peer)),
            Some(_) | None => self.door.parts.peers.peer(node),
        }
    }

    /// Whether a leader of `partition` is known here that can be reached.
    pub(crate) fn is_led(&self, partition: PartitionId) -> bool {
        let leader = self.cluster().routes.route(partition).first();
        leader.is_some_and(|leader| self.target(leader).is_some())
    }

    /// Whether a database has not been dropped, as far as is known here.
    fn exists(&self, id: DatabaseId) -> bool {
        id == DatabaseId::CLUSTER || self.catalog().database_by_id(id).is_some()
    }
}

#[cfg(test)]
mod tests;
