//! `cargo xtask torture`: the tests that could go on for ever, for as long as one likes.
//!
//! Start reading at [`run`]. The lane `torture` of `cargo xtask test` is a short selection of it.

use crate::lanes::{CLUSTER_FAULTS_TEST, TORTURE_TEST};
use crate::process::{Ended, Invocation};
use crate::project::Project;
use clap::Args;
use std::process::ExitCode;

/// How long, and what.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct TortureArgs {
    /// Minutes of faults of a cluster of processes on real brokers
    #[arg(long, value_name = "N", default_value_t = 30)]
    minutes: u64,
    /// Then so many cycles of load, kill -9, restart and audit on one machine
    #[arg(long, value_name = "N", default_value_t = 200)]
    cycles: u32,
    /// Only this fault of a cluster, once, as the output names it
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
    /// Repeats the choices of the run that printed this
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

const HELP: &str = "\
Each round says what happened, how many steps of its history have an order, and how long no write \
was acknowledged. A failure shows the history, and prints CORTADO_SEED before it: with --seed the \
same faults come again, though not at the same moments.";

/// Runs them one after the other, until one fails.
///
/// # Errors
/// Cargo cannot be run.
pub(crate) fn run(project: &Project, args: &TortureArgs) -> Result<ExitCode, String> {
    for test in [CLUSTER_FAULTS_TEST, TORTURE_TEST] {
        let words = ["test", "--workspace", "--test", test, "--", "--nocapture"];
        let mut command = Invocation::cargo(words)
            .env("CI", "true")
            .env("CORTADO_TORTURE_MINUTES", args.minutes.to_string())
            .env("CORTADO_TORTURE_CYCLES", args.cycles.to_string());
        if let Some(fault) = &args.fault {
            command = command.env("CORTADO_FAULT", fault.clone());
        }
        if let Some(seed) = args.seed {
            command = command.env("CORTADO_SEED", seed.to_string());
        }
        println!("$ {command}");
        if let Ended::Badly { why, .. } = command.run(&project.root)? {
            return Err(format!("{test}: {why}"));
        }
        if args.fault.is_some() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}
