//! `cargo xtask test`: every test of the project, lane after lane, and one closing line.
//!
//! Never passes silently over a lane: what is missing fails, what cannot run here is skipped with
//! its reason, and with `CI=true` that fails too. Start reading at [`Lane`].

use crate::cargo_tests;
use crate::clients::Tools;
use crate::data;
use crate::deploy;
use crate::process::{Ended, is_installed};
use crate::project::{Crate, Project};
use crate::report::{Outcome, Ran, Report, Verdict};
use crate::sim;
use crate::tidy;
use clap::{Args, ValueEnum};

/// The lanes, quickest answer first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lane {
    /// The rules that compilers do not check
    Tidy,
    /// Unit, property and conformance tests and the examples of the documentation
    Unit,
    /// The simulator: scenarios × seeds, invariants, the client oracle
    Sim,
    /// Through the built binary and HTTP: real data, bad input, broken disks
    E2e,
    /// A real browser, and clients that others' generators make of the API
    Clients,
    /// The examples of deploy/: systemd, Compose, Kubernetes, alerts for Prometheus
    Deploy,
    /// Load, kill -9, restart and a full audit, again and again
    Torture,
}

/// How long the tests go on that could go on for ever.
#[derive(Debug, Clone, Args)]
pub(crate) struct Extent {
    /// Seeds of the simulator lane
    #[arg(long, value_name = "N", default_value_t = 900)]
    sim_seeds: u64,
    /// Cycles of load, kill -9, restart and audit in the torture lane; 200 is the full run
    #[arg(long, value_name = "N", default_value_t = 12)]
    torture_cycles: u32,
}

impl Lane {
    /// Every lane, in the order in which they run.
    pub(crate) const ALL: [Lane; 7] =
        [Lane::Tidy, Lane::Deploy, Lane::Unit, Lane::Sim, Lane::E2e, Lane::Clients, Lane::Torture];

    fn name(self) -> &'static str {
        match self {
            Lane::Tidy => "tidy",
            Lane::Unit => "unit",
            Lane::Sim => "sim",
            Lane::E2e => "e2e",
            Lane::Clients => "clients",
            Lane::Deploy => "deploy",
            Lane::Torture => "torture",
        }
    }

    /// Runs this lane to its end.
    pub(crate) fn run(self, project: &Project, extent: &Extent) -> Report {
        Report::of(self.name(), || match self {
            Lane::Tidy => run_tidy(project),
            Lane::Unit => run_unit(project),
            Lane::Sim => run_sim(project, extent.sim_seeds),
            Lane::E2e => run_end_to_end(project),
            Lane::Clients => run_clients(project),
            Lane::Deploy => deploy::check(project),
            Lane::Torture => run_torture(project, extent.torture_cycles),
        })
    }
}

fn run_tidy(project: &Project) -> Ran {
    let findings = tidy::check(project)?;
    findings.iter().for_each(|finding| println!("{finding}"));
    let verdict = match findings.len() {
        0 => Verdict::Passed,
        count => Verdict::Failed(format!("{count} findings")),
    };
    Ok(verdict.counted_once())
}

fn run_unit(project: &Project) -> Ran {
    let no_brokers = missing_for_brokers(&BROKER_TESTS);
    let targets = unit_targets(project, no_brokers.is_none());
    let tests = cargo_tests::run(project, &targets, &[])?;
    let examples = cargo_tests::run(project, &["--doc".to_owned()], &[])?;
    let skipped = no_brokers.into_iter().map(|why| Verdict::Skipped(why).counted_once());
    Ok(skipped.fold(tests.and(examples), Outcome::and))
}

/// The tests on real Kafka brokers, which the crate cortado-kafka-brokers starts.
const BROKER_TESTS: [&str; 2] = ["kafka", "lives"];

/// Why there can be no Kafka brokers for `tests` here, if that is so.
fn missing_for_brokers(tests: &[&str]) -> Option<String> {
    let programs = [("java", "openjdk-17-jre-headless"), ("mvn", "maven")];
    let missing = programs.into_iter().find(|(program, _)| !is_installed(program));
    missing.map(|(program, package)| {
        let tests = tests.join("`, `");
        format!("`{tests}`: {program} is not installed; Debian's package `{package}` has it")
    })
}

/// What the lane `unit` runs.
fn unit_targets(project: &Project, with_brokers: bool) -> Vec<String> {
    let mut targets = vec!["--lib".to_owned(), "--bins".to_owned()];
    for (_, member) in project.crates.iter().filter(|(name, _)| *name != BINARY_CRATE) {
        let runs = |test: &&String| with_brokers || !BROKER_TESTS.contains(&test.as_str());
        targets.extend(member.tests.iter().filter(runs).flat_map(|test| test_flag(test)));
    }
    targets
}

fn run_sim(project: &Project, seeds: u64) -> Ran {
    let words = vec!["--seeds".to_owned(), seeds.to_string()];
    let verdict = match sim::invocation(project, words)?.run(&project.root)? {
        Ended::Well => Verdict::Passed,
        Ended::Badly { why, .. } => Verdict::Failed(why),
    };
    Ok(verdict.counted_once())
}

/// The crate whose integration tests are the lanes `e2e`, `clients` and `torture`.
const BINARY_CRATE: &str = "cortado";
/// The end-to-end tests that need the fetched data.
const DATA_TESTS: [&str; 2] = ["cities", "real_files"];
/// The end-to-end test that needs Prometheus' tool.
const PROMTOOL_TEST: &str = "promtool";
/// The end-to-end tests that need Kafka brokers.
const BROKERS_TESTS: [&str; 2] = ["serve", "cluster_demo"];
/// The tests of the lane `clients`.
const BROWSER_TEST: &str = "browser";
const GENERATORS_TEST: &str = "generated_clients";
/// The tests of the lane `torture`.
pub(crate) const TORTURE_TEST: &str = "torture";
/// It needs Kafka brokers, too.
pub(crate) const CLUSTER_FAULTS_TEST: &str = "cluster_faults";
/// What must at least be there: without one of these the lanes fail rather than shrink.
const REQUIRED_TESTS: [&str; 13] = [
    "api_examples",
    "bad_input",
    BROWSER_TEST,
    CLUSTER_FAULTS_TEST,
    DATA_TESTS[0],
    DATA_TESTS[1],
    "faults",
    GENERATORS_TEST,
    "metrics",
    PROMTOOL_TEST,
    BROKERS_TESTS[0],
    BROKERS_TESTS[1],
    TORTURE_TEST,
];
/// Those that are not of the lane `e2e`.
const OF_OTHER_LANES: [&str; 4] =
    [BROWSER_TEST, CLUSTER_FAULTS_TEST, GENERATORS_TEST, TORTURE_TEST];

/// The integration tests of the binary but those of other lanes, and but those that miss something
/// here.
fn run_end_to_end(project: &Project) -> Ran {
    let tests = binary_tests(project)?.iter();
    let tests = tests.filter(|test| !OF_OTHER_LANES.contains(&test.as_str()));
    let (mut env, mut left_out) = (Vec::new(), Vec::new());
    match data::fetch(project) {
        Ok(folder) => env.push(("CORTADO_DATASETS", folder.display().to_string())),
        Err(why) => {
            left_out.extend(DATA_TESTS.map(|test| (test, format!("`{test}` has no data: {why}"))))
        }
    }
    if !is_installed("promtool") {
        let how = "promtool is not installed; Debian's package `prometheus` brings it";
        left_out.push((PROMTOOL_TEST, how.to_owned()));
    }
    for test in BROKERS_TESTS {
        left_out.extend(missing_for_brokers(&[test]).map(|why| (test, why)));
    }
    let here = tests.filter(|test| left_out.iter().all(|(missing, _)| test != missing));
    let targets: Vec<_> = here.flat_map(|test| test_flag(test)).collect();
    let skipped = left_out.into_iter().map(|(_, why)| Verdict::Skipped(why).counted_once());
    Ok(skipped.fold(cargo_tests::run(project, &targets, &env)?, Outcome::and))
}

/// The tests of the server with programs of others, but those whose program is not here.
fn run_clients(project: &Project) -> Ran {
    binary_tests(project)?;
    let Tools { browser, generators } = Tools::find(project);
    let generators = generators.map(|folder| folder.display().to_string());
    let (mut env, mut targets, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for (test, variable, tool) in [
        (BROWSER_TEST, "CORTADO_BROWSER", browser),
        (GENERATORS_TEST, "CORTADO_CLIENT_TOOLS", generators),
    ] {
        match tool {
            Ok(tool) => {
                env.push((variable, tool));
                targets.extend(test_flag(test));
            }
            Err(why) => outcomes.push(Verdict::Skipped(format!("`{test}`: {why}")).counted_once()),
        }
    }
    if !targets.is_empty() {
        outcomes.push(cargo_tests::run(project, &targets, &env)?);
    }
    outcomes.into_iter().reduce(Outcome::and).ok_or_else(|| "it has no tests".to_owned())
}

fn run_torture(project: &Project, cycles: u32) -> Ran {
    binary_tests(project)?;
    let cycles = ("CORTADO_TORTURE_CYCLES", cycles.to_string());
    let no_brokers = missing_for_brokers(&[CLUSTER_FAULTS_TEST]);
    let mut targets = test_flag(TORTURE_TEST).to_vec();
    if no_brokers.is_none() {
        targets.extend(test_flag(CLUSTER_FAULTS_TEST));
    }
    let ran = cargo_tests::run(project, &targets, &[cycles])?;
    let skipped = no_brokers.into_iter().map(|why| Verdict::Skipped(why).counted_once());
    Ok(skipped.fold(ran, Outcome::and))
}

/// The integration tests of the binary.
///
/// # Errors
/// One that must be there is not.
fn binary_tests(project: &Project) -> Result<&[String], String> {
    let Crate { folder, tests, .. } = project.require(BINARY_CRATE, "this lane")?;
    for required in REQUIRED_TESTS {
        if !tests.iter().any(|test| test == required) {
            return Err(format!("{folder}/tests/{required}.rs is missing"));
        }
    }
    Ok(tests)
}

fn test_flag(test: &str) -> [String; 2] {
    ["--test".to_owned(), test.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project_with_tests(tests: &[&str]) -> Project {
        let tests = tests.iter().map(|test| (*test).to_owned()).collect();
        let folder = "crates/app/cortado".to_owned();
        let binary = Crate { folder, tests, ..Crate::default() };
        Project { root: ".".into(), crates: [(BINARY_CRATE.to_owned(), binary)].into() }
    }

    #[test]
    fn a_missing_end_to_end_test_is_an_error() {
        assert!(binary_tests(&project_with_tests(&REQUIRED_TESTS)).is_ok());
        let others = REQUIRED_TESTS.into_iter().filter(|test| *test != "faults");
        let without_faults = project_with_tests(&others.collect::<Vec<_>>());
        let error = binary_tests(&without_faults).expect_err("faults is not listed");
        assert_eq!(error, "crates/app/cortado/tests/faults.rs is missing");
    }

    #[test]
    fn tests_on_brokers_run_only_where_there_can_be_some() {
        let tests = ["kafka", "memory"].map(str::to_owned).to_vec();
        let member = Crate { tests, ..Crate::default() };
        let project = Project { root: ".".into(), crates: [("a".to_owned(), member)].into() };
        let with = ["--lib", "--bins", "--test", "kafka", "--test", "memory"];
        assert_eq!(unit_targets(&project, true), with);
        assert_eq!(unit_targets(&project, false), ["--lib", "--bins", "--test", "memory"]);
    }

    #[test]
    fn a_missing_simulator_is_an_error() {
        let error = sim::invocation(&project_with_tests(&[]), Vec::new()).expect_err("no crate");
        assert!(error.contains("`cortado-sim`"), "{error}");
    }
}
