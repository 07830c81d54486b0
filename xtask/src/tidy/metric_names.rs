//! What dashboards and alerts ask for is exported, and alerts say what to do.
//!
//! Source: docs/metrics.md, whose families a test compares with those of a server. Start reading at
//! [`check`].

use super::finding::{Findings, Rule};
use super::tree::Tree;
use std::collections::BTreeSet;

/// Where every family is described.
const PAGE: &str = "docs/metrics.md";
/// What asks for them.
const FOLDER: &str = "deploy/monitoring/";
const ALERTS: &str = "deploy/monitoring/alerts.yaml";
const ALERT_TESTS: &str = "deploy/monitoring/alerts.test.yaml";
/// What the series of a histogram end in.
const SERIES_OF_HISTOGRAM: [&str; 3] = ["_bucket", "_count", "_sum"];
/// What our families begin with.
const OURS: [&str; 2] = ["cortado_", "process_"];

/// Checks every name of a metric, and every alert.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    let families: BTreeSet<&str> =
        tree.text(PAGE).into_iter().flat_map(str::lines).filter_map(family_of).collect();
    for (path, text) in tree.texts().filter(|(path, _)| path.starts_with(FOLDER)) {
        for (index, line) in text.lines().enumerate() {
            for name in names(line).filter(|name| !is_exported(name, &families)) {
                let detail = format!("`{name}` is no metric of {PAGE}");
                findings.add(path, index + 1, Rule::Metric, detail);
            }
        }
    }
    if let Some(alerts) = tree.text(ALERTS) {
        check_alerts(tree, alerts, findings);
    }
}

/// The family that a line of the page describes: `| `name` | counter | …`.
fn family_of(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
}

/// The words of a line that are names of metrics.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| OURS.iter().any(|ours| word.starts_with(ours)))
}

fn is_exported(name: &str, families: &BTreeSet<&str>) -> bool {
    let of_histogram = SERIES_OF_HISTOGRAM.iter().filter_map(|end| name.strip_suffix(end));
    families.contains(name) || of_histogram.into_iter().any(|family| families.contains(family))
}

/// Every alert names a runbook that is there, and is tried out.
fn check_alerts(tree: &Tree, alerts: &str, findings: &mut Findings) {
    let tests = tree.text(ALERT_TESTS).unwrap_or_default();
    let mut lines = alerts.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let Some(name) = line.trim_start().strip_prefix("- alert: ") else { continue };
        let is_tried = tests.lines().any(|line| line.trim() == format!("alertname: {name}"));
        if !is_tried {
            let detail = format!("{name} is not tried in {ALERT_TESTS}");
            findings.add(ALERTS, index + 1, Rule::Metric, detail);
        }
        let mut runbook = None;
        while let Some((_, line)) = lines.next_if(|(_, line)| !line.contains("- alert: ")) {
            runbook = runbook.or(line.trim_start().strip_prefix("runbook_url: "));
        }
        if !runbook.is_some_and(|page| tree.has(page)) {
            let detail = format!("{name} has no runbook_url of a page in the repository");
            findings.add(ALERTS, index + 1, Rule::Metric, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    const FAMILIES: &str = "| `cortado_a_total` | counter |\n| `cortado_b_seconds` | histogram |\n";

    #[test]
    fn what_is_asked_for_is_exported() {
        let dashboard = "deploy/monitoring/dashboard.json";
        let check_text = |text: &str, want: &[&str]| {
            check_fixture(check, &[(PAGE, FAMILIES), (dashboard, text)], want);
        };
        check_text("\"rate(cortado_a_total[5m])\"\ncortado_b_seconds_count{le=\"1\"}", &[]);
        check_text("a\ncortado_c_total", &["deploy/monitoring/dashboard.json:2: metric"]);
        check_text("cortado_a_total_x", &["deploy/monitoring/dashboard.json:1: metric"]);
        check_text("up{job=\"cortado\"}", &[]);
    }

    #[test]
    fn alerts_are_tried_and_say_what_to_do() {
        let alerts = "- alert: A\n  expr: up\n  runbook_url: docs/runbooks/a.md\n- alert: B\n";
        let tests = "    alertname: A\n    alertname: B\n";
        let runbook = ("docs/runbooks/a.md", "# A\n");
        let check_files = |files: &[(&str, &str)], want: &[&str]| check_fixture(check, files, want);
        let first = "deploy/monitoring/alerts.yaml:1: metric";
        let second = "deploy/monitoring/alerts.yaml:4: metric";
        check_files(&[(ALERTS, alerts), (ALERT_TESTS, tests), runbook], &[second]);
        check_files(&[(ALERTS, alerts), (ALERT_TESTS, tests)], &[first, second]);
        check_files(&[(ALERTS, alerts), runbook], &[first, second, second]);
    }
}
