//! `cargo xtask ci`: everything that must hold before a change lands.
//!
//! Never writes to the source tree. Start reading at [`run`].

use crate::cargo_tests;
use crate::lanes::{Extent, Lane};
use crate::process::{Ended, Invocation, is_installed};
use crate::project::Project;
use crate::report::{Ran, Report, Verdict, summarize};
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

/// Runs the checks and all lanes of the tests, every one even when an earlier one has failed.
///
/// What compiles and runs nothing goes on beside the tests, which mostly wait: at the lowest
/// priority, so that it takes no time from them. A check that is no test counts as one in the
/// closing line.
pub(crate) fn run(project: &Project, extent: &Extent) -> ExitCode {
    let mut reports = vec![
        Report::of("fmt", || check_format(project)),
        Report::of("deny", || check_dependencies(project)),
        // Before the checks beside them may hold cargo up.
        Report::of("build", || cargo_tests::build(project)),
    ];
    let (beside, lanes) = thread::scope(|scope| {
        let beside = scope.spawn(|| CHECKS_BESIDE.map(|check| check.run(project)));
        // Tidy is a lane.
        let lanes = Lane::ALL.map(|lane| lane.run(project, extent));
        (beside.join().expect("what cannot run is reported"), lanes)
    });
    // One after the other, and not among the lines of the tests.
    reports.extend(beside.map(Held::show));
    reports.extend(lanes);
    summarize(&reports)
}

/// What goes on beside the tests.
const CHECKS_BESIDE: [CheckBeside; 3] = [
    CheckBeside { name: "clippy", command: lints },
    CheckBeside { name: "fuzz", command: fuzz_targets },
    CheckBeside { name: "docs", command: documentation },
];

/// One command that compiles and runs nothing of ours.
struct CheckBeside {
    name: &'static str,
    command: fn() -> Invocation,
}

impl CheckBeside {
    fn run(self, project: &Project) -> Held {
        let mut output = Vec::new();
        let report = Report::unannounced(self.name, || {
            let command = (self.command)().at_lowest_priority();
            let ended = command.run_into(&project.root, &mut output)?;
            Ok(verdict_of(ended).counted_once())
        });
        Held { report, output }
    }
}

/// A check that has ended, with what it has printed.
struct Held {
    report: Report,
    output: Vec<u8>,
}

impl Held {
    /// Prints it as if it had just run.
    fn show(self) -> Report {
        self.report.announce();
        // A reader that has gone away has the exit code.
        let _ = io::stdout().write_all(&self.output);
        self.report.conclude();
        self.report
    }
}

fn check_format(project: &Project) -> Ran {
    run_check(project, Invocation::cargo(["fmt", "--all", "--check"]))
}

fn lints() -> Invocation {
    Invocation::cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// That the fuzz targets build. They are a workspace of their own: when dependencies change,
/// `cargo update --workspace --manifest-path fuzz/Cargo.toml` renews its lock file.
fn fuzz_targets() -> Invocation {
    // With our target folder: most of what they need is there.
    let words =
        ["check", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target"];
    // Nothing is linked: libFuzzer, which is C++, need not be built.
    Invocation::cargo(words).env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libfuzzer.a")
}

fn documentation() -> Invocation {
    Invocation::cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings")
}

/// Licences, duplicates and sources of what we depend on, by deny.toml.
///
/// Known vulnerabilities are not among it: their database must be downloaded, and this command
/// works without a network. `cargo deny check advisories` does that part.
fn check_dependencies(project: &Project) -> Ran {
    if !is_installed("cargo-deny") {
        let how = "cargo-deny is not installed; `cargo install cargo-deny --locked` brings it";
        return Ok(Verdict::Skipped(how.to_owned()).counted_once());
    }
    let words = ["deny", "--workspace", "check", "licenses", "bans", "sources"];
    run_check(project, Invocation::cargo(words))
}

fn run_check(project: &Project, command: Invocation) -> Ran {
    Ok(verdict_of(command.run(&project.root)?).counted_once())
}

fn verdict_of(ended: Ended) -> Verdict {
    match ended {
        Ended::Well => Verdict::Passed,
        Ended::Badly { why, .. } => Verdict::Failed(why),
    }
}
