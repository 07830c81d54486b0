//! Real Kafka brokers on this machine: fetched, formatted, started, killed, paused, removed.
//!
//! Knows nothing of Cortado. Start reading at [`KafkaBrokers`]; [`brokers_for_test`] is the door of
//! tests, `cargo xtask kafka` that of people.

mod error;
mod cache;
mod ports;
mod java;
mod jars;
mod secured;
mod broker_process;
mod state;
mod properties;
mod launch;
mod archive;
mod format;
mod brokers;
mod for_tests;

pub use brokers::{BrokerSettings, BrokerStatus, KafkaBrokers, Lifetime};
pub use error::BrokersError;
pub use for_tests::{brokers_for_test, secured_brokers_for_test};
pub use secured::Secured;
pub use state::{BrokerState, ClientListener, Pace};
