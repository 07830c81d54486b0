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
use std::fs;

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
    #[arg(long, value_name = "N", default_value_t = 1_300)]
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
/// The program of the lanes `e2e` and `clients`: each of its modules is a file of tests.
const END_TO_END: &str = "e2e";
/// The end-to-end tests that need the fetched data.
const DATA_TESTS: [&str; 2] = ["cities", "real_files"];
/// The end-to-end test that needs Prometheus' tool.
const PROMTOOL_TEST: &str = "promtool";
/// The end-to-end tests that need Kafka brokers.
const BROKERS_TESTS: [&str; 2] = ["serve", "cluster_demo"];
/// The tests of the lane `clients`.
const BROWSER_TEST: &str = "browser";
const GENERATORS_TEST: &str = "generated_clients";
/// The tests of the lane `torture`, programs of their own.
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

/// The end-to-end tests but those of other lanes, and but those that miss something here.
fn run_end_to_end(project: &Project) -> Ran {
    check_binary_tests(project)?;
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
    let of_others = [BROWSER_TEST, GENERATORS_TEST].into_iter();
    let skipped = of_others.chain(left_out.iter().map(|(test, _)| *test));
    let skips = skipped.flat_map(|test| ["--skip".to_owned(), module_filter(test)]);
    let words: Vec<_> = end_to_end_target().into_iter().chain(skips).collect();
    let skipped = left_out.into_iter().map(|(_, why)| Verdict::Skipped(why).counted_once());
    Ok(skipped.fold(cargo_tests::run(project, &words, &env)?, Outcome::and))
}

/// The tests of the server with programs of others, but those whose program is not here.
fn run_clients(project: &Project) -> Ran {
    check_binary_tests(project)?;
    let Tools { browser, generators } = Tools::find(project);
    let generators = generators.map(|folder| folder.display().to_string());
    let (mut env, mut filters, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for (test, variable, tool) in [
        (BROWSER_TEST, "CORTADO_BROWSER", browser),
        (GENERATORS_TEST, "CORTADO_CLIENT_TOOLS", generators),
    ] {
        match tool {
            Ok(tool) => {
                env.push((variable, tool));
                filters.push(module_filter(test));
            }
            Err(why) => outcomes.push(Verdict::Skipped(format!("`{test}`: {why}")).counted_once()),
        }
    }
    if !filters.is_empty() {
        let words: Vec<_> = end_to_end_target().into_iter().chain(filters).collect();
        outcomes.push(cargo_tests::run(project, &words, &env)?);
    }
    outcomes.into_iter().reduce(Outcome::and).ok_or_else(|| "it has no tests".to_owned())
}

/// What selects the end-to-end tests, before the words that choose among them.
fn end_to_end_target() -> [String; 3] {
    ["--test", END_TO_END, "--"].map(str::to_owned)
}

/// What the names of all tests of a module begin with, and no others do.
fn module_filter(test: &str) -> String {
    format!("{test}::")
}

fn run_torture(project: &Project, cycles: u32) -> Ran {
    check_binary_tests(project)?;
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

/// Looks whether the lanes run every file of the binary's tests, and whether all are there that
/// must be.
///
/// # Errors
/// One that must be there is not, or one is run by no program.
fn check_binary_tests(project: &Project) -> Result<(), String> {
    let Crate { folder, tests: programs, .. } = project.require(BINARY_CRATE, "this lane")?;
    let folder = format!("{folder}/tests");
    let root = project.root.join(&folder).join(format!("{END_TO_END}.rs"));
    let root = fs::read_to_string(&root).map_err(|error| format!("{}: {error}", root.display()))?;
    let files = fs::read_dir(project.root.join(&folder));
    let files = files.map_err(|error| format!("{folder}: {error}"))?.flatten();
    let names =
        files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".rs")?.to_owned()));
    check_all_run(&folder, &names.collect::<Vec<_>>(), &root, programs)
}

/// * `files`: names of the files in `folder`.
/// * `root`: the text of the program that has the others as its modules.
fn check_all_run(
    folder: &str,
    files: &[String],
    root: &str,
    programs: &[String],
) -> Result<(), String> {
    let modules = root.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let run: Vec<&str> = modules.chain(programs.iter().map(String::as_str)).collect();
    if let Some(missing) = REQUIRED_TESTS.iter().find(|test| !files.iter().any(|f| f == *test)) {
        return Err(format!("{folder}/{missing}.rs is missing"));
    }
    match files.iter().find(|file| !run.contains(&file.as_str())) {
        Some(file) => {
            Err(format!("{folder}/{file}.rs is run by no program: name it in {END_TO_END}.rs"))
        }
        None => Ok(()),
    }
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
        let crates = [(BINARY_CRATE.to_owned(), binary)].into();
        Project { crates, ..Project::default() }
    }

    #[test]
    fn every_file_of_tests_is_there_and_run() {
        let programs = [END_TO_END, TORTURE_TEST, CLUSTER_FAULTS_TEST].map(str::to_owned);
        let modules = REQUIRED_TESTS.iter().filter(|test| !programs.iter().any(|p| p == *test));
        let root: String = modules.map(|test| format!("mod {test};\n")).collect();
        let files = |more: &[&str]| -> Vec<String> {
            REQUIRED_TESTS.iter().chain(more).map(|test| (*test).to_owned()).collect()
        };
        let check = |files: &[String], root: &str, want: Result<(), &str>| {
            let found = check_all_run("tests", files, root, &programs);
            assert_eq!(found, want.map_err(str::to_owned));
        };
        check(&files(&[END_TO_END]), &root, Ok(()));
        let unrun = "tests/new.rs is run by no program: name it in e2e.rs";
        check(&files(&["new"]), &root, Err(unrun));
        check(&files(&["new"]), &format!("{root}mod new;\n"), Ok(()));
        let without_faults: Vec<_> = files(&[]).into_iter().filter(|f| f != "faults").collect();
        check(&without_faults, &root, Err("tests/faults.rs is missing"));
    }

    #[test]
    fn tests_on_brokers_run_only_where_there_can_be_some() {
        let tests = ["kafka", "memory"].map(str::to_owned).to_vec();
        let member = Crate { tests, ..Crate::default() };
        let crates = [("a".to_owned(), member)].into();
        let project = Project { crates, ..Project::default() };
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
