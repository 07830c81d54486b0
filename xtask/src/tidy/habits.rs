//! What must not stay in code: markers of unfinished work, dead code, silenced lints, sleeping and
//! sleeping-in tests.
//!
//! Start reading at [`check`].

use super::finding::{Findings, Rule};
use super::source::{Comment, CommentKind, Source};
use super::tree::Tree;

/// Checks every Rust file.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for (path, source) in tree.sources() {
        check_unfinished(path, source, findings);
        check_attributes(path, source, findings);
        check_sleeps(path, source, findings);
        check_comments(path, source, findings);
    }
}

fn check_unfinished(path: &str, source: &Source, findings: &mut Findings) {
    for name in ["todo", "unimplemented", "dbg"] {
        for at in source.find_words(name) {
            if source.code[at + name.len()..].starts_with('!') {
                let detail = format!("`{name}!` must not stay");
                findings.add(path, source.line_of(at), Rule::Todo, detail);
            }
        }
    }
}

/// `#[allow(…)]` and `#[expect(…)]` give a reason; `#[ignore]` has none.
fn check_attributes(path: &str, source: &Source, findings: &mut Findings) {
    for (start, attribute) in attributes(&source.code) {
        let line = source.line_of(start);
        let names = |word: &str| {
            super::source::find_words(attribute, word)
                .any(|at| attribute[at + word.len()..].trim_start().starts_with('('))
        };
        if (names("allow") || names("expect")) && !attribute.contains("reason") {
            findings.add(path, line, Rule::AllowReason, "a silenced lint needs its `reason`");
        }
        if super::source::find_words(attribute, "ignore").next().is_some() {
            findings.add(path, line, Rule::Ignore, "a test that does not run is no test");
        }
    }
}

/// The attributes of `code`, from `#` to `]`, with where they start.
fn attributes(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let starts = code.match_indices('#').map(|(at, _)| at);
    starts.filter_map(move |start| {
        let rest = &code[start + 1..];
        let open = start + 1 + usize::from(rest.starts_with('!'));
        if !code[open..].starts_with('[') {
            return None;
        }
        let mut depth = 0_usize;
        for (at, byte) in code.bytes().enumerate().skip(open) {
            match byte {
                b'[' => depth += 1,
                b']' if depth == 1 => return Some((start, &code[start..=at])),
                b']' => depth -= 1,
                _ => {}
            }
        }
        None
    })
}

/// A test waits for a condition with a generous bound, never for a time.
fn check_sleeps(path: &str, source: &Source, findings: &mut Findings) {
    for name in ["sleep", "sleep_ms", "sleep_until"] {
        for at in source.find_words(name) {
            let is_call = source.code[at + name.len()..].starts_with('(');
            if is_call && source.is_test(at) {
                let detail = "a test waits for a condition, never for a time";
                findings.add(path, source.line_of(at), Rule::TestSleep, detail);
            }
        }
    }
}

fn check_comments(path: &str, source: &Source, findings: &mut Findings) {
    for comment in source.comments.iter().filter(|comment| comment.kind == CommentKind::Plain) {
        let Comment { start, end, .. } = *comment;
        let text = source.text[start..end].trim_start_matches(['/', '*', ' ']);
        if looks_like_code(text.trim_end_matches(['/', '*', ' '])) {
            let detail = "code in a comment: delete it, git remembers";
            findings.add(path, source.line_of(start), Rule::CommentedOut, detail);
        }
    }
}

/// Words with which a statement or an item begins.
const OPENINGS: &[&str] = &[
    "let ", "use ", "mod ", "pub ", "pub(", "fn ", "impl ", "impl<", "struct ", "enum ", "const ",
    "static ", "type ", "return ", "if ", "for ", "while ", "loop ", "match ", "async ", "else ",
    "break", "continue", "} else", "self.",
];

/// A guess that leans towards prose: a comment passes unless its line both begins and ends as code.
fn looks_like_code(text: &str) -> bool {
    let opens = OPENINGS.iter().any(|opening| text.starts_with(opening));
    // `name(…);` or `path::name(…)?;` or `value.name(…);`, one word up to the parenthesis.
    let is_call = text.find(['(', '!']).is_some_and(|at| at > 0 && !text[..at].contains(' '));
    let is_assignment = text.contains(" = ") && !text.contains("`");
    match text.chars().next_back() {
        Some(';') => opens || is_call || is_assignment,
        Some('{') => opens,
        Some('}') => text == "}",
        Some(']') => text.starts_with("#["),
        Some(',') => text.contains(" => "),
        Some(_) | None => text == "})" || text == "});",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    #[track_caller]
    fn check_code(code: &str, want: &[&str]) {
        let want: Vec<_> = want.iter().map(|each| format!("src/a.rs:{each}")).collect();
        let want: Vec<_> = want.iter().map(String::as_str).collect();
        check_fixture(check, &[("src/a.rs", code)], &want);
    }

    #[test]
    fn unfinished_work_is_found() {
        check_code("fn f() {\n    todo!()\n}", &["2: todo"]);
        check_code("unimplemented!(\"x\"); std::dbg!(1);", &["1: todo", "1: todo"]);
        check_code("fn todo() { f(\"todo!()\") } // todo! in prose", &[]);
    }

    #[test]
    fn silenced_lints_give_a_reason() {
        check_code("#[allow(dead_code)]", &["1: allow-reason"]);
        check_code("#![expect(\n    unused,\n)]", &["1: allow-reason"]);
        check_code("#[cfg_attr(test, allow(unused))]", &["1: allow-reason"]);
        check_code("#[allow(unused, reason = \"the macro needs it\")]", &[]);
        check_code("fn f() { x.expect(\"a proof\") } #[derive(Debug)]", &[]);
    }

    #[test]
    fn tests_run() {
        check_code("#[test]\n#[ignore]\nfn t() {}", &["2: ignore"]);
        check_code("#[cfg_attr(miri, ignore = \"slow\")]", &["1: ignore"]);
        check_code("#[serde(rename = \"ignore\")] fn ignore() {}", &[]);
    }

    #[test]
    fn tests_do_not_sleep() {
        let code = "fn f() { std::thread::sleep(d) }\n";
        check_code(code, &[]);
        check_code(&format!("#[cfg(test)]\nmod tests {{\n{code}}}"), &["3: test-sleep"]);
        let test = [("tests/a.rs", "async fn f() {\n tokio::time::sleep(d).await }")];
        check_fixture(check, &test, &["tests/a.rs:2: test-sleep"]);
    }

    #[test]
    fn code_in_comments_is_found() {
        for code in [
            "// let x = 1;",
            "    // self.fold(record)?;",
            "// pub(crate) mod tiered;",
            "// if x {",
            "// }",
            "/* return x; */",
            "// #[derive(Debug)]",
            "// Role::Leader => self.serve(),",
            "// lease_until = now;",
            "// debug!(\"x\");",
        ] {
            check_code(code, &["1: commented-out"]);
        }
    }

    #[test]
    fn prose_is_no_code() {
        for prose in [
            "// The log orders bytes; the fold judges them;",
            "// let the leader finish first",
            "/// let x = 1;",
            "//! ```\n//! use a;\n//! ```",
            "// Both constructors (see above) have checked it;",
            "// 3 * heartbeat <= lease, so two lost ones never cost leadership",
            "// 4:8 has not landed yet",
            "// \"ok. 3 passed; 0 failed; 1 ignored\"",
            "// ===== impl Log =====",
        ] {
            check_code(prose, &[]);
        }
    }
}
