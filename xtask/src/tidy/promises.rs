//! Every promise of ARCHITECTURE.md names its check, and the check exists.
//!
//! A promise begins with `*Invariant:*`. Behind it `*Check:*` names, in backticks, what fails when
//! the promise is broken: a test or a case of a conformance suite by its function, a rule of tidy
//! or an invariant of the simulator by its file; or it says that the compiler refuses it. Elsewhere
//! `*Check:*` may stand alone. Start reading at [`check`].

use super::finding::{Findings, Rule};
use super::tree::Tree;
use std::collections::BTreeSet;

const PAGE: &str = "ARCHITECTURE.md";
const PROMISE: &str = "*Invariant:*";
const CHECK: &str = "*Check:*";
const COMPILER: &str = "the compiler";

/// The folders in which each file is a check.
const FOLDERS: [&str; 2] = ["xtask/src/tidy/", "crates/test/cortado-sim/src/database/invariants/"];

/// Checks every paragraph of the page.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    let checks = checks_of(tree);
    for (first, paragraph) in paragraphs(tree.text(PAGE).unwrap_or_default()) {
        let mut line = first;
        for (number, part) in paragraph.split(PROMISE).enumerate() {
            if number > 0 && !names_a_check(part) {
                findings.add(PAGE, line, Rule::Promise, "a promise names no check");
            }
            for name in names(part).filter(|name| !checks.contains(name)) {
                let detail = format!("`{name}` is no test, no rule of tidy and no invariant");
                findings.add(PAGE, line, Rule::Promise, detail);
            }
            line += part.matches('\n').count();
        }
    }
}

/// What stands between empty lines, and each item of a list, with the 1-based line on which it
/// begins.
fn paragraphs(page: &str) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let mut is_open = false;
    for (line, text) in (1..).zip(page.lines()) {
        match paragraphs.last_mut() {
            Some((_, paragraph)) if is_open && !text.starts_with("- ") => {
                paragraph.extend(["\n", text])
            }
            Some(_) | None if text.is_empty() => {}
            Some(_) | None => paragraphs.push((line, text.to_owned())),
        }
        is_open = !text.is_empty();
    }
    paragraphs
}

/// The names of the checks in a part of a paragraph.
fn names(part: &str) -> impl Iterator<Item = &str> {
    part.split(CHECK).skip(1).flat_map(|behind| behind.split('`').skip(1).step_by(2))
}

fn names_a_check(part: &str) -> bool {
    let names_compiler = |text: &str| {
        // Lines end anywhere.
        text.split_whitespace().collect::<Vec<_>>().join(" ").contains(COMPILER)
    };
    names(part).next().is_some() || part.split(CHECK).skip(1).any(names_compiler)
}

/// Everything that may be named: functions among tests and conformance suites, and files of rules.
fn checks_of(tree: &Tree) -> BTreeSet<&str> {
    let mut checks = BTreeSet::new();
    for (path, source) in tree.sources() {
        let rule = FOLDERS.iter().find_map(|folder| path.strip_prefix(folder)?.strip_suffix(".rs"));
        checks.extend(rule);
        let is_suite = path.contains("/conformance");
        let functions = source.find_words("fn").filter(|at| is_suite || source.is_test(*at));
        checks.extend(functions.map(|at| {
            let behind = source.code[at + "fn".len()..].trim_start();
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            behind.split(|c| !is_part(c)).next().unwrap_or(behind)
        }));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    const CASE: (&str, &str) = ("crates/port/x/src/conformance/order.rs", "fn a_case() {}");
    const TEST: (&str, &str) = ("crates/pure/x/src/tests.rs", "#[test]\nfn a_test() {}");
    const CODE: (&str, &str) = ("crates/pure/x/src/lib.rs", "fn no_test() {}");
    const TIDY: (&str, &str) = ("xtask/src/tidy/arrows.rs", "");
    const INVARIANT: (&str, &str) =
        ("crates/test/cortado-sim/src/database/invariants/one_winner.rs", "");

    #[track_caller]
    fn check_page(page: &str, want: &[&str]) {
        check_fixture(check, &[CASE, TEST, CODE, TIDY, INVARIANT, (PAGE, page)], want);
    }

    #[test]
    fn a_promise_names_its_check() {
        check_page("# A\n\n`x` is y.\n*Invariant:* it is. *Check:* `a_test`.\n", &[]);
        check_page(
            "*Invariant:* it\nis. *Check:* `a_test`,\n`a_case`, `arrows`, `one_winner`.",
            &[],
        );
        check_page("*Invariant:* it is. *Check:* the compiler.", &[]);
        check_page("x\n\n*Invariant:* it is.\n", &["ARCHITECTURE.md:3: promise"]);
        check_page("*Invariant:* it is, says the compiler.", &["ARCHITECTURE.md:1: promise"]);
        let second = "*Invariant:* a. *Check:* `a_test`.\n*Invariant:* b.\n";
        check_page(second, &["ARCHITECTURE.md:2: promise"]);
        let apart = "*Invariant:* a.\n\n*Check:* `a_test`.\n";
        check_page(apart, &["ARCHITECTURE.md:1: promise"]);
    }

    #[test]
    fn a_check_exists() {
        check_page("Something.\n*Check:* `a_test`.", &[]);
        for name in ["no_test", "x", "a_tes", "lib", "order"] {
            let page = format!("Something.\n\n*Invariant:* a. *Check:* `a_test`, `{name}`.");
            check_page(&page, &["ARCHITECTURE.md:3: promise"]);
        }
        check_page("Something.\n*Check:* `gone`.", &["ARCHITECTURE.md:1: promise"]);
        let items =
            "- *Invariant:* it is. *Check:* `arrows`.\n- It has `parts`.\n- *Invariant:* so.";
        check_page(items, &["ARCHITECTURE.md:3: promise"]);
    }
}
