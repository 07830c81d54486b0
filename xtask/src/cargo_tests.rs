//! `cargo test` on the whole workspace, and every failed test once more, alone.
//!
//! Never repeats what names no test: a target that does not build, or dies. Start reading at
//! [`run`].

use crate::process::{Ended, Invocation};
use crate::project::Project;
use crate::report::{Outcome, Ran, Verdict};
use crate::tally::Tally;
use std::fmt;
use std::thread;

/// Runs the tests of the chosen targets; then each that failed once more, with nothing beside it.
///
/// One that passes then depends on luck: it is named as flaky, and the step holds.
pub(crate) fn run(project: &Project, targets: &[String], env: &[(&str, String)]) -> Ran {
    let command = cargo_test(targets.iter().cloned(), env);
    let command = command.env("RUST_TEST_THREADS", threads().to_string());
    let (ended, output) = run_watched(project, &command)?;
    let mut tally = output.tally;
    let why = match ended {
        Ended::Well if tally.failed == 0 => None,
        Ended::Well => Some("cargo reported success, but a test failed".to_owned()),
        Ended::Badly { code: Some(CODE_OF_FAILURE), .. } if output.names_every_failure() => {
            let mut flaky = Vec::new();
            for test in &output.failed {
                if passes_alone(project, test, env)? {
                    flaky.push(test.to_string());
                }
            }
            return Ok(repeated(tally, flaky));
        }
        Ended::Badly { why, .. } => Some(format!("`{command}`: {why}")),
    };
    if why.is_some() && tally.failed == 0 {
        // It did not build, or died before it could print a result.
        tally += Tally::ONE_FAILED;
    }
    let verdict = why.map_or(Verdict::Passed, Verdict::Failed);
    Ok(Outcome { verdict, tally, flaky: Vec::new() })
}

/// Builds every program that the lanes run, in one go: the last ones of one lane, which occupy one
/// core, beside the first ones of the next.
pub(crate) fn build(project: &Project) -> Ran {
    let words = ["--lib", "--bins", "--tests", "--no-run"].map(str::to_owned);
    Ok(match cargo_test(words, &[]).run(&project.root)? {
        Ended::Well => Verdict::Passed.counted_once(),
        Ended::Badly { why, .. } => Verdict::Failed(why).counted_once(),
    })
}

/// What `tally` comes to when those of its failed tests that are `flaky` count as passed.
fn repeated(mut tally: Tally, flaky: Vec<String>) -> Outcome {
    let count = flaky.len() as u64;
    tally.passed += count;
    tally.failed -= count;
    let verdict = match tally.failed {
        0 => Verdict::Passed,
        failed => Verdict::Failed(format!("{failed} failed twice")),
    };
    Outcome { verdict, tally, flaky }
}

fn passes_alone(
    project: &Project,
    test: &FailedTest,
    env: &[(&str, String)],
) -> Result<bool, String> {
    println!("\n-- once more, alone: {test}");
    let (ended, output) = run_watched(project, &cargo_test(test.alone(), env))?;
    Ok(matches!(ended, Ended::Well) && output.tally.passed > 0)
}

/// The exit code of cargo after a failed test; after a failed build, too.
const CODE_OF_FAILURE: i32 = 101;

/// `cargo test` with `words`, always of the whole workspace: one choice of packages in every lane
/// and repetition means one set of features, and nothing is built twice.
fn cargo_test(words: impl IntoIterator<Item = String>, env: &[(&str, String)]) -> Invocation {
    let test = ["test", "--workspace", "--no-fail-fast", "--color=never"].map(str::to_owned);
    let command = Invocation::cargo(test.into_iter().chain(words));
    env.iter().fold(command, |command, (name, value)| command.env(name, value.clone()))
}

/// How many tests run at a time: two for each core, since the longest of them wait for processes,
/// brokers and time.
fn threads() -> usize {
    let said = std::env::var("RUST_TEST_THREADS").ok().and_then(|text| text.parse().ok());
    said.unwrap_or_else(|| 2 * thread::available_parallelism().map_or(1, usize::from))
}

fn run_watched(project: &Project, command: &Invocation) -> Result<(Ended, TestOutput), String> {
    let mut output = TestOutput::default();
    let ended = command.run_watched(&project.root, |line| output.see(line))?;
    Ok((ended, output))
}

/// A test that was run and did not hold.
#[derive(Debug, PartialEq, Eq)]
struct FailedTest {
    /// What selects its target, in cargo's words: `-p cortado-node --test nodes`.
    target: String,
    /// Its name in the target.
    name: String,
}

impl FailedTest {
    /// The words for `cargo test` that run this test and no other.
    fn alone(&self) -> Vec<String> {
        // The package is left out, since to choose one is to build it with other features. A unit
        // test of the same name in another crate runs too, but before or after this one.
        let mut target = self.target.split_whitespace().map(str::to_owned).peekable();
        if target.next_if_eq("-p").is_some() {
            target.next();
        }
        let target: Vec<_> = target.chain(["--".to_owned()]).collect();
        // An example's name is `FILE - ITEM (line N)`, and rustdoc takes every word of it for a
        // filter of its own: what can be asked for is the examples of the file.
        let filter = match self.name.split_once(" - ") {
            Some((file, _)) => vec![file.to_owned()],
            None => vec!["--exact".to_owned(), self.name.clone()],
        };
        [target, filter].concat()
    }
}

impl fmt::Display for FailedTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.name)
    }
}

/// What `cargo test` has printed so far.
#[derive(Debug, Default)]
struct TestOutput {
    tally: Tally,
    /// Every failed test of the targets that have ended.
    failed: Vec<FailedTest>,
    /// Targets that failed and named no test.
    unnamed: u64,
    /// The failed tests of the target that is running, from its results so far.
    of_target: Vec<String>,
    /// The lines of the last list of failures, once it has begun.
    list: Option<Vec<String>>,
}

impl TestOutput {
    /// Takes the next line.
    ///
    /// A target with failed tests ends in a list of their names, and a result:
    ///
    /// ```text
    /// failures:
    ///     tests::one
    ///     tests::other
    ///
    /// test result: FAILED. 3 passed; 2 failed; …
    ///
    /// error: test failed, to rerun pass `-p cortado-node --lib`
    /// ```
    ///
    /// The last line is cargo's own, and the only one that names the crate.
    fn see(&mut self, line: &str) {
        self.tally.count_line(line);
        if line == "failures:" {
            // Above the list of names there is one of what the tests have printed.
            self.list = Some(Vec::new());
        } else if line.starts_with("test result: ") {
            self.of_target.extend(self.list.take().unwrap_or_default());
        } else if let Some(target) = failed_target(line) {
            self.unnamed += u64::from(self.of_target.is_empty());
            let failed = self.of_target.drain(..);
            self.failed.extend(failed.map(|name| FailedTest { target: target.to_owned(), name }));
        } else if let (Some(name), Some(list)) = (line.strip_prefix("    "), &mut self.list) {
            list.push(name.to_owned());
        }
    }

    /// Whether there was no other failure than that of tests which are known by name.
    fn names_every_failure(&self) -> bool {
        let counted = self.failed.len() as u64 == self.tally.failed;
        counted && self.unnamed == 0 && self.of_target.is_empty() && !self.failed.is_empty()
    }
}

/// The target that cargo says has failed.
fn failed_target(line: &str) -> Option<&str> {
    let said = line.strip_prefix("error: test failed, to rerun pass `");
    let said = said.or_else(|| line.strip_prefix("error: doctest failed, to rerun pass `"));
    said?.strip_suffix('`')
}

#[cfg(test)]
mod tests;
