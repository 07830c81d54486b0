//! The log and the beats on real Kafka brokers; skipped where there is no Java or no Maven.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not see functions")]

mod broken_connections;
mod acls;
mod cluster;
mod conformance;
mod identity;
mod lost_positions;
mod markers;
mod opening;
mod readers;
mod relay;
mod secured;
mod strangers;
