//! The log and the beats on real Kafka brokers; skipped where there is no Java or no Maven.

#[path = "kafka/broken_connections.rs"]
mod broken_connections;
#[path = "kafka/cluster.rs"]
mod cluster;
#[path = "kafka/conformance.rs"]
mod conformance;
#[path = "kafka/identity.rs"]
mod identity;
#[path = "kafka/lost_positions.rs"]
mod lost_positions;
#[path = "kafka/markers.rs"]
mod markers;
#[path = "kafka/opening.rs"]
mod opening;
#[path = "kafka/readers.rs"]
mod readers;
#[path = "kafka/relay.rs"]
mod relay;
#[path = "kafka/strangers.rs"]
mod strangers;
