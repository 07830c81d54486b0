//! Every module opens with what it is, every crate with a README.
//!
//! Source: STYLE.md, point 1. Start reading at [`check_modules`].

use super::finding::{Findings, Rule};
use super::sizes::README_LINES;
use super::tree::Tree;
use crate::project::Crate;
use std::collections::BTreeMap;

/// Checks that the first line of every Rust file is a header that says something.
pub(super) fn check_modules(tree: &Tree, findings: &mut Findings) {
    for (path, source) in tree.sources() {
        let first = source.text.lines().next().unwrap_or_default();
        let says = first.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty());
        if !says {
            let detail = "must open with `//!`: what it is, what it never does, where to start";
            findings.add(path, 1, Rule::Header, detail);
        }
    }
}

/// Checks that every crate has a README of at most 40 lines.
pub(super) fn check_readmes(
    crates: &BTreeMap<String, Crate>,
    tree: &Tree,
    findings: &mut Findings,
) {
    for member in crates.values() {
        let path = format!("{}/README.md", member.folder);
        match tree.text(&path) {
            Some(text) => {
                let lines = text.lines().count();
                README_LINES.check(&path, 0, "the README of a crate", lines, findings);
            }
            None => {
                let detail = "missing: what the crate is, what it is not, the type to read first, \
                              an example, how to test it";
                findings.add(&path, 0, Rule::Readme, detail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    #[test]
    fn modules_open_with_a_header() {
        check_fixture(check_modules, &[("src/a.rs", "//! Positions.\n")], &[]);
        for text in ["", "//!\n//! Late.\n", "/// Positions.\n", "use a;\n//! Late.\n"] {
            check_fixture(check_modules, &[("src/a.rs", text)], &["src/a.rs:1: header"]);
        }
        check_fixture(check_modules, &[("a.sh", "")], &[]);
    }

    #[track_caller]
    fn check_readme(files: &[(&str, &str)], want: &[&str]) {
        let member = Crate { folder: "crates/x".to_owned(), ..Crate::default() };
        let crates = BTreeMap::from([("x".to_owned(), member)]);
        let mut findings = Findings::default();
        check_readmes(&crates, &Tree::of(files), &mut findings);
        let got: Vec<_> = findings.into_sorted().iter().map(|f| f.place_and_rule()).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn crates_have_a_short_readme() {
        check_readme(&[("crates/x/README.md", &"a\n".repeat(40))], &[]);
        let long = "a\n".repeat(41);
        check_readme(&[("crates/x/README.md", &long)], &["crates/x/README.md:0: page-lines"]);
        check_readme(&[("README.md", "a\n")], &["crates/x/README.md:0: readme"]);
    }
}
