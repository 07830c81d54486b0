//! The one binary: a server for developers, a node of a cluster, a demonstration, and the command
//! line client.
//!
//! The only crate that names adapters (the embedded log and that on Kafka, the fjall store, peers
//! over HTTP/2). Decides nothing about
//! the protocol. Start reading at [`Command`](command_line::Command).

mod command_line;
mod failure;
mod field_names;
mod terminal;
mod output;
mod place;
mod body_argument;
mod server_arguments;

mod dev;
mod serve;
mod cluster;
mod settings;
mod kafka_arguments;
mod near_word;
mod listener;
mod process_metrics;
mod byte_size;
mod data_directory;
mod node_identities;
mod private_files;
mod durable_file;
mod damaged_store;
mod reserve_task;
mod logging;
mod stop_signals;
mod service_manager;

mod demo;

mod databases;
mod documents;
mod batches;
mod import;
mod export;
mod export_lines;
mod changes;
mod trouble;
mod status;
mod top;
mod moves;
mod nodes;
mod partitions;
mod decisions;
mod log_verification;
mod completions;
mod names;
mod manual;

use clap::CommandFactory;
use command_line::CommandLine;
use failure::{Exit, Failure};
use mimalloc::MiMalloc;
use std::io::Write;
use std::process::ExitCode;
use terminal::raw_stdout;

/// Records and answers are made on one thread and given back on another, which the system's
/// allocator pays for with locks and with memory that it hands over again and again.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    completions::answer_a_shell(CommandLine::command);
    let line = match CommandLine::of_process() {
        Ok(line) => line,
        Err(error) => return answered_by_clap(&error),
    };
    match line.command.run() {
        Ok(exit) => exit.code(),
        Err(failure) => {
            failure.print();
            failure.exit().code()
        }
    }
}

/// Help and version go to standard output, which may be full; what is wrong with the command line
/// goes to standard error.
fn answered_by_clap(error: &clap::Error) -> ExitCode {
    let printed = error.print().and_then(|()| raw_stdout().flush());
    match printed {
        _ if error.use_stderr() => Exit::Usage.code(),
        Ok(()) => Exit::Done.code(),
        Err(error) => {
            let failure = Failure::from(error);
            failure.print();
            failure.exit().code()
        }
    }
}
