//! What each step came to, and what they come to together.
//!
//! Never turns a step that did not run into one that held. Start reading at [`summarize`].

use crate::project::everything_must_run;
use crate::tally::Tally;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Prints the table of all steps and ends with their tally, alone on its line.
///
/// The exit code is 0 only if every step held; with `CI=true` a skipped one did not.
pub(crate) fn summarize(reports: &[Report]) -> ExitCode {
    println!("\n== summary");
    reports.iter().for_each(|report| println!("{}", report.line()));
    let broken = broken(reports, everything_must_run());
    println!("\n{}", closing_lines(reports, &broken));
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Names of the steps that did not hold.
fn broken(reports: &[Report], skipping_is_failure: bool) -> Vec<&'static str> {
    let broken = reports.iter().filter(|report| !report.verdict().holds(skipping_is_failure));
    broken.map(|report| report.name).collect()
}

/// What is below the table: flaky tests, steps that did not hold, and last the tally of all.
fn closing_lines(reports: &[Report], broken: &[&str]) -> String {
    let mut lines = String::new();
    let mut sum = Tally::default();
    for Report { outcome, .. } in reports {
        sum += outcome.tally;
        for test in &outcome.flaky {
            lines += &format!("FLAKY {test} (failed, then passed alone)\n");
        }
    }
    if !broken.is_empty() {
        lines += &format!("not green: {}\n", broken.join(", "));
    }
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines + &sum.to_string()
}

/// How one step ended.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// What the work of a step came to, with what it counted.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How the step ended.
    pub(crate) verdict: Verdict,
    /// The tests in it; a flaky one has passed.
    pub(crate) tally: Tally,
    /// The tests that failed and, repeated alone, passed.
    pub(crate) flaky: Vec<String>,
}

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Everything ran and held.
    Passed,
    /// Something did not hold, did not build or is missing.
    Failed(String),
    /// Something could not run on this machine; the rest held.
    Skipped(String),
}

/// What the work of a step answers; an error is a step that could not start, which has failed.
pub(crate) type Ran = Result<Outcome, String>;

impl Report {
    /// Does the work of one step, under a heading and with its time.
    pub(crate) fn of(name: &'static str, work: impl FnOnce() -> Ran) -> Report {
        announce(name);
        let report = Report::unannounced(name, work);
        report.conclude();
        report
    }

    /// Does the work of one step and prints nothing.
    pub(crate) fn unannounced(name: &'static str, work: impl FnOnce() -> Ran) -> Report {
        let started = Instant::now();
        let outcome = work().unwrap_or_else(|why| Verdict::Failed(why).counted_once());
        Report { name, outcome, took: started.elapsed() }
    }

    /// Prints the heading.
    pub(crate) fn announce(&self) {
        announce(self.name);
    }

    /// Prints how it ended.
    pub(crate) fn conclude(&self) {
        println!("-- {}", self.line());
    }

    fn verdict(&self) -> &Verdict {
        &self.outcome.verdict
    }

    /// One line of the summary.
    fn line(&self) -> String {
        let (verdict, why) = match self.verdict() {
            Verdict::Passed => ("passed", ""),
            Verdict::Failed(why) => ("FAILED", why.as_str()),
            Verdict::Skipped(why) => ("skipped", why.as_str()),
        };
        let (name, tally) = (self.name, self.outcome.tally.to_string());
        let seconds = self.took.as_secs_f64();
        let line = format!("{name:<8} {verdict:<8} {seconds:>7.1} s  {tally:<38} {why}");
        line.trim_end().to_owned()
    }
}

fn announce(name: &str) {
    println!("\n== {name}");
}

impl Verdict {
    /// Whether the step counts as held, where skipping `is_failure` or not.
    fn holds(&self, skipping_is_failure: bool) -> bool {
        match self {
            Verdict::Passed => true,
            Verdict::Failed(_) => false,
            Verdict::Skipped(_) => !skipping_is_failure,
        }
    }

    /// The worse of two verdicts on one step, the first one where both are bad.
    fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Failed(why), _) | (_, Verdict::Failed(why)) => Verdict::Failed(why),
            (Verdict::Skipped(why), _) | (_, Verdict::Skipped(why)) => Verdict::Skipped(why),
            (Verdict::Passed, Verdict::Passed) => Verdict::Passed,
        }
    }

    /// A step without tests of its own counts as one.
    pub(crate) fn counted_once(self) -> Outcome {
        let tally = match self {
            Verdict::Passed => Tally::ONE_PASSED,
            Verdict::Failed(_) => Tally::ONE_FAILED,
            Verdict::Skipped(_) => Tally::ONE_SKIPPED,
        };
        Outcome { verdict: self, tally, flaky: Vec::new() }
    }
}

impl Outcome {
    /// Both parts of one step together.
    pub(crate) fn and(mut self, other: Outcome) -> Outcome {
        self.tally += other.tally;
        self.flaky.extend(other.flaky);
        Outcome { verdict: self.verdict.and(other.verdict), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Verdict {
        Verdict::Failed("red".to_owned())
    }

    fn skipped() -> Verdict {
        Verdict::Skipped("no npm".to_owned())
    }

    #[test]
    fn skipping_fails_where_everything_must_run() {
        assert!(skipped().holds(false) && !skipped().holds(true));
        assert!(Verdict::Passed.holds(true));
        assert!(!failed().holds(false));
    }

    #[test]
    fn a_failure_outweighs_a_skip() {
        assert!(matches!(skipped().and(failed()), Verdict::Failed(_)));
        assert!(matches!(failed().and(Verdict::Passed), Verdict::Failed(_)));
        assert!(matches!(Verdict::Passed.and(skipped()), Verdict::Skipped(_)));
        assert!(matches!(Verdict::Passed.and(Verdict::Passed), Verdict::Passed));
    }

    #[test]
    fn a_step_that_could_not_start_has_failed() {
        let report = Report::of("sim", || Err("no simulator".to_owned()));
        assert!(matches!(report.verdict(), Verdict::Failed(why) if why == "no simulator"));
        assert_eq!(report.outcome.tally, Tally::ONE_FAILED);
    }

    fn report(name: &'static str, verdict: Verdict, passed: u64, flaky: &[&str]) -> Report {
        let flaky = flaky.iter().map(|test| (*test).to_owned()).collect();
        let tally = Tally { passed, failed: 0, skipped: 1 };
        let outcome = Outcome { verdict, tally, flaky };
        Report { name, outcome, took: Duration::from_millis(12_340) }
    }

    #[test]
    fn a_summary_line_holds_name_verdict_time_and_counts() {
        let report = report("e2e", skipped(), 9, &[]);
        let words: Vec<_> = report.line().split_whitespace().map(str::to_owned).collect();
        assert_eq!(words.join(" "), "e2e skipped 12.3 s 9 passed, 0 failed, 1 skipped no npm");
    }

    #[track_caller]
    fn check_closing(reports: &[Report], skipping_is_failure: bool, want: &str) {
        let broken = broken(reports, skipping_is_failure);
        assert_eq!(closing_lines(reports, &broken), want);
    }

    #[test]
    fn the_tally_is_the_last_line_and_alone() {
        let held = || report("unit", Verdict::Passed, 5, &[]);
        check_closing(&[held()], true, "5 passed, 0 failed, 1 skipped");
        check_closing(&[held(), held()], true, "10 passed, 0 failed, 2 skipped");
        let lines = "not green: e2e\n\n7 passed, 0 failed, 2 skipped";
        check_closing(&[held(), report("e2e", skipped(), 2, &[])], true, lines);
        check_closing(&[held(), report("e2e", failed(), 2, &[])], false, lines);
    }

    #[test]
    fn flaky_tests_are_named_and_fail_nothing() {
        let flaky = report("unit", Verdict::Passed, 5, &["a::b"]);
        let lines = "FLAKY a::b (failed, then passed alone)\n";
        check_closing(&[flaky], true, &format!("{lines}\n5 passed, 0 failed, 1 skipped"));
        let part = |name| report("unit", Verdict::Passed, 5, &[name]).outcome;
        let both =
            Report { outcome: part("a::b").and(part("c")), ..report("unit", failed(), 0, &[]) };
        let lines = format!("{lines}FLAKY c (failed, then passed alone)\n");
        check_closing(&[both], true, &format!("{lines}\n10 passed, 0 failed, 2 skipped"));
    }
}
