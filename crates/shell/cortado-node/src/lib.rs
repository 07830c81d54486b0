//! The shell of Cortado: a node drives replicas, watches over others, and serves its peers and,
//! through its door, clients.
//!
//! The protocol is decided in the pure crates; here are the tasks, the clocks and the waiting.
//! Start reading at [`Cluster::start`], then [`Gateway`]; a node is put together in `node`, the
//! heart is in `replica_task`.

mod asker;
mod catalog;
mod changed_replicas;
mod clock;
mod cluster;
mod cluster_identity;
mod cluster_log;
mod components;
mod conditions;
mod controller;
mod database_log;
mod decisions;
mod directory;
mod effort;
mod events;
mod folded_catalog;
mod gateway;
mod genesis;
mod health;
mod journal;
mod life_standing;
mod log_page;
mod log_time;
mod metrics;
mod node;
mod nodes;
mod observation;
mod placed_replicas;
mod progress_teller;
mod randomness;
mod refusals;
mod registration;
mod replica_handle;
mod replica_host;
mod replica_task;
mod routes;
mod service;
mod settings;
mod status;
mod store_factory;
mod store_observer;
mod store_room;
mod tasks;
mod vitals;
mod watcher;

/// What [`Gateway::get`] reads.
pub use cortado_model::StoredDocument;
/// What [`Gateway::list`] reads, and how reads are served.
pub use cortado_peer::{Page, ServedRole, Unserved};
/// What [`ChangeReader`] reads.
pub use cortado_replica::Committed;

pub use catalog::{Catalog, Database, NodeFacts, Table};
pub use cluster::{Cluster, StartError};
pub use cluster_identity::{Founding, IdentityError};
pub use components::Components;
pub use cortado_driver::ReplicaRole;
pub use database_log::BeginError;
pub use directory::{DirectoryError, MemoryDirectories, NodeDirectories, NodeIdentity};
pub use events::{DecisionEvent, EventKind};
pub use gateway::{
    AdminError, ChangeReader, Changes, ChangesError, Consistency, DatabaseSpec, Declared, Gateway,
    IdempotencyKey, ListRequest, NotDoneWhy, ReadError, ReadOptions, ScanPage, ScanPosition,
    ScanRequest, Served, UnknownWhy, WriteError, WriteRequest, Written,
};
pub use journal::{EventsError, JournalPosition};
pub use nodes::{NodeError, Nodes};
pub use settings::{RawSettings, Settings, SettingsError};
pub use status::{DatabaseStatus, NodeStatus, PartitionStatus, ReplicaStatus, Status};
pub use store_factory::StoreFactory;
