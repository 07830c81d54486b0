//! One word per concept: the words that GLOSSARY.md forbids stand nowhere else.
//!
//! Decides nothing about words itself: the page is the list. Start reading at [`check`].

use super::finding::{Findings, Rule};
use super::tree::Tree;
use std::collections::BTreeMap;

/// Where the words are decided.
const PAGE: &str = "GLOSSARY.md";
/// Decisions compare with other systems, in those systems' words.
const FREE_FOLDERS: &[&str] = &["docs/adr/"];
/// The section of the page whose names may be used although a forbidden word is inside.
const NAMES_FROM_ELSEWHERE: &str = "## Names from elsewhere";

/// Checks every Rust file, comments, identifiers and strings alike, and the prose of every page.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    let Some(glossary) = tree.text(PAGE).map(Glossary::parse) else {
        findings.add(PAGE, 0, Rule::Link, "missing: it lists the words of the project");
        return;
    };
    if glossary.forbidden.is_empty() {
        findings.add(PAGE, 0, Rule::Link, "its table names no forbidden word any more");
    }
    for (path, source) in tree.sources() {
        for (index, line) in source.text.lines().enumerate() {
            glossary.check_line(path, index + 1, line, findings);
        }
    }
    for (path, text) in tree.pages() {
        if path != PAGE && !FREE_FOLDERS.iter().any(|folder| path.starts_with(folder)) {
            for (line, prose) in prose_lines(text) {
                glossary.check_line(path, line, &prose, findings);
            }
        }
    }
}

/// The words and names of the page.
#[derive(Debug, Default)]
struct Glossary {
    /// Forbidden word, in lower case, and the words to say instead.
    forbidden: BTreeMap<String, String>,
    /// Names that may stand although a forbidden word is inside.
    names: Vec<String>,
}

impl Glossary {
    /// Reads the table `| word | meaning | never |`, whose backticked words of the last column are
    /// forbidden, and the backticked names of the section for names from elsewhere.
    fn parse(page: &str) -> Glossary {
        let mut glossary = Glossary::default();
        let (table, elsewhere) = page.split_once(NAMES_FROM_ELSEWHERE).unwrap_or((page, ""));
        for line in table.lines().filter(|line| line.starts_with('|')) {
            let columns: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [instead, _meaning, never] = columns[..] else { continue };
            for word in backticked(never) {
                glossary.forbidden.insert(word.to_lowercase(), instead.to_owned());
            }
        }
        glossary.names = backticked(elsewhere).map(str::to_owned).collect();
        glossary
    }

    fn check_line(&self, path: &str, line: usize, text: &str, findings: &mut Findings) {
        for name in text.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if self.names.iter().any(|allowed| allowed == name) {
                continue;
            }
            for word in words_of(name) {
                if let Some((word, instead)) = self.find(&word) {
                    let detail = format!("`{word}` is not a word of ours; say: {instead}");
                    findings.add(path, line, Rule::Word(word.to_owned()), detail);
                }
            }
        }
    }

    /// The forbidden word that `word` is, or is the plural of.
    fn find(&self, word: &str) -> Option<(&str, &str)> {
        let plurals = [Some(word), word.strip_suffix('s'), word.strip_suffix("es")];
        let found = plurals.into_iter().flatten().find_map(|w| self.forbidden.get_key_value(w));
        found.map(|(word, instead)| (word.as_str(), instead.as_str()))
    }
}

/// What stands between pairs of backticks.
fn backticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The words inside an identifier or word, in lower case: `ScnBounds`, `scn_bounds`, `SCN_BOUNDS`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let characters: Vec<char> = name.chars().collect();
    for (at, c) in characters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| characters[at]);
        let after = characters.get(at + 1);
        let follows_lower = before.is_some_and(|b| b.is_lowercase() || b.is_numeric());
        // The last capital of a run begins the next word: `SCNRange` is `scn`, `range`.
        let ends_capitals =
            before.is_some_and(char::is_uppercase) && after.is_some_and(|a| a.is_lowercase());
        if *c == '_' || (c.is_uppercase() && (follows_lower || ends_capitals)) {
            words.push(String::new());
        }
        if *c != '_' {
            words.last_mut().expect("never empty").extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The lines of a page, 1-based, without fenced blocks and without what stands in backticks.
fn prose_lines(page: &str) -> impl Iterator<Item = (usize, String)> {
    let mut is_fenced = false;
    page.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            return None;
        }
        let prose: Vec<_> = line.split('`').step_by(2).collect();
        (!is_fenced).then(|| (index + 1, prose.join(" ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    const PAGE_TEXT: &str = "\
| word | meaning | never |
|---|---|---|
| partition | slice of a database | `sliver`, `PQR`, copy |

## Names from elsewhere
`SLIVER_SIZE` is another library's.
";

    #[track_caller]
    fn check_text(path: &str, text: &str, want: &[&str]) {
        let want: Vec<_> = want.iter().map(|each| format!("{path}:{each}")).collect();
        let want: Vec<_> = want.iter().map(String::as_str).collect();
        check_fixture(check, &[(PAGE, PAGE_TEXT), (path, text)], &want);
    }

    #[test]
    fn forbidden_words_are_found_in_identifiers_comments_and_strings() {
        check_text("a.rs", "struct SliverId;", &["1: sliver"]);
        check_text(
            "a.rs",
            "//! About slivers.\nfn of_sliver() { \"SLIVER\" }",
            &["1: sliver", "2: sliver", "2: sliver"],
        );
        check_text("a.rs", "PQRRange, next_pqr", &["1: pqr", "1: pqr"]);
        check_text("a.rs", "slivered, disliver, pqrs2, copy", &[]);
    }

    #[test]
    fn names_from_elsewhere_pass() {
        check_text("a.rs", "other::SLIVER_SIZE", &[]);
        check_text("a.rs", "other::SLIVER_SIZES", &["1: sliver"]);
    }

    #[test]
    fn pages_are_checked_but_for_quotations_and_decisions() {
        check_text("README.md", "Each sliver\n`sliver`\n```\nsliver\n```\n", &["1: sliver"]);
        check_text("docs/adr/2026-11-23-store.md", "Each sliver", &[]);
        check_text("notes.txt", "Each sliver", &[]);
    }

    #[test]
    fn a_glossary_that_forbids_nothing_is_broken() {
        check_fixture(check, &[], &["GLOSSARY.md:0: link"]);
        check_fixture(check, &[(PAGE, "# Words\n")], &["GLOSSARY.md:0: link"]);
    }

    #[test]
    fn identifiers_are_split_into_words() {
        let check = |name: &str, want: &[&str]| assert_eq!(words_of(name), want, "{name}");
        check("applied_scn", &["applied", "scn"]);
        check("LogOffset", &["log", "offset"]);
        check("SCNRange", &["scn", "range"]);
        check("SCN_MAX", &["scn", "max"]);
        check("to_u64", &["to", "u64"]);
        check("__", &[]);
    }
}
