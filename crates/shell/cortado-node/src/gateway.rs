//! The door to the cluster for whoever serves clients: finds the replica, waits, retries.
//!
//! Knows other nodes by what they answer; of this one, if it belongs to one, it asks the service
//! that the others ask. Start reading at [`Gateway::write`] and [`Gateway::get`].

mod admin_error;
mod changes;
mod database_spec;
mod databases;
mod declaration;
mod leadership;
mod list;
mod membership;
mod read;
mod request;
mod search;
mod status;
mod tables;
mod write;

pub use admin_error::AdminError;
pub use changes::{ChangeReader, Changes, ChangesError};
pub use database_spec::DatabaseSpec;
pub use declaration::Declared;
pub(crate) use list::whole_table;
pub use request::{
    Consistency, IdempotencyKey, ListRequest, NotDoneWhy, ReadError, ReadOptions, ScanPage,
    ScanPosition, ScanRequest, Served, UnknownWhy, WriteError, WriteRequest, Written,
};

use crate::catalog::Catalog;
use crate::metrics::GatewayMetrics;
use crate::refusals::Refusals;
use crate::replica_host::{Duty, ReplicaHost};
use crate::service::NodeService;
use cortado_model::{DatabaseId, NodeId, PartitionId};
use cortado_peer::Peer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Serves clients of the whole cluster. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Gateway {
    door: Arc<Door>,
}

struct Door {
    host: Arc<ReplicaHost>,
    /// Of the node that the gateway belongs to; none of a router's.
    own: Option<Arc<NodeService>>,
    metrics: Arc<GatewayMetrics>,
    refusals: Arc<Refusals>,
    /// Whose turn it is to serve a read that any replica may serve.
    turn: AtomicUsize,
    /// Nothing new is begun.
    ending: AtomicBool,
}

/// Whom to ask.
enum Target {
    Own(Arc<NodeService>),
    Other(Arc<dyn Peer>),
}

impl Gateway {
    /// * `service`: of the same node.
    pub(crate) fn new(
        host: Arc<ReplicaHost>,
        service: &Arc<NodeService>,
        metrics: Arc<GatewayMetrics>,
        refusals: Arc<Refusals>,
    ) -> Gateway {
        let own = (host.duty == Duty::Member).then(|| Arc::clone(service));
        let (turn, ending) = (AtomicUsize::new(0), AtomicBool::new(false));
        Gateway { door: Arc::new(Door { host, own, metrics, refusals, turn, ending }) }
    }

    /// The newest state of the cluster that this node has folded.
    ///
    /// Shows every declaration that was answered through this gateway.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.host().catalog.newest()
    }

    /// Begins nothing new from now on.
    pub(crate) fn end(&self) {
        self.door.ending.store(true, Ordering::Release);
    }

    fn is_ending(&self) -> bool {
        self.door.ending.load(Ordering::Acquire) || self.host().tasks.is_ending()
    }

    /// What it knows of the cluster, and how it reaches it.
    pub(crate) fn host(&self) -> &ReplicaHost {
        &self.door.host
    }

    fn metrics(&self) -> &GatewayMetrics {
        &self.door.metrics
    }

    /// How `node` is asked; `None` if it cannot be reached.
    fn target(&self, node: NodeId) -> Option<Target> {
        match &self.door.own {
            Some(own) if node == self.host().node() => Some(Target::Own(Arc::clone(own))),
            Some(_) | None => self.host().peers.peer(node).map(Target::Other),
        }
    }

    /// Whether somebody leads `partition` who can be reached, as far as is known here.
    pub(crate) fn is_led(&self, partition: PartitionId) -> bool {
        let leader = self.host().routes.route(partition).leader();
        leader.node.is_some_and(|leader| self.target(leader).is_some())
    }

    /// Whether a database has not been dropped, as far as is known here.
    fn exists(&self, id: DatabaseId) -> bool {
        id == DatabaseId::CLUSTER || self.catalog().database_by_id(id).is_some()
    }
}
