//! Cortado's own commands: everything that is run on the source, written in Rust.
//!
//! Never part of the product: no crate depends on this one, and this one depends on no other crate
//! of the workspace. Start reading at [`Command`]; [`ci`] and [`lanes`] say what "green" means.

mod bench;
mod cargo_tests;
mod ci;
mod clients;
mod data;
mod deploy;
mod fingerprint;
mod kafka;
mod lanes;
mod process;
mod project;
mod report;
mod sim;
mod sim_aperture;
mod tally;
mod tidy;
mod torture;

use clap::{Args, Parser, Subcommand};
use lanes::{Extent, Lane};
use project::Project;
use report::summarize;
use std::process::ExitCode;

/// What is run on the source of Cortado.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "What is run on the source of Cortado",
    after_help = WHOLE_HELP
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// The commands. Each is one file of this folder.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run every test: unit, tidy, simulator, end to end, kill -9
    Test(TestArgs),
    /// Everything that must hold before a change lands: fmt, deny, clippy, fuzz, docs, test
    #[command(after_help = CI_HELP)]
    Ci(Extent),
    /// Disturb a cluster and a server for as long as you like: `cargo xtask torture --minutes 60`
    Torture(torture::TortureArgs),
    /// Check the rules of layout, sizes, words and documents that compilers do not check
    Tidy(TidyArgs),
    /// Run the simulator: many seeds, or one seed again
    Sim(sim::SimArgs),
    /// Simulate load balancing: write docs/aperture, check it, or ask one question of it
    SimAperture(sim_aperture::SimApertureArgs),
    /// Build and run the benchmarks in release mode: `cargo xtask bench write`, `… bench read`
    Bench(bench::BenchArgs),
    /// Start, break and remove real Kafka brokers on this machine: `cargo xtask kafka up`
    Kafka(kafka::KafkaArgs),
    /// Fetch the real data of the end-to-end tests and print the folder where it lies
    #[command(after_help = DATA_HELP)]
    Data,
}

/// Which tests to run, and how long.
#[derive(Debug, Args)]
#[command(after_help = TEST_HELP)]
struct TestArgs {
    /// Only these lanes (repeat the option for several); default: all, in the order shown
    #[arg(long = "lane", value_name = "NAME", value_enum)]
    lanes: Vec<Lane>,
    #[command(flatten)]
    extent: Extent,
}

/// What tidy does besides checking.
#[derive(Debug, Args)]
#[command(after_help = TIDY_HELP)]
struct TidyArgs {
    /// Renew the fingerprints in docs/formats, after you have brought the pages up to date
    #[arg(long)]
    bless: bool,
}

const WHOLE_HELP: &str = "\
Before you send a change: `cargo xtask ci`. While you work: `cargo test -p CRATE`, and \
`cargo xtask tidy`, which answers in a second.";

const TEST_HELP: &str = "\
The last line is `N passed, M failed, K skipped`: the tests that cargo counted, over all lanes. A \
lane without cargo tests (tidy, sim) counts as one; so does a lane that could not be built.
A test that failed is repeated once, alone. If it passes then, it is listed as FLAKY above the \
last line and counts as passed: it depends on luck, which is a defect to mend at once. A target \
that does not build, or dies before it has named its failures, is not repeated, nor is a seed of \
the simulator.
A lane that cannot run here is skipped with its reason; with CI=true in the environment that is a \
failure.";

const CI_HELP: &str = "\
Never writes to the source tree. Each step is an ordinary command that is printed before it runs, \
so that you can repeat it alone. What only compiles (clippy, fuzz, docs) goes on beside the \
tests, which mostly wait, at the lowest priority, and is shown when they have ended. The \
closing lines are those of `cargo xtask test`, flaky tests among them; in the last one, a check \
that is no test counts as one.";

const TIDY_HELP: &str = "\
A finding is `path:line: rule: what is wrong`. Mend it or, where the rule is wrong for this one \
place, add `path: rule: reason` to xtask/tidy-exemptions.txt. Exemptions that exempt nothing any \
more fail, so the list only shrinks.";

const DATA_HELP: &str = "\
Files of npm packages, each of one version, are packed by the npm client, checked against their \
SHA-256 and kept in .cache/. xtask/src/data.rs lists them with their licences.";

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let done = Project::load().and_then(|project| match line.command {
        Command::Test(args) => Ok(test(&project, &args)),
        Command::Ci(extent) => Ok(ci::run(&project, &extent)),
        Command::Torture(args) => torture::run(&project, &args),
        Command::Tidy(args) => tidy::run(&project, args.bless),
        Command::Sim(args) => sim::run(&project, &args),
        Command::SimAperture(args) => sim_aperture::run(&project, &args),
        Command::Bench(args) => bench::run(&project, &args),
        Command::Kafka(args) => kafka::run(&project, &args),
        Command::Data => data::print_path(&project),
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen lanes one after the other, all of them when none is chosen.
fn test(project: &Project, args: &TestArgs) -> ExitCode {
    let is_chosen = |lane: &Lane| args.lanes.is_empty() || args.lanes.contains(lane);
    let lanes = Lane::ALL.into_iter().filter(is_chosen);
    let reports: Vec<_> = lanes.map(|lane| lane.run(project, &args.extent)).collect();
    summarize(&reports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[track_caller]
    fn check(words: &[&str], accepted: bool) {
        let got = CommandLine::try_parse_from([&["xtask"], words].concat());
        assert_eq!(got.is_ok(), accepted, "{words:?}: {got:?}");
    }

    #[test]
    fn commands_take_the_options_their_help_shows() {
        check(&["test", "--lane", "unit", "--lane", "sim"], true);
        check(&["test", "--lane", "nightly"], false);
        check(&["ci", "--torture-cycles", "200"], true);
        check(&["torture", "--minutes", "60", "--seed", "7"], true);
        check(&["torture", "--fault", "NodeKilled"], true);
        check(&["tidy", "--bless"], true);
        check(&["sim", "--seeds", "900"], true);
        check(&["sim", "--seed", "7", "--scenario", "handoff", "--trace"], true);
        check(&["sim", "--seed", "7", "--seeds", "9"], false);
        check(&["sim-aperture", "--scenario", "outage", "--size", "100x100", "--seed", "7"], true);
        check(&["sim-aperture", "--check", "--seed", "7"], false);
        check(&["bench", "write", "--clients", "64"], true);
        check(&["kafka", "up", "--brokers", "1"], true);
        check(&["kafka"], false);
        check(&["data", "elsewhere"], false);
    }
}
