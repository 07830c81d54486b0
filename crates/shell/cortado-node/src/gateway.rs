//! The one door to the cluster for whoever serves clients: finds the replica, waits, retries.
//!
//! Never touches a replica's state: it reads stores and sends requests to the tasks that own the
//! replicas. Start reading at [`Gateway::write`] and [`Gateway::get`].

mod admin;
mod changes;
mod leadership;
mod list;
mod membership;
mod read;
mod request;
mod status;
mod write;

pub use admin::{AdminError, DatabaseSpec, Declared};
pub use changes::{ChangeReader, Changes, ChangesError};
pub(crate) use list::whole_table;
pub use request::{
    Consistency, IdempotencyKey, ListRequest, NotDoneWhy, Page, ReadError, ReadOptions, ScanPage,
    ScanPosition, ScanRequest, Served, ServedRole, UnknownWhy, WriteError, WriteRequest, Written,
};

use crate::catalog::Catalog;
use crate::node::NodeError;
use crate::process::Process;
use cortado_model::{NodeId, PartitionId};
use std::sync::Arc;

/// Serves clients of the whole cluster. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) process: Arc<Process>,
}

impl Gateway {
    /// The newest state of the cluster that any node of the process has folded.
    ///
    /// Shows every declaration that was answered through a gateway of this process.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.process.newest_catalog.borrow())
    }

    /// Whether clients can be served: the cluster has its journal, and every partition is served.
    ///
    /// # Errors
    /// What is missing, for people.
    pub fn ready(&self) -> Result<(), String> {
        if self.process.is_ending() {
            return Err("the process is ending".to_owned());
        }
        let serving = |partition| self.process.routes.route(partition).serving().is_some();
        if !serving(PartitionId::CLUSTER) {
            return Err("the cluster's own partition has no leader".to_owned());
        }
        let catalog = self.catalog();
        if catalog.journal().is_none() {
            return Err("the cluster's journal is being made".to_owned());
        }
        let missing = catalog.placements().filter(|(partition, _)| !serving(*partition)).count();
        match missing {
            0 => Ok(()),
            missing => Err(format!("{missing} partitions have no leader")),
        }
    }

    /// Ends a node of this process without any goodbye, as its death would.
    ///
    /// # Errors
    /// There is no such node, or it does not run.
    pub async fn kill_node(&self, node: NodeId) -> Result<(), NodeError> {
        self.process.kill(node).await
    }

    /// Starts a node of this process again, as a new incarnation.
    ///
    /// # Errors
    /// There is no such node, it runs, or its store cannot be opened.
    pub async fn start_node(&self, node: NodeId) -> Result<(), NodeError> {
        Process::start_node(&self.process, node).await
    }
}
