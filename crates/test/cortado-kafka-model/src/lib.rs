//! A Kafka cluster as a state machine, and clients that keep a partition's log on it.
//!
//! Knows what brokers do and nothing of what is logged. [`cluster`] and [`client`] are pure: time
//! is an argument, and a seed decides what is left to chance; [`log`] puts the log port on top.
//! Start reading at [`KafkaCluster::on`](cluster::KafkaCluster::on). The README says on which facts
//! about Kafka each rule rests.

pub mod client;
pub mod cluster;
pub mod log;

mod batch;
mod broker;
mod chance;
mod code;
mod committed;
mod controller;
mod defect;
mod image;
mod leading;
mod links;
mod names;
mod produce;
mod replica_log;
mod sequences;
mod settings;

pub use batch::{Batch, BatchKind, Sequenced};
pub use code::ErrorCode;
pub use defect::{BrokerDefect, ClientDefect};
pub use image::{Assigned, Image};
pub use links::Party;
pub use names::{BrokerId, Micros, ProducerName, TopicPartition, TopicUuid};
pub use settings::{ClusterSettings, TopicSettings};
