//! Load generator: Cortado beside the ceilings of its machine, in one run.
//!
//! Never asserts a speed: it reports medians and ratios, with what durability they stand for.
//! Start reading at [`workload`]; the peers are in [`server`] and [`disk`]. The store alone is in
//! [`commits`], what a slow one costs others in [`slow_store`].

mod bare_producers;
mod cluster;
mod commits;
mod copies;
mod gaps;
mod idle;
mod connection;
mod disk;
mod options;
mod report;
mod server;
mod site;
mod slow_store;
mod workload;

use clap::{Parser, Subcommand};
use options::Options;

/// Measures Cortado beside what the machine can do at best.
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = HELP)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
The load generator, Cortado and its peer share this machine: compare the ratios, not the rates.
Peers are measured in turn, several rounds of each; every figure is the median of the rounds.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Durable PUTs of 1 KB, beside append + fdatasync and a bare server that takes the same POSTs
    Write(Options),
    /// Documents of 1 KB by `:bulk`, beside append + fdatasync of as many bytes, and beside PUTs
    Bulk(Options),
    /// Strong GETs of 1 KB, beside a bare server that answers 1 KB
    Read(Options),
    /// The store alone: one commit for the batches of many partitions, beside one for each
    Commits(commits::Options),
    /// Partitions whose leaders' stores are fast, beside a node whose store takes 1 to 20 ms a call
    SlowStore(slow_store::Options),
    /// PUTs to a cluster on three brokers, beside bare producers; followers
    Cluster(cluster::Options),
    /// What PUTs and GETs take while a replica of their partition is copied
    Copies(copies::Options),
    /// For how long clients wait while nodes and brokers die, and while nodes stop and come back
    Gaps(gaps::Options),
    /// Memory and processor time of a node with many partitions that nobody writes
    Idle(idle::Options),
    /// The Kafka clients of an idle node, and nothing else
    #[command(hide = true)]
    IdleClients { bootstrap: String },
    /// The bare server itself: answers every request at once. Prints its address
    #[command(hide = true)]
    Bare,
}

fn main() -> anyhow::Result<()> {
    let command = CommandLine::parse().command;
    match command {
        Command::Bare => server::serve_bare(),
        Command::Write(options) => on_one_thread(workload::write(&options)),
        Command::Bulk(options) => on_one_thread(workload::bulk(&options)),
        Command::Commits(options) => commits::commits(&options),
        Command::SlowStore(options) => {
            tokio::runtime::Runtime::new()?.block_on(slow_store::slow_store(&options))
        }
        Command::Cluster(options) => on_one_thread(cluster::cluster(&options)),
        Command::Copies(options) => on_one_thread(copies::copies(&options)),
        Command::Idle(options) => on_one_thread(idle::idle(&options)),
        Command::IdleClients { bootstrap } => idle::serve_clients(&bootstrap),
        Command::Gaps(options) => on_one_thread(gaps::gaps(&options)),
        Command::Read(options) => on_one_thread(workload::read(&options)),
    }
}

/// One thread, so that the generator takes no more than one core from what it measures.
fn on_one_thread(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
