//! A Rust file taken apart: code, comments, and which lines are tests.
//!
//! Knows the shape of tokens and nothing of grammar: enough to tell a comment from a string and to
//! find the end of a block. Text that is no Rust is taken apart all the same. Start at [`Source`].

mod lexer;

use std::ops::Range;

pub(super) use lexer::{Comment, CommentKind};

/// A Rust file.
#[derive(Debug)]
pub(super) struct Source {
    /// As it stands in the file.
    pub(super) text: String,
    /// The same length and lines, with comments and the insides of literals blanked by spaces.
    pub(super) code: String,
    /// In order.
    pub(super) comments: Vec<Comment>,
    /// Whether the file as a whole is tests or benches.
    is_test_file: bool,
    /// Bytes of items under `#[cfg(test)]`.
    test_regions: Vec<Range<usize>>,
    /// Where each line begins.
    line_starts: Vec<usize>,
}

impl Source {
    /// Takes the file at `path` apart.
    pub(super) fn new(path: &str, text: &str) -> Source {
        let lexer::Parts { code, comments } = lexer::take_apart(text);
        let test_regions = test_regions(&code);
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Source {
            text: text.to_owned(),
            comments,
            is_test_file: is_test_path(path),
            test_regions,
            line_starts: std::iter::once(0).chain(newlines).collect(),
            code,
        }
    }

    /// The 1-based line of a byte position.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    /// Whether the byte at `at` belongs to tests.
    pub(super) fn is_test(&self, at: usize) -> bool {
        self.is_test_file || self.test_regions.iter().any(|region| region.contains(&at))
    }

    /// Lines outside tests; 0 for a file of tests.
    pub(super) fn lines_without_tests(&self) -> usize {
        if self.is_test_file {
            return 0;
        }
        let tests: usize = self.test_blocks().map(|lines| lines.len()).sum();
        self.text.lines().count() - tests
    }

    /// Lines, 1-based, of each block of tests inside a file that is not all tests.
    pub(super) fn test_blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let regions = self.test_regions.iter().filter(|_| !self.is_test_file);
        regions.map(|region| self.line_of(region.start)..self.line_of(region.end - 1) + 1)
    }

    /// Where `word` stands in the code as a word of its own.
    pub(super) fn find_words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        find_words(&self.code, word)
    }

    /// The code outside tests, each run of blanks as one space: what a fingerprint is made of.
    ///
    /// Comments and tests may change without changing what is written to disk; literals may not.
    pub(super) fn essence(&self) -> String {
        let mut kept = String::new();
        let mut at = 0;
        for region in &self.test_regions {
            self.push_code(at..region.start, &mut kept);
            at = region.end;
        }
        self.push_code(at..self.text.len(), &mut kept);
        kept.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Appends the text of `range` without its comments.
    fn push_code(&self, range: Range<usize>, kept: &mut String) {
        let mut at = range.start;
        for comment in self.comments.iter().filter(|comment| range.contains(&comment.start)) {
            kept.push_str(&self.text[at..comment.start]);
            kept.push(' ');
            at = comment.end;
        }
        kept.push_str(&self.text[at..range.end.max(at)]);
    }
}

/// Where `word` stands in `text` as a word of its own.
pub(super) fn find_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[*at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Byte range of the block that begins at the first `{` of `code` at or after `from`, outside
/// parentheses and brackets; or up to the `;` that stands there instead.
pub(super) fn block_after(code: &str, from: usize) -> Option<Range<usize>> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return Some(from..at + 1),
            b'{' if depth == 0 => return Some(from..closing_brace(code, at)? + 1),
            _ => {}
        }
    }
    None
}

/// Where the brace that opens at `open` is closed.
fn closing_brace(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The items under `#[cfg(test)]`, attribute included, in order and without overlap.
fn test_regions(code: &str) -> Vec<Range<usize>> {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut regions: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices(ATTRIBUTE) {
        let inside_last = regions.last().is_some_and(|region| at < region.end);
        if inside_last {
            continue;
        }
        if let Some(item) = block_after(code, at + ATTRIBUTE.len()) {
            regions.push(at..item.end);
        }
    }
    regions
}

/// Whether everything in the file at `path` is tests or benches, by its place.
fn is_test_path(path: &str) -> bool {
    let mut parts = path.split('/');
    let name = parts.next_back().unwrap_or(path);
    name == "tests.rs" || parts.any(|part| part == "tests" || part == "benches")
}

#[cfg(test)]
mod tests;
