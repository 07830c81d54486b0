//! One public type name, one meaning, among crates that see each other.
//!
//! Source: STYLE.md, point 11. Who reads `Outcome` in a crate that sees two of them has to look up
//! which. Start reading at [`check`].

use super::arrows::Floor;
use super::finding::{Findings, Rule};
use super::tree::Tree;
use crate::project::{Crate, Table};
use std::collections::{BTreeMap, BTreeSet};

/// Each crate has its own, and code says whose by the crate's name.
const CONVENTIONS: &[&str] = &["RawSettings", "Settings", "SettingsError"];

/// What declares a type.
const KINDS: &[&str] = &["enum", "struct", "trait", "type", "union"];

/// Where a public type is declared.
#[derive(Clone, Copy)]
struct Declared<'t> {
    name: &'t str,
    path: &'t str,
    line: usize,
}

/// Checks the product's crates: tests, benches and libraries speak of their own worlds.
pub(super) fn check(crates: &BTreeMap<String, Crate>, tree: &Tree, findings: &mut Findings) {
    let product = crates.iter().filter(|(_, member)| is_product(member));
    let declared: BTreeMap<&str, Vec<Declared<'_>>> =
        product.map(|(name, member)| (name.as_str(), declared_in(member, tree))).collect();
    for (name, types) in &declared {
        let seen = seen_by(name, crates);
        for Declared { name, path, line } in types {
            let others = declared.iter().filter(|(other, _)| seen.contains(*other));
            for (other, theirs) in others {
                if theirs.iter().any(|one| one.name == *name) {
                    let detail = format!("`{name}` is a public type of `{other}` too: rename one");
                    findings.add(path, *line, Rule::TypeName, detail);
                }
            }
        }
    }
}

fn is_product(member: &Crate) -> bool {
    use Floor::{Adapter, App, Boundary, Port, Pure, Shell};
    let floor = Floor::of(&member.folder);
    floor.is_some_and(|floor| matches!(floor, Pure | Port | Adapter | Boundary | Shell | App))
}

/// The crates that ship with `name`, directly or not.
fn seen_by<'c>(name: &'c str, crates: &'c BTreeMap<String, Crate>) -> BTreeSet<&'c str> {
    let mut seen = BTreeSet::new();
    let mut left = vec![name];
    while let Some(name) = left.pop() {
        // What comes from outside sees none of them.
        let Some(member) = crates.get(name) else { continue };
        let ships = member.dependencies.iter().filter(|one| one.table != Table::Dev);
        left.extend(ships.map(|one| one.name.as_str()).filter(|name| seen.insert(*name)));
    }
    seen
}

fn declared_in<'t>(member: &Crate, tree: &'t Tree) -> Vec<Declared<'t>> {
    let folder = format!("{}/src/", member.folder);
    let sources = tree.sources().filter(|(path, _)| path.starts_with(&folder));
    let mut declared = Vec::new();
    for (path, source) in sources {
        for at in source.find_words("pub").filter(|at| !source.is_test(*at)) {
            // `pub(crate)` is followed by a parenthesis.
            let Some(after) = source.code[at..].strip_prefix("pub ") else { continue };
            let mut words = after.split_whitespace();
            if !words.next().is_some_and(|kind| KINDS.contains(&kind)) {
                continue;
            }
            let rest = words.next().unwrap_or_default();
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let name = &rest[..end];
            if !CONVENTIONS.contains(&name) {
                declared.push(Declared { name, path, line: source.line_of(at) });
            }
        }
    }
    declared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Dependency;
    use crate::tidy::finding::Finding;

    const NODE: &str = "crates/shell/node";
    const LOG: &str = "crates/port/log";
    const MODEL: &str = "crates/pure/model";

    /// Checks a workspace in which `node` sees `log`, and `log` sees `model`.
    #[track_caller]
    fn check_types(files: &[(&str, &str)], want: &[&str]) {
        let member = |folder: &str, sees: &[(&str, Table)]| {
            let dependency = |(name, table): &(&str, Table)| Dependency {
                name: (*name).to_owned(),
                table: *table,
            };
            let dependencies = sees.iter().map(dependency).collect();
            Crate { folder: folder.to_owned(), dependencies, ..Crate::default() }
        };
        let crates = BTreeMap::from([
            ("node".to_owned(), member(NODE, &[("log", Table::Normal)])),
            ("log".to_owned(), member(LOG, &[("model", Table::Normal), ("bytes", Table::Normal)])),
            ("model".to_owned(), member(MODEL, &[])),
            ("sim".to_owned(), member("crates/test/sim", &[("model", Table::Normal)])),
        ]);
        let mut findings = Findings::default();
        check(&crates, &Tree::of(files), &mut findings);
        let got: Vec<_> = findings.into_sorted().iter().map(Finding::place_and_rule).collect();
        assert_eq!(got, want, "{files:?}");
    }

    #[test]
    fn a_public_type_has_a_name_of_its_own() {
        let model = ("crates/pure/model/src/a.rs", "//! A.\npub struct Page<T> {}\n");
        let found = |path: &'static str| format!("{path}:1: type-name");
        for (path, text, is_found) in [
            ("crates/port/log/src/b.rs", "pub enum Page { A }", true),
            ("crates/shell/node/src/b.rs", "pub type Page = ();", true),
            ("crates/shell/node/src/b.rs", "pub(crate) struct Page;", false),
            ("crates/shell/node/src/b.rs", "pub struct Pages;", false),
            ("crates/shell/node/tests/b.rs", "pub struct Page;", false),
            ("crates/shell/node/src/b.rs", "#[cfg(test)]\nmod tests { pub struct Page; }", false),
            ("crates/test/sim/src/b.rs", "pub struct Page;", false),
        ] {
            let want: Vec<String> = is_found.then(|| found(path)).into_iter().collect();
            check_types(
                &[model, (path, text)],
                &want.iter().map(String::as_str).collect::<Vec<_>>(),
            );
        }
    }

    #[test]
    fn crates_that_do_not_see_each_other_and_conventions_are_free() {
        let settings = "pub struct Settings;";
        let files =
            [("crates/pure/model/src/a.rs", settings), ("crates/port/log/src/a.rs", settings)];
        check_types(&files, &[]);
    }
}
