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
    let mut sum = Tally::default();
    for report in reports {
        println!("{}", report.line());
        sum += report.tally;
    }
    let skipping_is_failure = everything_must_run();
    let broken = reports.iter().filter(|report| !report.verdict.holds(skipping_is_failure));
    let broken: Vec<_> = broken.map(|report| report.name).collect();
    if !broken.is_empty() {
        println!("\nnot green: {}", broken.join(", "));
    }
    println!("\n{sum}");
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How one step ended.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    verdict: Verdict,
    tally: Tally,
    took: Duration,
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
pub(crate) type Ran = Result<(Verdict, Tally), String>;

impl Report {
    /// Does the work of one step, under a heading and with its time.
    pub(crate) fn of(name: &'static str, work: impl FnOnce() -> Ran) -> Report {
        println!("\n== {name}");
        let started = Instant::now();
        let (verdict, tally) =
            work().unwrap_or_else(|why| (Verdict::Failed(why), Tally::ONE_FAILED));
        let report = Report { name, verdict, tally, took: started.elapsed() };
        println!("-- {}", report.line());
        report
    }

    /// One line of the summary.
    fn line(&self) -> String {
        let (verdict, why) = match &self.verdict {
            Verdict::Passed => ("passed", ""),
            Verdict::Failed(why) => ("FAILED", why.as_str()),
            Verdict::Skipped(why) => ("skipped", why.as_str()),
        };
        let (name, tally) = (self.name, self.tally.to_string());
        let seconds = self.took.as_secs_f64();
        let line = format!("{name:<8} {verdict:<8} {seconds:>7.1} s  {tally:<38} {why}");
        line.trim_end().to_owned()
    }
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
    pub(crate) fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Failed(why), _) | (_, Verdict::Failed(why)) => Verdict::Failed(why),
            (Verdict::Skipped(why), _) | (_, Verdict::Skipped(why)) => Verdict::Skipped(why),
            (Verdict::Passed, Verdict::Passed) => Verdict::Passed,
        }
    }

    /// A step without tests of its own counts as one.
    pub(crate) fn counted_once(self) -> (Verdict, Tally) {
        let tally = match self {
            Verdict::Passed => Tally::ONE_PASSED,
            Verdict::Failed(_) => Tally::ONE_FAILED,
            Verdict::Skipped(_) => Tally::ONE_SKIPPED,
        };
        (self, tally)
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
        assert!(matches!(&report.verdict, Verdict::Failed(why) if why == "no simulator"));
        assert_eq!(report.tally, Tally::ONE_FAILED);
    }

    #[test]
    fn a_summary_line_holds_name_verdict_time_and_counts() {
        let tally = Tally { passed: 9, failed: 0, skipped: 1 };
        let took = Duration::from_millis(12_340);
        let report = Report { name: "e2e", verdict: skipped(), tally, took };
        let words: Vec<_> = report.line().split_whitespace().map(str::to_owned).collect();
        assert_eq!(words.join(" "), "e2e skipped 12.3 s 9 passed, 0 failed, 1 skipped no npm");
    }
}
