//! `cargo xtask sim-aperture`: the simulation of load balancing, with the flags of its own binary.
//!
//! Start reading at [`run`].

use crate::process::{Ended, Invocation};
use crate::project::Project;
use clap::Args;
use std::process::ExitCode;

/// What to simulate.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct SimApertureArgs {
    /// Only this scenario, to the terminal: shares, resize-endpoints, resize-clients, down, steady,
    /// restart-endpoints, restart-clients, more-clients, more-endpoints, slow, cold, fast-failing,
    /// weights, zones, unequal, outage
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Only this size, CLIENTSxENDPOINTS, to the terminal: any, not only those of the report
    #[arg(long, value_name = "MxS")]
    size: Option<String>,
    /// Decides every draw: the same seed gives the same bytes
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Compare docs/aperture with what a quick part of it gives now; write nothing
    #[arg(long, conflicts_with_all = ["scenario", "size", "seed"])]
    check: bool,
    /// Make tables and pictures anew from the figures that are kept; compute nothing
    #[arg(long, conflicts_with_all = ["scenario", "size", "seed", "check"])]
    render: bool,
}

const HELP: &str = "\
Without options the whole report is computed and written to docs/aperture, in a few minutes on one \
core: do that after a change to lib/cortado-aperture that `--check` notices, read the diff, and \
commit it with the change if you can explain it. docs/aperture/README.md says what is simulated.
Examples: `cargo xtask sim-aperture --scenario outage --size 100x100`,
          `cargo xtask sim-aperture --scenario shares --size 40x700 --seed 7`.";

impl SimApertureArgs {
    /// The arguments as the simulation takes them.
    fn to_words(&self) -> Vec<String> {
        let options = [
            ("--scenario", self.scenario.clone()),
            ("--size", self.size.clone()),
            ("--seed", self.seed.map(|seed| seed.to_string())),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
        let mut words: Vec<String> = given.flatten().collect();
        let flags = [("--check", self.check), ("--render", self.render)];
        words
            .extend(flags.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| (*name).into()));
        words
    }
}

/// Runs the simulation from the root of the checkout, where its report lies.
pub(crate) fn run(project: &Project, args: &SimApertureArgs) -> Result<ExitCode, String> {
    project.require(CRATE, "`cargo xtask sim-aperture`")?;
    // The root manifest optimizes it in this profile, too.
    let cargo = ["run", "--quiet", "-p", CRATE, "--bin", "sim-aperture", "--"];
    let words = cargo.map(str::to_owned).into_iter().chain(args.to_words());
    match Invocation::cargo(words).run(&project.root)? {
        Ended::Well => Ok(ExitCode::SUCCESS),
        Ended::Badly { .. } => Ok(ExitCode::FAILURE),
    }
}

const CRATE: &str = "cortado-aperture-sim";
