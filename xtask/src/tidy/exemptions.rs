//! The list of places where a rule is wrong. It names a reason per line and may only shrink.
//!
//! One line is `PATH: RULE: REASON`. The path is a file, or a folder with its `/`. The rule is the
//! name that findings show, a forbidden word included. A size is held where it is by
//! `RULE<=SIZE`, which must come down with the size. Start reading at [`apply`].

use super::finding::{Finding, Findings, Rule};
use super::tree::Tree;

/// The list.
const LIST: &str = "xtask/tidy-exemptions.txt";
/// How its first line begins: the number of exemptions, which a reviewer watches.
const COUNT: &str = "# exemptions: ";

/// Takes the exempted findings out, and adds one for each line of the list that is no longer true.
pub(super) fn apply(tree: &Tree, findings: &mut Findings) {
    let text = tree.text(LIST).unwrap_or_default();
    let mut exemptions = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match Exemption::parse(index + 1, line) {
            Some(exemption) => exemptions.push(exemption),
            None => findings.add(LIST, index + 1, Rule::Exemption, "is not `PATH: RULE: REASON`"),
        }
    }
    check_count(text, exemptions.len(), findings);
    findings.retain(|finding| !exemptions.iter_mut().any(|each| each.exempts(finding)));
    for exemption in exemptions {
        if let Some(detail) = exemption.complaint() {
            findings.add(LIST, exemption.line, Rule::Exemption, detail);
        }
    }
}

/// The list says how long it is, so that a change that makes it longer says so in one place.
fn check_count(text: &str, found: usize, findings: &mut Findings) {
    let stated = text.lines().find_map(|line| line.strip_prefix(COUNT));
    let stated = stated.map_or(Some(0), |number| number.trim().parse::<usize>().ok());
    if stated != Some(found) {
        let detail = format!("holds {found} exemptions: say so in a line `{COUNT}{found}`");
        findings.add(LIST, 0, Rule::Exemption, detail);
    }
}

/// One line of the list.
#[derive(Debug)]
struct Exemption {
    /// 1-based, in the list.
    line: usize,
    path: String,
    rule: String,
    /// The size at which a size is held.
    held_at: Option<usize>,
    /// The largest size that was exempted, once something was.
    used: Option<usize>,
}

impl Exemption {
    fn parse(line: usize, text: &str) -> Option<Exemption> {
        let (path, rest) = text.split_once(": ")?;
        let (rule, reason) = rest.split_once(": ")?;
        let (rule, held_at) = match rule.split_once("<=") {
            Some((rule, size)) => (rule, Some(size.parse().ok()?)),
            None => (rule, None),
        };
        let is_complete = !path.is_empty() && !rule.is_empty() && !reason.trim().is_empty();
        let (path, rule) = (path.to_owned(), rule.to_owned());
        is_complete.then_some(Exemption { line, path, rule, held_at, used: None })
    }

    /// Whether this line exempts `finding`; remembers that it was needed.
    fn exempts(&mut self, finding: &Finding) -> bool {
        let is_here = finding.path == self.path
            || (self.path.ends_with('/') && finding.path.starts_with(&self.path));
        let is_held = match (finding.size, self.held_at) {
            (Some(size), Some(held_at)) => size <= held_at,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let exempts = is_here && is_held && finding.rule.name() == self.rule;
        if exempts {
            self.used = self.used.max(Some(finding.size.unwrap_or(0)));
        }
        exempts
    }

    /// What is wrong with this line after every finding has been shown to it.
    fn complaint(&self) -> Option<String> {
        match (self.used, self.held_at) {
            (None, _) => Some("exempts nothing any more: delete it".to_owned()),
            (Some(size), Some(held_at)) if size < held_at => {
                Some(format!("the size has come down: hold it at {size}"))
            }
            (Some(_), _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sleep in a/b.rs, a forbidden word in a/c.rs, and a function of 80 lines in a/b.rs.
    fn three_findings() -> Findings {
        let mut findings = Findings::default();
        findings.add("a/b.rs", 7, Rule::TestSleep, "sleeps");
        findings.add("a/c.rs", 8, Rule::Word("sliver".to_owned()), "a word");
        findings.add_size("a/b.rs", 9, Rule::FunctionLines, 80, "too long".to_owned());
        findings
    }

    #[track_caller]
    fn check(list: &str, want: &[&str]) {
        let mut findings = three_findings();
        apply(&Tree::of(&[(LIST, list)]), &mut findings);
        let got: Vec<_> = findings.into_sorted().iter().map(Finding::place_and_rule).collect();
        assert_eq!(got, want, "{list}");
    }

    #[test]
    fn a_line_exempts_its_rule_in_its_place() {
        check("", &["a/b.rs:7: test-sleep", "a/b.rs:9: function-lines", "a/c.rs:8: sliver"]);
        let list = "# exemptions: 3\n\
                    a/b.rs: test-sleep: measures the sleep itself\n\
                    a/: sliver: another library's word\n\
                    a/b.rs: function-lines<=80: one match over a closed enum\n";
        check(list, &[]);
    }

    #[test]
    fn the_list_may_only_shrink() {
        let stale = "# exemptions: 1\na/b.rs: sliver: not there\n";
        check(
            stale,
            &[
                "a/b.rs:7: test-sleep",
                "a/b.rs:9: function-lines",
                "a/c.rs:8: sliver",
                "xtask/tidy-exemptions.txt:2: exemption",
            ],
        );
        let rest = ["a/b.rs:7: test-sleep", "a/c.rs:8: sliver"];
        let lower = "# exemptions: 1\na/b.rs: function-lines<=90: has shrunk\n";
        check(lower, &[&rest[..], &["xtask/tidy-exemptions.txt:2: exemption"]].concat());
        let higher = "# exemptions: 1\na/b.rs: function-lines<=79: has grown\n";
        check(
            higher,
            &[
                "a/b.rs:7: test-sleep",
                "a/b.rs:9: function-lines",
                "a/c.rs:8: sliver",
                "xtask/tidy-exemptions.txt:2: exemption",
            ],
        );
    }

    #[test]
    fn lines_have_a_reason_and_are_counted() {
        let want = ["a/b.rs:9: function-lines", "a/c.rs:8: sliver"];
        let uncounted = "a/b.rs: test-sleep: measures the sleep itself\n";
        check(uncounted, &[&want[..], &["xtask/tidy-exemptions.txt:0: exemption"]].concat());
        let three = ["a/b.rs:7: test-sleep", want[0], want[1]];
        for bad in ["a/b.rs: test-sleep: ", "a/b.rs: test-sleep", "a/b.rs: x<=y: reason"] {
            check(bad, &[&three[..], &["xtask/tidy-exemptions.txt:1: exemption"]].concat());
        }
    }
}
