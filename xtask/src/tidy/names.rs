//! File names that say what is inside.
//!
//! Source: STYLE.md, points 1 and 9. Start reading at [`check`].

use super::finding::{Findings, Rule};
use super::tree::Tree;

/// Rooms without a name: whatever is put there belongs with its user.
const SAY_NOTHING: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];

/// Checks every part of every path.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for path in tree.files.keys() {
        let stems = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        for stem in stems.filter(|stem| SAY_NOTHING.contains(stem)) {
            let detail = format!("`{stem}` says nothing: name the thing, put it with its user");
            findings.add(path, 0, Rule::FileName, detail);
        }
        if path.rsplit('/').next() == Some("mod.rs") {
            findings.add(path, 0, Rule::FileName, "`foo.rs` beside `foo/`, never `foo/mod.rs`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    #[track_caller]
    fn check_path(path: &str, want: &[&str]) {
        check_fixture(check, &[(path, "")], want);
    }

    #[test]
    fn names_say_what_is_inside() {
        check_path("crates/x/src/claim.rs", &[]);
        check_path("crates/x/src/commonality.rs", &[]);
        check_path("crates/x/src/utils.rs", &["crates/x/src/utils.rs:0: file-name"]);
        check_path("crates/x/tests/common/a.rs", &["crates/x/tests/common/a.rs:0: file-name"]);
        check_path("scripts/helpers.sh", &["scripts/helpers.sh:0: file-name"]);
        check_path("src/a/mod.rs", &["src/a/mod.rs:0: file-name"]);
    }
}
