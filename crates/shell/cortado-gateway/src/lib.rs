//! The door to a cluster: finds the replica that a request is for, waits, retries.
//!
//! Knows nodes as peers, and of its own no more than the others do; besides, here is how the
//! cluster's facts are written and read, its journal among them. Start reading at [`Gateway`]; what
//! it goes by is [`KnownCluster`].

mod gateway;
mod known_cluster;
mod routes;
mod folded_catalog;
mod catalog;
mod cluster_log;
mod conditions;
mod controller;
mod database_log;
mod decisions;
mod events;
mod feature_level;
mod former;
mod genesis;
mod journal;
mod log_page;
mod metrics;
mod move_status;
mod mover;
mod moves;
mod node_names;
mod pins;
mod randomness;
mod refusals;
mod seen_moves;
#[cfg(test)]
mod scripted;
mod status;
mod stored_catalog;

pub use cortado_cluster::Gate;
pub use cortado_driver::ReplicaRole;
/// What [`Gateway::get`] reads.
pub use cortado_model::StoredDocument;
/// What [`Gateway::list`] reads, and how reads are served.
pub use cortado_peer::{DocumentPage, ServedRole, TRACEPARENT, TraceContext, Unserved};
/// What [`ChangeReader`] reads.
pub use cortado_replica::Committed;

pub use catalog::{Catalog, Database, NodeDescription, NodeFacts, Table};
pub use cluster_log::CatalogError;
pub use database_log::{BeginError, CLUSTER_NAME, ExpectedLog, begin_log, cluster_spec};
pub use decisions::{Decisions, JournalEntry};
pub use events::{DecisionEvent, EventKind};
pub use folded_catalog::FoldedCatalog;
pub use gateway::{
    AdminError, BulkKey, BulkOperation, BulkRequest, ChangeReader, Changes, ChangesError,
    Consistency, DatabaseSpec, Declared, Gateway, GatewayParts, IdempotencyKey, InvalidDeclaration,
    ListRequest, NameTaken, NotDoneWhy, Obstacle, ReadError, ReadOptions, RegistrationError,
    ReplicaHistory, ScanPage, ScanPosition, ScanRequest, Served, Standstill, Uncertainty,
    UnknownReason, WriteError, WriteReceipt, WriteRequest, is_next_life,
};
pub use genesis::cluster_genesis;
pub use journal::{EventsError, JournalPosition};
pub use known_cluster::KnownCluster;
pub use log_page::page_from;
pub use metrics::GatewayMetrics;
pub use move_status::{ChangeOrder, ChangePlan, ChangeStatus, MoveWaiting, PlannedMove};
pub use randomness::random_u128;
pub use refusals::Refusals;
pub use routes::{Route, Routes};
pub use status::{
    DatabaseStatus, NodeStatus, NotReady, PartitionStatus, ReplicaStatus, Status, UpgradeNode,
    UpgradeStatus,
};
