//! Pure crates stay pure, and no crate is unsafe: manifests, lint files and heads of crates.
//!
//! Clippy enforces what the lint files say, and the compiler what `no_std` says; this makes sure
//! that they say it. Start at [`check`].

use super::arrows::Floor;
use super::finding::{Findings, Rule};
use super::tree::Tree;
use crate::project::{Crate, Table};
use std::collections::BTreeMap;

/// What a pure crate may use from outside the workspace: values and hashes, nothing that waits,
/// reads, or serializes.
const PURE_DEPENDENCIES: &[&str] = &["bytes", "crc32c", "thiserror", "xxhash-rust"];

/// What one pure crate may use besides, and why.
const PURE_EXCEPTIONS: &[(&str, &str)] = &[
    // JSON is what documents are: parsing it is this crate's own business.
    ("cortado-document", "serde_json"),
    ("cortado-document", "json-patch"),
    ("cortado-document", "jsonschema"),
    // What schemas are made of: URIs, addresses, and regular expressions of ECMA 262.
    ("cortado-document", "email_address"),
    ("cortado-document", "fluent-uri"),
    ("cortado-document", "jsonschema-regex"),
    ("cortado-document", "regex-automata"),
    ("cortado-document", "regex-syntax"),
];

/// What the `clippy.toml` of a pure crate must refuse.
const REFUSED: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::thread::spawn",
    "std::fs::File::open",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::hash::RandomState",
];

/// What a pure crate says so that the compiler refuses files, threads and clocks by any name.
const NO_STD: &str = "#![cfg_attr(not(test), no_std)]";

/// The pure crates that do not say it, and why. That something which a crate depends on needs the
/// standard library is no reason: its own code does not.
const WITH_STD: &[&str] = &[
    // `serde_json` and `jsonschema` speak of maps and errors of the standard library.
    "cortado-document",
];

/// Crates that may say `unsafe`, each with its reason in its README.
const UNSAFE_CRATES: &[&str] = &["cortado-kafka-ffi"];

/// What the manifest of such a crate must hold: every block says what makes it sound.
const SAID_WHY: &str = "undocumented_unsafe_blocks = \"deny\"";

/// Checks every member of the workspace.
pub(super) fn check(crates: &BTreeMap<String, Crate>, tree: &Tree, findings: &mut Findings) {
    for (name, member) in crates {
        if Floor::of(&member.folder) == Some(Floor::Pure) {
            check_dependencies(name, member, crates, findings);
            check_refusals(member, tree, findings);
            check_no_std(name, member, tree, findings);
        }
        if UNSAFE_CRATES.contains(&name.as_str()) {
            check_said_why(member, tree, findings);
        } else {
            check_no_unsafe(member, tree, findings);
        }
    }
}

fn check_dependencies(
    name: &str,
    member: &Crate,
    crates: &BTreeMap<String, Crate>,
    findings: &mut Findings,
) {
    let outside = |wanted: &&str| !crates.contains_key(*wanted);
    let used = member.dependencies.iter().filter(|dependency| dependency.table != Table::Dev);
    for wanted in used.map(|dependency| dependency.name.as_str()).filter(outside) {
        let is_allowed =
            PURE_DEPENDENCIES.contains(&wanted) || PURE_EXCEPTIONS.contains(&(name, wanted));
        if !is_allowed {
            let detail = format!("the pure crate `{name}` must not depend on `{wanted}`");
            findings.add(&format!("{}/Cargo.toml", member.folder), 0, Rule::Purity, detail);
        }
    }
}

fn check_refusals(member: &Crate, tree: &Tree, findings: &mut Findings) {
    let path = format!("{}/clippy.toml", member.folder);
    let refusals = tree.text(&path).unwrap_or_default();
    for refused in REFUSED {
        // Quoted, so that a longer path does not count for a shorter one.
        if !refusals.contains(&format!("\"{refused}\"")) {
            let detail = format!("a pure crate's clippy.toml must refuse `{refused}`");
            findings.add(&path, 0, Rule::Purity, detail);
        }
    }
}

fn check_no_std(name: &str, member: &Crate, tree: &Tree, findings: &mut Findings) {
    let path = format!("{}/src/lib.rs", member.folder);
    let says_it = tree.text(&path).unwrap_or_default().lines().any(|line| line == NO_STD);
    let detail = match (says_it, WITH_STD.contains(&name)) {
        (false, false) => format!("the pure crate `{name}` must say `{NO_STD}`"),
        (true, true) => format!("the pure crate `{name}` is listed as one with std"),
        (true, false) | (false, true) => return,
    };
    findings.add(&path, 0, Rule::Purity, detail);
}

fn check_said_why(member: &Crate, tree: &Tree, findings: &mut Findings) {
    let manifest = format!("{}/Cargo.toml", member.folder);
    if !tree.text(&manifest).unwrap_or_default().lines().any(|line| line.trim() == SAID_WHY) {
        let detail = format!("a crate with unsafe code must say `{SAID_WHY}`");
        findings.add(&manifest, 0, Rule::Unsafe, detail);
    }
}

fn check_no_unsafe(member: &Crate, tree: &Tree, findings: &mut Findings) {
    let manifest = format!("{}/Cargo.toml", member.folder);
    let text = tree.text(&manifest).unwrap_or_default();
    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    if lines.next() != Some("workspace = true") {
        findings.add(&manifest, 0, Rule::Unsafe, "must take the lints of the workspace");
    }
    let folder = format!("{}/", member.folder);
    for (path, source) in tree.sources().filter(|(path, _)| path.starts_with(&folder)) {
        for at in source.find_words("unsafe") {
            let detail = "unsafe code, in a crate that is not listed for it";
            findings.add(path, source.line_of(at), Rule::Unsafe, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Dependency;

    /// Checks the crate `name` in `folder`, in a workspace where [`MODEL`] is another member.
    #[track_caller]
    fn check_crate(
        (folder, name): (&str, &str),
        uses: &[(&str, Table)],
        files: &[(&str, &str)],
        want: &[&str],
    ) {
        let dependencies = uses.iter();
        let dependencies = dependencies
            .map(|(name, table)| Dependency { name: (*name).to_owned(), table: *table });
        let member = Crate {
            folder: folder.to_owned(),
            dependencies: dependencies.collect(),
            ..Crate::default()
        };
        let crates =
            BTreeMap::from([(MODEL.to_owned(), Crate::default()), (name.to_owned(), member)]);
        let mut findings = Findings::default();
        check(&crates, &Tree::of(files), &mut findings);
        let got: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
        let got: Vec<_> = got.iter().filter(|finding| finding.starts_with(folder)).collect();
        assert_eq!(got, want);
    }

    const LINES: &str = "[package]\n[lints]\nworkspace = true\n";
    const LINTS: (&str, &str) = ("crates/pure/x/Cargo.toml", LINES);
    const NODE_LINTS: (&str, &str) = ("crates/shell/x/Cargo.toml", LINES);
    const CLUSTER: (&str, &str) = ("crates/pure/x", "cortado-cluster");
    const DOCUMENT: (&str, &str) = ("crates/pure/x", "cortado-document");
    const NODE: (&str, &str) = ("crates/shell/x", "cortado-node");

    fn full_refusals() -> String {
        REFUSED.iter().map(|path| format!("{{ path = \"{path}\" }},\n")).collect()
    }

    #[test]
    fn a_pure_crate_depends_on_values_only() {
        let refusals = full_refusals();
        let files = [LINTS, ("crates/pure/x/clippy.toml", refusals.as_str())];
        let uses = [("bytes", Table::Normal), ("tokio", Table::Dev), (MODEL, Table::Normal)];
        check_crate(DOCUMENT, &uses, &files, &[]);
        let want = "crates/pure/x/Cargo.toml: purity: the pure crate `cortado-document` must not \
                    depend on `tokio`";
        check_crate(DOCUMENT, &[("tokio", Table::Normal)], &files, &[want]);
        check_crate(DOCUMENT, &[("serde_json", Table::Normal)], &files, &[]);
        check_crate(NODE, &[("tokio", Table::Normal)], &[NODE_LINTS], &[]);
    }

    const MODEL: &str = "cortado-model";

    #[test]
    fn a_pure_crate_refuses_clocks_by_lint() {
        let without = full_refusals().replace("std::time::Instant::now", "std::time::Instant");
        let files = [LINTS, ("crates/pure/x/clippy.toml", without.as_str())];
        let want = "crates/pure/x/clippy.toml: purity: a pure crate's clippy.toml must refuse \
                    `std::time::Instant::now`";
        check_crate(DOCUMENT, &[], &files, &[want]);
        check_crate(NODE, &[], &[NODE_LINTS], &[]);
    }

    #[test]
    fn a_pure_crate_does_without_std() {
        let refusals = full_refusals();
        let lints = ("crates/pure/x/clippy.toml", refusals.as_str());
        let files = |library| [LINTS, lints, ("crates/pure/x/src/lib.rs", library)];
        let without = "//! Words.\n\n#![cfg_attr(not(test), no_std)]\n";
        let with = "//! Words.\n\n// #![cfg_attr(not(test), no_std)]\n";
        check_crate(CLUSTER, &[], &files(without), &[]);
        check_crate(DOCUMENT, &[], &files(with), &[]);
        let want = "crates/pure/x/src/lib.rs: purity: the pure crate `cortado-cluster` must say \
                    `#![cfg_attr(not(test), no_std)]`";
        check_crate(CLUSTER, &[], &files(with), &[want]);
        check_crate(CLUSTER, &[], &files(with)[..2], &[want]);
        let want = "crates/pure/x/src/lib.rs: purity: the pure crate `cortado-document` is listed \
                    as one with std";
        check_crate(DOCUMENT, &[], &files(without), &[want]);
    }

    #[test]
    fn nobody_is_unsafe_who_is_not_listed() {
        let want = "crates/shell/x/Cargo.toml: unsafe: must take the lints of the workspace";
        check_crate(NODE, &[], &[("crates/shell/x/Cargo.toml", "[lints.rust]\n")], &[want]);
        let code = "// unsafe in a comment\nfn f() { \"unsafe\"; unsafe_code(); }\nunsafe fn g();";
        let want =
            "crates/shell/x/src/a.rs:3: unsafe: unsafe code, in a crate that is not listed for it";
        check_crate(NODE, &[], &[NODE_LINTS, ("crates/shell/x/src/a.rs", code)], &[want]);
    }

    #[test]
    fn who_is_unsafe_says_why() {
        let listed = ("crates/adapter/x", UNSAFE_CRATES[0]);
        let code = ("crates/adapter/x/src/a.rs", "unsafe fn g();");
        let lints = format!("[lints.clippy]\n{SAID_WHY}\n");
        check_crate(listed, &[], &[("crates/adapter/x/Cargo.toml", &lints), code], &[]);
        let want = format!(
            "crates/adapter/x/Cargo.toml: unsafe: a crate with unsafe code must say `{SAID_WHY}`"
        );
        let without = ("crates/adapter/x/Cargo.toml", "[lints.clippy]\n");
        check_crate(listed, &[], &[without, code], &[&want]);
    }
}
