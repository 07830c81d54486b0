//! `cargo xtask kafka`: real Kafka brokers on this machine, by the crate that tests use.
//!
//! Start reading at [`run`].

use crate::process::{Ended, Invocation};
use crate::project::Project;
use clap::Args;
use std::process::ExitCode;

/// What is done with brokers.
#[derive(Debug, Args)]
#[command(after_help = "Everything after `kafka` goes to the crate cortado-kafka-brokers: \
                        `cargo xtask kafka help` shows its commands, up, down, status, kill, \
                        start, pause and resume among them.")]
pub(crate) struct KafkaArgs {
    /// The command and its options, such as `up --brokers 1` or `kill 2`
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

/// Builds and runs the command.
pub(crate) fn run(project: &Project, args: &KafkaArgs) -> Result<ExitCode, String> {
    project.require("cortado-kafka-brokers", "`cargo xtask kafka`")?;
    let cargo = ["run", "--quiet", "-p", "cortado-kafka-brokers", "--bin", "kafka-brokers", "--"];
    let words = cargo.map(str::to_owned).into_iter().chain(args.words.iter().cloned());
    match Invocation::cargo(words).run(&project.root)? {
        Ended::Well => Ok(ExitCode::SUCCESS),
        Ended::Badly { .. } => Ok(ExitCode::FAILURE),
    }
}
