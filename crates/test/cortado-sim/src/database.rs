//! A world of nodes that hold replicas of a database: their processes, disks, log and clients.
//!
//! Start reading at [`world::World::run`], then [`plan::Plan::draw`] (what a seed decides).

pub mod world;
pub mod asker;
mod broker_story;
mod dead_leader;
pub mod catalog;
pub mod client;
pub mod coverage;
pub mod documents;
pub mod history;
pub mod hosted;
pub mod invariants;
pub mod mutant;
pub mod node;
pub mod oracle;
pub mod orders;
pub mod plan;
pub mod scenario;
pub mod store;
pub mod truth;
pub mod upgrade;
mod observer;
mod pin;
mod reach;
