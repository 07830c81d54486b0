//! The pages of docs/formats are tied to the code that writes the bytes.
//!
//! A page ends with one line for each file it describes: `code: PATH sha256:DIGITS`. When that code
//! changes, the page no longer passes until a person has read it again and had the line renewed.
//! The digits are the first 16 of the SHA-256 of the code without its comments, tests and layout.
//! Start reading at [`check`].

use super::finding::{Findings, Rule};
use super::tree::Tree;
use crate::fingerprint;
use std::fs;
use std::path::Path;

/// The pages that must be tied. A README there may only point to the others.
const FOLDER: &str = "docs/formats/";
const DIGITS: usize = 16;

/// Checks every page of docs/formats.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for (path, page) in pages(tree) {
        let ties = ties_of(page);
        if ties.is_empty() {
            let detail = "names no code: end it with `code: PATH sha256:` and run tidy --bless";
            findings.add(path, 0, Rule::Format, detail);
        }
        for tie in ties {
            match digits_of(tree, tie.code) {
                None => {
                    let detail = format!("`{}` is not in the repository", tie.code);
                    findings.add(path, tie.line, Rule::Format, detail);
                }
                Some(digits) if digits != tie.digits => {
                    let detail = format!(
                        "`{}` has changed: bring the page up to date, then run \
                         `cargo xtask tidy --bless`",
                        tie.code
                    );
                    findings.add(path, tie.line, Rule::Format, detail);
                }
                Some(_) => {}
            }
        }
    }
}

/// Renews the fingerprints of every page under `root` and answers the paths of those it changed.
///
/// # Errors
/// A page could not be written.
pub(super) fn bless(tree: &Tree, root: &Path) -> Result<Vec<String>, String> {
    let mut renewed = Vec::new();
    for (path, page) in pages(tree) {
        let blessed = blessed(tree, page);
        if blessed != page {
            fs::write(root.join(path), blessed).map_err(|error| format!("{path}: {error}"))?;
            renewed.push(path.to_owned());
        }
    }
    Ok(renewed)
}

/// A line that ties a page to a file of code.
struct Tie<'a> {
    /// 1-based.
    line: usize,
    code: &'a str,
    digits: &'a str,
}

fn pages(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.pages().filter(|(path, _)| path.starts_with(FOLDER) && !path.ends_with("/README.md"))
}

fn ties_of(page: &str) -> Vec<Tie<'_>> {
    let lines = page.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            tie_of(line).map(|(code, digits)| Tie { line: index + 1, code, digits })
        })
        .collect()
}

/// Reads `code: PATH sha256:DIGITS`, in a list or not; the digits may be missing.
fn tie_of(line: &str) -> Option<(&str, &str)> {
    let rest = line.trim_start_matches(['-', '*', ' ']).strip_prefix("code: ")?;
    let (code, digits) = rest.split_once(" sha256:")?;
    Some((code.trim_matches('`'), digits.trim()))
}

/// The page with every fingerprint as it should be; ties to files that do not exist stay.
fn blessed(tree: &Tree, page: &str) -> String {
    let mut text = String::new();
    for line in page.split_inclusive('\n') {
        let renewed = tie_of(line).and_then(|(code, _)| digits_of(tree, code));
        match (renewed, line.split_once(" sha256:")) {
            (Some(digits), Some((head, _))) => {
                text.push_str(&format!("{head} sha256:{digits}"));
                text.push_str(&line[line.trim_end().len()..]);
            }
            (Some(_) | None, _) => text.push_str(line),
        }
    }
    text
}

/// The fingerprint of a file of code as pages spell it; `None` if there is no such file.
fn digits_of(tree: &Tree, path: &str) -> Option<String> {
    let essence = tree.files.get(path)?.source.as_ref()?.essence();
    let mut digits = fingerprint::of(essence.as_bytes());
    digits.truncate(DIGITS);
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    const CODE: (&str, &str) = ("src/frame.rs", "//! Frames.\nconst MAGIC: &str = \"a\";\n");
    const PAGE: &str = "docs/formats/log.md";

    /// What is found on a page after it was blessed over `CODE` and the code then became `code`.
    #[track_caller]
    fn check_change(code: &str, want: &[&str]) {
        let before = Tree::of(&[CODE]);
        let page = blessed(&before, "# Log\n\n- code: `src/frame.rs` sha256:\n");
        check_fixture(check, &[("src/frame.rs", code), (PAGE, &page)], want);
    }

    #[test]
    fn code_that_changed_parts_from_its_page() {
        check_change(CODE.1, &[]);
        check_change(&CODE.1.replace("\"a\"", "\"b\""), &["docs/formats/log.md:3: format"]);
        check_change(&CODE.1.replace("Frames", "All frames").replace(" = ", "\n    = "), &[]);
    }

    #[test]
    fn a_page_names_code_that_exists() {
        check_fixture(check, &[(PAGE, "# Log\n")], &["docs/formats/log.md:0: format"]);
        let page = "code: src/gone.rs sha256:0000000000000000\n";
        check_fixture(check, &[CODE, (PAGE, page)], &["docs/formats/log.md:1: format"]);
        check_fixture(check, &[("docs/formats/README.md", "All.\n"), ("docs/a.md", "")], &[]);
    }

    #[test]
    fn blessing_changes_fingerprints_only() {
        let tree = Tree::of(&[CODE]);
        let old = "# Log\r\ncode: src/frame.rs sha256:beef\r\ncode: src/gone.rs sha256:beef\ntext";
        let new = blessed(&tree, old);
        let digits = digits_of(&tree, "src/frame.rs").expect("it is there");
        assert_eq!(new, old.replacen("beef", &digits, 1));
        assert_eq!(blessed(&tree, &new), new);
    }
}
