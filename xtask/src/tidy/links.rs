//! References between files lead somewhere: links of pages, and the sources that code names.
//!
//! Never looks at the network. Start reading at [`check`].

use super::finding::{Findings, Rule};
use super::tree::Tree;

/// Checks the links of every page, and every mention of a page under docs/ in pages and code.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for (path, page) in tree.pages() {
        for (line, text) in unfenced_lines(page) {
            targets(text).for_each(|target| check_link(tree, path, line, target, findings));
            check_mentions(tree, path, line, text, findings);
        }
    }
    for (path, source) in tree.sources() {
        for comment in &source.comments {
            let text = &source.text[comment.start..comment.end];
            for (index, text) in text.lines().enumerate() {
                let line = source.line_of(comment.start) + index;
                check_mentions(tree, path, line, text, findings);
            }
        }
    }
}

/// The lines of a page, 1-based, outside fenced blocks.
fn unfenced_lines(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    page.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        (!is_fenced && !is_fence).then_some((index + 1, line))
    })
}

/// What the links of a line point to: `[text](target)`, without a title.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let opens = line.match_indices("](").map(|(at, _)| &line[at + 2..]);
    opens.filter_map(|rest| rest.split([')', ' ']).next())
}

fn check_link(tree: &Tree, page: &str, line: usize, target: &str, findings: &mut Findings) {
    let is_elsewhere = ["https:", "http:", "mailto:"].iter().any(|s| target.starts_with(s));
    if is_elsewhere || target.is_empty() {
        return;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { page.to_owned() } else { resolve(page, file) };
    if !tree.has(&path) {
        findings.add(page, line, Rule::Link, format!("`{target}` is not in the repository"));
        return;
    }
    let has_anchor =
        || tree.text(&path).is_some_and(|text| headings(text).any(|h| slug(h) == anchor));
    if !anchor.is_empty() && !has_anchor() {
        findings.add(page, line, Rule::Link, format!("`{path}` has no section `#{anchor}`"));
    }
}

/// The path from the root that `target` means on `page`.
fn resolve(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => page.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            // A link that leaves the repository stays unresolved.
            ".." if parts.pop().is_none() => return target.to_owned(),
            ".." => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Stands for a date in the name of a page that is to be written.
const PLACEHOLDER: &str = "YYYY";

/// Checks each `docs/….md` of a line, and the section in quotes behind it, if there is one:
/// `Source: docs/….md, "Section".`
fn check_mentions(tree: &Tree, path: &str, line: usize, text: &str, findings: &mut Findings) {
    for (at, _) in text.match_indices("docs/") {
        let rest = &text[at..];
        let is_path = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
        let length = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
        let Some(length) = rest[..length].rfind(".md").map(|dot| dot + ".md".len()) else {
            continue;
        };
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| is_path(c) || c == ':') {
            // Part of a longer path or address; links are checked by themselves.
            continue;
        }
        let mentioned = &rest[..length];
        if mentioned.contains(PLACEHOLDER) {
            continue;
        }
        let Some(page) = tree.text(mentioned) else {
            let detail = format!("`{mentioned}` is not in the repository");
            findings.add(path, line, Rule::Link, detail);
            continue;
        };
        let quoted = rest[length..].strip_prefix(", \"").and_then(|s| s.split_once('"'));
        let Some((section, _)) = quoted else { continue };
        if !headings(page).any(|heading| heading.contains(section)) {
            let detail = format!("`{mentioned}` has no section \"{section}\"");
            findings.add(path, line, Rule::Link, detail);
        }
    }
}

/// The headings of a page, without their `#`.
fn headings(page: &str) -> impl Iterator<Item = &str> {
    let lines = unfenced_lines(page).map(|(_, line)| line).filter(|line| line.starts_with('#'));
    lines.map(|line| line.trim_start_matches('#').trim())
}

/// A heading as anchors spell it: lower case, words joined by hyphens, no punctuation.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    const TARGET: (&str, &str) =
        ("docs/protocols/replication.md", "# Log\n## 2. The fold, and why\n");

    #[track_caller]
    fn check_text(path: &str, text: &str, want: &[&str]) {
        check_fixture(check, &[TARGET, ("LICENSE", ""), (path, text)], want);
    }

    #[test]
    fn links_of_pages_lead_somewhere() {
        for good in [
            "[a](docs/protocols/replication.md)",
            "[a](docs/protocols) and [b](./LICENSE \"title\")",
            "[a](docs/protocols/replication.md#2-the-fold-and-why)",
            "[a](https://example.org/gone.md), [b](mailto:a@example.org)",
            "# Own\n[a](#own)",
            "```\n[a](gone.md)\n```",
        ] {
            check_text("README.md", good, &[]);
        }
        check_text("docs/x.md", "[a](../LICENSE) [b](protocols/replication.md)", &[]);
        check_text("docs/x.md", "[a](/LICENSE)", &[]);
        for bad in ["[a](gone.md)", "[a](../LICENSE)", "[a](#gone)", "[a](LICENSE#section)"] {
            check_text("README.md", bad, &["README.md:1: link"]);
        }
    }

    #[test]
    fn sources_named_by_code_exist() {
        let good = "//! Source: docs/protocols/replication.md, \"The fold\".\n";
        check_text("src/a.rs", good, &[]);
        check_text("src/a.rs", "/// See docs/protocols/replication.md.\nfn f() {}\n", &[]);
        check_text("src/a.rs", "//! A\n//! docs/gone.md\n", &["src/a.rs:2: link"]);
        check_text("src/a.rs", "//! A\n\n/// docs/gone.md, so\n", &["src/a.rs:3: link"]);
        let bad = "// docs/protocols/replication.md, \"The gap\"";
        check_text("src/a.rs", bad, &["src/a.rs:1: link"]);
        check_text("src/a.rs", "fn f() { \"docs/gone.md\" }", &[]);
        check_text("src/a.rs", "// https://example.org/docs/gone.md and docs/formats", &[]);
    }

    #[test]
    fn anchors_are_spelled_as_readers_expect() {
        assert_eq!(slug("2. The fold, and `why`"), "2-the-fold-and-why");
        assert_eq!(slug("Names from elsewhere"), "names-from-elsewhere");
    }
}
