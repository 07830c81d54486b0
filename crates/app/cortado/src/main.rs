//! The one binary: a server for developers, a demonstration, and the command line client.
//!
//! The only crate that names adapters (the embedded log, the fjall store). Decides nothing about
//! the protocol. Start reading at [`Command`](command_line::Command).

mod command_line;
mod failure;
mod terminal;
mod output;
mod place;
mod body_argument;
mod server_arguments;

mod dev;
mod settings;
mod data_directory;
mod node_identities;
mod durable_file;
mod logging;
mod stop_signals;
mod service_manager;

mod demo;

mod databases;
mod documents;
mod batches;
mod import;
mod export;
mod changes;
mod status;
mod nodes;
mod decisions;
mod log_verification;

use clap::Parser;
use command_line::CommandLine;
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Records and answers are made on one thread and given back on another, which the system's
/// allocator pays for with locks and with memory that it hands over again and again.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let line = CommandLine::parse();
    match line.command.run() {
        Ok(exit) => exit.code(),
        Err(failure) => {
            failure.print();
            failure.exit().code()
        }
    }
}
