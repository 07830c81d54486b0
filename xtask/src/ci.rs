//! `cargo xtask ci`: everything that must hold before a change lands.
//!
//! Never writes to the source tree. Start reading at [`run`].

use crate::lanes::{Extent, Lane};
use crate::process::{Ended, Invocation, is_installed};
use crate::project::Project;
use crate::report::{Ran, Report, Verdict, summarize};
use std::process::ExitCode;

/// Runs the checks and then all lanes of the tests, every one even when an earlier one has failed.
///
/// A check that is no test counts as one in the closing line.
pub(crate) fn run(project: &Project, extent: &Extent) -> ExitCode {
    let mut reports = vec![
        Report::of("fmt", || check_format(project)),
        Report::of("clippy", || check_lints(project)),
        Report::of("fuzz", || check_fuzz_targets(project)),
        Report::of("docs", || check_documentation(project)),
        Report::of("deny", || check_dependencies(project)),
    ];
    // Tidy is a lane.
    reports.extend(Lane::ALL.map(|lane| lane.run(project, extent)));
    summarize(&reports)
}

fn check_format(project: &Project) -> Ran {
    run_check(project, Invocation::cargo(["fmt", "--all", "--check"]))
}

fn check_lints(project: &Project) -> Ran {
    let words = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run_check(project, Invocation::cargo(words))
}

/// That the fuzz targets build. They are a workspace of their own: when dependencies change,
/// `cargo update --workspace --manifest-path fuzz/Cargo.toml` renews its lock file.
fn check_fuzz_targets(project: &Project) -> Ran {
    // With our target folder: most of what they need is there.
    let words =
        ["check", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target"];
    let check = Invocation::cargo(words);
    // Nothing is linked: libFuzzer, which is C++, need not be built.
    run_check(project, check.env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libfuzzer.a"))
}

fn check_documentation(project: &Project) -> Ran {
    let doc = Invocation::cargo(["doc", "--workspace", "--no-deps"]);
    run_check(project, doc.env("RUSTDOCFLAGS", "-Dwarnings"))
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
    let verdict = match command.run(&project.root)? {
        Ended::Well => Verdict::Passed,
        Ended::Badly { why, .. } => Verdict::Failed(why),
    };
    Ok(verdict.counted_once())
}
