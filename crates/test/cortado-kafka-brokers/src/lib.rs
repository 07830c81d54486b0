//! Real Kafka brokers on this machine: fetched, formatted, started, killed, paused, removed.
//!
//! Knows nothing of Cortado. Start reading at [`KafkaBrokers`]; [`brokers_for_test`] is the door of
//! tests, `cargo xtask kafka` that of people.

mod error;
mod cache;
mod ports;
mod java;
mod jars;
mod properties;
mod broker_process;
mod state;
mod launch;
mod archive;
mod format;
mod brokers;
mod for_tests;

pub use brokers::{BrokerSettings, BrokerStatus, KafkaBrokers, Lifetime};
pub use error::BrokersError;
pub use for_tests::brokers_for_test;
pub use state::{BrokerState, ClientListener, Pace};
