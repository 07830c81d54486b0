//! `cargo xtask sim`: the simulator, with the flags of its own binary.
//!
//! Start reading at [`run`].

use crate::process::{Ended, Invocation};
use crate::project::Project;
use clap::Args;
use std::process::ExitCode;

/// Which histories to simulate.
#[derive(Debug, Args)]
#[command(
    after_help = "A failure prints the seed and the command that repeats it. The same seed on \
                        the same source always gives the same trace."
)]
pub(crate) struct SimArgs {
    /// How many seeds, counted from 0
    #[arg(long, value_name = "N", conflicts_with = "seed", required_unless_present = "seed")]
    seeds: Option<u64>,
    /// One seed, again
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Only this scenario
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Print every step of the history
    #[arg(long)]
    trace: bool,
}

impl SimArgs {
    /// The arguments as the simulator takes them.
    fn to_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                words.extend([name.to_owned(), value]);
            }
        };
        option("--seeds", self.seeds.map(|n| n.to_string()));
        option("--seed", self.seed.map(|s| s.to_string()));
        option("--scenario", self.scenario.clone());
        if self.trace {
            words.push("--trace".to_owned());
        }
        words
    }
}

/// Runs the simulator.
pub(crate) fn run(project: &Project, args: &SimArgs) -> Result<ExitCode, String> {
    match invocation(project, args.to_words())?.run(&project.root)? {
        Ended::Well => Ok(ExitCode::SUCCESS),
        Ended::Badly { .. } => Ok(ExitCode::FAILURE),
    }
}

/// Builds the simulator; answers the command that runs it with `words`.
///
/// It is built as the tests are, with the features of the whole workspace and what tests need
/// beside: alone it would have other ones, and most of what it stands on would be built once more.
///
/// # Errors
/// There is no simulator in the workspace, or it does not build.
pub(crate) fn invocation(project: &Project, words: Vec<String>) -> Result<Invocation, String> {
    let simulator = project.require("cortado-sim", "the simulator")?;
    if !simulator.binaries.iter().any(|name| name == "sim") {
        return Err("the crate `cortado-sim` has no binary `sim`".to_owned());
    }
    let build = ["build", "--quiet", "--workspace", "--bin", "sim", "--test", "seeds"];
    if let Ended::Badly { why, .. } = Invocation::cargo(build).run(&project.root)? {
        return Err(format!("the simulator does not build: {why}"));
    }
    let program = project.target.join("debug").join("sim");
    Ok(Invocation::new(&program.to_string_lossy(), words))
}
