//! `cargo xtask tidy`: the rules of layout, sizes, words and documents that compilers do not check.
//!
//! Never changes a file, except the fingerprints in docs/formats when asked to bless. Each rule is
//! one function of one file here, with a table test beside it. Start reading at [`check`].

mod arrows;
mod circles;
mod exemptions;
mod finding;
mod formats;
mod glossary;
mod habits;
mod headers;
mod links;
mod metric_names;
mod names;
mod places;
mod promises;
mod purity;
mod sizes;
mod source;
mod tree;
mod type_names;

use crate::project::Project;
pub(crate) use finding::Finding;
use finding::Findings;
use std::process::ExitCode;
use tree::Tree;

/// Checks the tree and prints what was found; with `bless`, renews the fingerprints first.
pub(crate) fn run(project: &Project, bless: bool) -> Result<ExitCode, String> {
    if bless {
        for page in formats::bless(&Tree::load(&project.root)?, &project.root)? {
            println!("renewed {page}");
        }
    }
    let findings = check(project)?;
    findings.iter().for_each(|finding| println!("{finding}"));
    if findings.is_empty() {
        println!("tidy");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} findings", findings.len());
    Ok(ExitCode::FAILURE)
}

/// What breaks a rule in the files that git tracks or would track, without what is exempted.
///
/// # Errors
/// The tree could not be read.
pub(crate) fn check(project: &Project) -> Result<Vec<Finding>, String> {
    let tree = Tree::load(&project.root)?;
    let mut findings = Findings::default();
    arrows::check(&project.crates, &mut findings);
    purity::check(&project.crates, &tree, &mut findings);
    type_names::check(&project.crates, &tree, &mut findings);
    headers::check_readmes(&project.crates, &tree, &mut findings);
    check_files(&tree, &mut findings);
    exemptions::apply(&tree, &mut findings);
    Ok(findings.into_sorted())
}

/// The rules that need nothing but the files.
fn check_files(tree: &Tree, findings: &mut Findings) {
    circles::check(tree, findings);
    names::check(tree, findings);
    sizes::check(tree, findings);
    headers::check_modules(tree, findings);
    habits::check(tree, findings);
    glossary::check(tree, findings);
    formats::check(tree, findings);
    links::check(tree, findings);
    metric_names::check(tree, findings);
    promises::check(tree, findings);
    places::check(tree, findings);
}

/// Runs one rule over a few files and compares what it found, as `path:line: rule` in order.
#[cfg(test)]
#[track_caller]
fn check_fixture(rule: fn(&Tree, &mut Findings), files: &[(&str, &str)], want: &[&str]) {
    let tree = Tree::of(files);
    let mut findings = Findings::default();
    rule(&tree, &mut findings);
    let got: Vec<_> = findings.into_sorted().iter().map(Finding::place_and_rule).collect();
    assert_eq!(got, want, "{files:?}");
}
