//! Everything that is tried with the built binary, in one program: it is built and linked once, and
//! tests that wait leave the cores to others.
//!
//! What is run alone is chosen by the name of its module: `cargo test --test e2e -- serve::`.
//! Torture, and the faults of a cluster, are programs of their own. Start reading at [`harness`].

mod harness;

// What users and operators do.
mod api_examples;
mod cli;
mod import_export;
mod listening;
mod operators;
mod repetitions;
mod scripted_server;
mod top;
mod traces;

// What is wrong: requests, disks, files.
mod bad_input;
mod faults;

// With real data.
mod cities;
mod real_files;

// With programs of others.
mod browser;
mod generated_clients;
mod metrics;
mod promtool;

// With real brokers.
mod cluster_demo;
mod serve;
