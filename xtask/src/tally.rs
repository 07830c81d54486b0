//! How many tests passed, as cargo's own result lines tell.
//!
//! Counts nothing that cargo did not print. Start reading at [`Tally::count_line`].

use std::fmt;
use std::ops::AddAssign;

/// Counted tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Ran and held.
    pub(crate) passed: u64,
    /// Ran and did not hold, or could not be built.
    pub(crate) failed: u64,
    /// Did not run.
    pub(crate) skipped: u64,
}

impl Tally {
    /// One test, or one lane without tests of its own, that held.
    pub(crate) const ONE_PASSED: Tally = Tally { passed: 1, failed: 0, skipped: 0 };
    /// One that did not hold.
    pub(crate) const ONE_FAILED: Tally = Tally { passed: 0, failed: 1, skipped: 0 };
    /// One that did not run.
    pub(crate) const ONE_SKIPPED: Tally = Tally { passed: 0, failed: 0, skipped: 1 };

    /// Adds what `line` says if it is one of cargo's `test result:` lines.
    pub(crate) fn count_line(&mut self, line: &str) {
        let Some(rest) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        // "ok. 3 passed; 0 failed; 1 ignored; 0 measured; …"
        let Some((_verdict, counts)) = rest.split_once(". ") else {
            return;
        };
        for count in counts.split(';') {
            let Some((number, what)) = count.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                // Measured benches, and tests that the caller filtered out, are no result.
                _ => {}
            }
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, want: (u64, u64, u64)) {
        let mut tally = Tally::default();
        tally.count_line(line);
        assert_eq!((tally.passed, tally.failed, tally.skipped), want, "{line}");
    }

    #[test]
    fn only_result_lines_count() {
        let tail = "0 measured; 3 filtered out; finished in 0.01s";
        check(&format!("test result: ok. 12 passed; 0 failed; 0 ignored; {tail}"), (12, 0, 0));
        check(&format!("test result: FAILED. 5 passed; 2 failed; 1 ignored; {tail}"), (5, 2, 1));
        check("test tally::tests::only_result_lines_count ... ok", (0, 0, 0));
        check("the text `test result: ok. 1 passed` inside a line", (0, 0, 0));
        check("test result: nonsense", (0, 0, 0));
    }

    #[test]
    fn sums_are_printed_in_one_line() {
        let mut sum = Tally { passed: 7, failed: 0, skipped: 0 };
        sum += Tally::ONE_PASSED;
        sum += Tally::ONE_FAILED;
        sum += Tally::ONE_SKIPPED;
        assert_eq!(sum.to_string(), "8 passed, 1 failed, 1 skipped");
    }
}
