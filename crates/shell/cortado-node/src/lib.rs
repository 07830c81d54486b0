//! The shell of Cortado: drives replicas, watches over nodes, and serves clients through one door.
//!
//! The protocol is decided in the pure crates; here are the tasks, the clocks and the waiting.
//! Start reading at [`Cluster::start`], then [`Gateway`]; the heart is in `replica_task`.

mod cluster;
mod components;
mod cluster_identity;
mod directory;
mod store_factory;
mod gateway;
mod append_vitals;
mod catalog;
mod status;
mod events;
mod settings;
mod replica_task;
mod replica_handle;
mod asker;
mod routes;
mod process;
mod node;
mod node_context;
mod node_life;
mod registration;
mod standing;
mod watcher;
mod store_lanes;
mod changed_replicas;
mod vitals;
mod controller;
mod cluster_log;
mod conditions;
mod database_log;
mod decisions;
mod decision_writer;
mod genesis;
mod log_page;
mod snapshot;
mod metrics;
mod observation;
mod clock;
mod randomness;

/// What [`Gateway::get`] reads.
pub use cortado_model::StoredDocument;
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
    IdempotencyKey, ListRequest, NotDoneWhy, Page, ReadError, ReadOptions, ScanPage, ScanPosition,
    ScanRequest, Served, ServedRole, UnknownWhy, WriteError, WriteRequest, Written,
};
pub use node::NodeError;
pub use settings::{RawSettings, Settings, SettingsError};
pub use status::{DatabaseStatus, NodeStatus, PartitionStatus, ReplicaStatus, Status};
pub use store_factory::StoreFactory;
