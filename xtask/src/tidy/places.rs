//! The repository knows no machine and no registry: it builds wherever it is cloned.
//!
//! Start reading at [`check`].

use super::finding::{Findings, Rule};
use super::tree::Tree;

/// What no text may hold. Each is written in two halves, so that this file does not hold it.
const REFUSED: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("golang", ".org"),
    concat!("maven", ".org"),
    concat!("debian", ".org"),
];

/// Cargo itself writes its registry's name into these files.
const WRITTEN_BY_CARGO: &str = "Cargo.lock";

/// Checks every text.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for (path, text) in tree.texts().filter(|(path, _)| !path.ends_with(WRITTEN_BY_CARGO)) {
        for (index, line) in text.lines().enumerate() {
            for refused in REFUSED.iter().filter(|refused| line.contains(**refused)) {
                let detail = format!("`{refused}` is a place of some machine or registry");
                findings.add(path, index + 1, Rule::Place, detail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    #[test]
    fn texts_name_no_machine_and_no_registry() {
        for refused in REFUSED {
            let text = format!("a\nsee {refused}x\n");
            check_fixture(check, &[("docs/a.md", &text)], &["docs/a.md:2: place"]);
            check_fixture(check, &[("Cargo.lock", &text)], &[]);
        }
        check_fixture(check, &[("a.md", "the crates of Debian and /var/lib/cortado\n")], &[]);
    }
}
