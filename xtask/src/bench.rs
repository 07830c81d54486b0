//! `cargo xtask bench`: the load generator of bench/load, always in release mode.
//!
//! Start reading at [`run`].

use crate::process::{Ended, Invocation};
use crate::project::Project;
use clap::Args;
use std::process::ExitCode;

/// What the load generator is told.
#[derive(Debug, Args)]
#[command(after_help = "Everything after `bench` goes to the load generator: `cargo xtask bench \
                        --help` is this text, `cargo xtask bench help` is its own.")]
pub(crate) struct BenchArgs {
    /// The workload and its options, such as `write` or `read`
    #[arg(
        value_name = "WORKLOAD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

/// Builds the server and the load generator, then runs the latter.
pub(crate) fn run(project: &Project, args: &BenchArgs) -> Result<ExitCode, String> {
    project.require("cortado-bench", "`cargo xtask bench`")?;
    // The generator measures the server's binary as a user would run it.
    let build =
        Invocation::cargo(["build", "--release", "-p", "cortado", "-p", "cortado-bench", "--bins"]);
    if let Ended::Badly { why, .. } = build.run(&project.root)? {
        return Err(format!("the build failed ({why})"));
    }
    let cargo = ["run", "--quiet", "--release", "-p", "cortado-bench", "--bin", "bench", "--"];
    let words = cargo.map(str::to_owned).into_iter().chain(args.words.iter().cloned());
    match Invocation::cargo(words).run(&project.root)? {
        Ended::Well => Ok(ExitCode::SUCCESS),
        Ended::Badly { .. } => Ok(ExitCode::FAILURE),
    }
}
