//! Sizes that a reader can hold: functions, files, lines, pages.
//!
//! Source: STYLE.md, point 9. Start reading at [`check`].

use super::finding::{Findings, Rule};
use super::source::{Source, block_after};
use super::tree::Tree;

/// Checks every file.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for (path, file) in &tree.files {
        FILE_BYTES.check(path, 0, "the file", file.bytes, findings);
    }
    for (path, source) in tree.sources() {
        FILE_LINES.check(path, 0, "the file", source.lines_without_tests(), findings);
        check_inline_tests(path, source, findings);
        check_functions(path, source, findings);
        check_columns(path, source, findings);
    }
    if let Some(text) = tree.text("ARCHITECTURE.md") {
        let lines = text.lines().count();
        ARCHITECTURE_LINES.check("ARCHITECTURE.md", 0, "the page", lines, findings);
    }
}

const FUNCTION_LINES: Limit = Limit { rule: Rule::FunctionLines, max: 70, unit: "lines" };
const FILE_LINES: Limit = Limit { rule: Rule::FileLines, max: 600, unit: "lines without tests" };
const INLINE_TEST_LINES: Limit = Limit { rule: Rule::InlineTestLines, max: 150, unit: "lines" };
const LINE_COLUMNS: Limit = Limit { rule: Rule::LineColumns, max: 100, unit: "columns" };
const FILE_BYTES: Limit = Limit { rule: Rule::FileBytes, max: 512 * 1024, unit: "bytes" };
const ARCHITECTURE_LINES: Limit = Limit { rule: Rule::PageLines, max: 300, unit: "lines" };
/// Of a crate's README.
pub(super) const README_LINES: Limit = Limit { rule: Rule::PageLines, max: 40, unit: "lines" };

/// A size that nothing may pass without an exemption that holds it where it is.
pub(super) struct Limit {
    rule: Rule,
    max: usize,
    unit: &'static str,
}

impl Limit {
    /// Adds a finding if `what` has a size above the limit.
    pub(super) fn check(
        &self,
        path: &str,
        line: usize,
        what: &str,
        found: usize,
        findings: &mut Findings,
    ) {
        if found > self.max {
            let detail = format!("{what} has {found} {}, limit {}", self.unit, self.max);
            findings.add_size(path, line, self.rule.clone(), found, detail);
        }
    }
}

fn check_inline_tests(path: &str, source: &Source, findings: &mut Findings) {
    for block in source.test_blocks() {
        let what = "the block of tests, which may stand in a tests.rs beside the file,";
        INLINE_TEST_LINES.check(path, block.start, what, block.len(), findings);
    }
}

/// From the line of `fn` to that of the closing brace, both counted.
fn check_functions(path: &str, source: &Source, findings: &mut Findings) {
    for at in source.find_words("fn") {
        let Some(name) = name_after(&source.code[at + 2..]) else { continue };
        let Some(body) = block_after(&source.code, at) else { continue };
        let first = source.line_of(at);
        let lines = source.line_of(body.end - 1) - first + 1;
        FUNCTION_LINES.check(path, first, &format!("the function `{name}`"), lines, findings);
    }
}

/// The identifier that follows `fn`; a function pointer has none.
fn name_after(rest: &str) -> Option<&str> {
    let name = rest.trim_start();
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then(|| &name[..end])
}

fn check_columns(path: &str, source: &Source, findings: &mut Findings) {
    for (index, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        LINE_COLUMNS.check(path, index + 1, "the line", columns, findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_fixture;

    #[track_caller]
    fn check_text(path: &str, text: &str, want: &[&str]) {
        check_fixture(check, &[(path, text)], want);
    }

    fn function(lines: usize) -> String {
        format!("fn f(a: [u8; 3]) -> u8 {{\n{}}}\n", "    g(\"{\");\n".repeat(lines - 2))
    }

    #[test]
    fn functions_have_70_lines() {
        check_text("src/a.rs", &function(70), &[]);
        check_text("src/a.rs", &function(71), &["src/a.rs:1: function-lines"]);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(80));
        check_text("src/a.rs", &tests, &["src/a.rs:3: function-lines"]);
        check_text("src/a.rs", "type F = fn(u8) -> u8;\nfn f();\n", &[]);
    }

    #[test]
    fn files_have_600_lines_without_tests() {
        let code = "use a;\n".repeat(600);
        check_text("src/a.rs", &code, &[]);
        check_text("src/a.rs", &format!("{code}use b;\n"), &["src/a.rs:0: file-lines"]);
        check_text("src/a/tests.rs", &format!("{code}use b;\n"), &[]);
        let tests = "#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
        check_text("src/a.rs", &format!("{code}{tests}"), &[]);
    }

    #[test]
    fn tests_inside_a_file_have_150_lines() {
        let tests = |lines: usize| {
            format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    use a;\n".repeat(lines - 3))
        };
        check_text("src/a.rs", &tests(150), &[]);
        check_text("src/a.rs", &tests(151), &["src/a.rs:1: inline-test-lines"]);
    }

    #[test]
    fn lines_have_100_columns() {
        let line = |columns: usize| format!("// {}\n", "é".repeat(columns - 3));
        check_text("src/a.rs", &line(100), &[]);
        check_text("src/a.rs", &line(101), &["src/a.rs:1: line-columns"]);
        check_text("notes.md", &line(101), &[]);
    }

    #[test]
    fn large_files_and_long_pages_are_found() {
        check_text("sample.bin", &"x".repeat(512 * 1024), &[]);
        check_text("sample.bin", &"x".repeat(512 * 1024 + 1), &["sample.bin:0: file-bytes"]);
        check_text("ARCHITECTURE.md", &"x\n".repeat(300), &[]);
        check_text("ARCHITECTURE.md", &"x\n".repeat(301), &["ARCHITECTURE.md:0: page-lines"]);
    }
}
