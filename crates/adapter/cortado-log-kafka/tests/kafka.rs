//! The log and the beats on real Kafka brokers; skipped where there is no Java or no Maven.

#[path = "kafka/cluster.rs"]
mod cluster;
#[path = "kafka/conformance.rs"]
mod conformance;
#[path = "kafka/markers.rs"]
mod markers;
