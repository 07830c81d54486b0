//! Real Kafka brokers on this machine: fetched, formatted, started, killed, paused, removed.
//!
//! Knows nothing of Cortado. Start reading at [`KafkaBrokers`]; [`brokers_for_test`] is the door of
//! tests, `cargo xtask kafka` and `cortado cluster demo` are those of people.

mod error;
mod cache;
mod ports;
mod java;
mod repository;
mod jars;
mod secured;
mod broker_process;
mod guarded_process;
mod state;
mod properties;
mod launch;
mod archive;
mod format;
mod brokers;
mod for_tests;

pub use brokers::{BrokerSettings, BrokerStatus, KafkaBrokers, Lifetime};
pub use cache::folder as cache_folder;
pub use error::BrokersError;
pub use for_tests::{
    brokers_for_test, brokers_for_test_at, secured_brokers_for_test, shared_brokers_for_test,
};
pub use guarded_process::GuardedProcess;
pub use jars::are_fetched;
pub use launch::Compilation;
pub use ports::free as free_ports;
pub use secured::Secured;
pub use state::{BrokerState, ClientListener, Pace};
