//! The shell of Cortado: a node drives replicas, watches over others, and serves its peers.
//!
//! The protocol is decided in the pure crates; here are the tasks, the clocks and the waiting. How
//! clients come in is `cortado-gateway`'s. Start reading at [`Cluster::start`]; a node is put
//! together in `node`, the heart is in `replica_task`.

mod address_book;
mod asker;
mod catalog_seeker;
mod changed_replicas;
mod clock;
mod cluster;
mod cluster_identity;
mod components;
mod copies;
mod directory;
mod effort;
mod gossip_follower;
mod health;
mod handing_over;
mod life_standing;
mod local_routes;
mod log_time;
mod metrics;
mod node;
mod node_seat;
mod nodes;
mod observation;
mod placed_replicas;
mod progress_teller;
mod registration;
mod replica_handle;
mod replica_host;
mod replica_task;
mod request_reach;
mod log_drifts;
mod log_watch;
mod room_watch;
mod service;
mod settings;
mod store_factory;
mod store_observer;
mod store_room;
mod tasks;
mod vitals;
mod watcher;

/// What a node tells of itself.
pub use cortado_cluster::{
    Capacity, ChangeId, ChangeState, MoveLimits, MoveProgress, PlannedChange, PlannedKind, Zone,
};
pub use cortado_gateway::NodeDescription;

pub use cluster::{Cluster, StartError};
pub use cluster_identity::{IdentityError, begin_cluster, check_begun, folded_in, logged};
pub use components::{Components, Founding};
pub use directory::{DirectoryError, MemoryDirectories, NodeDirectories, NodeIdentity};
pub use node_seat::{NodeSeats, SeatError};
pub use nodes::{NodeError, Nodes};
pub use settings::{FEATURE_LEVEL, NEXT_FEATURE_LEVEL, RawSettings, Settings, SettingsError};
pub use store_factory::StoreFactory;
