//! The paths of a Rust file: what its `use` lines bring in, and what its code names in full.
//!
//! Reads shapes, not grammar; tests are left out. Start reading at [`Paths::of`].

use crate::tidy::source::Source;
use std::ops::Range;

/// What a file names outside of its tests.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Of its `use` lines.
    pub(super) imports: Vec<Import>,
    /// In its code.
    pub(super) inline: Vec<Named>,
}

/// One name that a `use` line brings in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// What it stands for; of a glob, what stands before the `*`.
    pub(super) path: Named,
    /// What it is called here; `None` for a glob.
    pub(super) name: Option<String>,
    /// Whether it says `pub` of any kind: whether it may be there for others only.
    pub(super) is_public: bool,
}

/// A path such as `super::finding::Rule`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its parts.
    pub(super) parts: Vec<String>,
    /// Where it, or its `use` line, begins.
    pub(super) at: usize,
}

impl Paths {
    /// Reads the code of `source`.
    pub(super) fn of(source: &Source) -> Paths {
        let mut paths = Paths::default();
        let uses: Vec<Range<usize>> = use_lines(source).collect();
        for range in uses.iter().filter(|range| !source.is_test(range.start)) {
            let is_public = says_public(&source.code[..range.start]);
            let tree = &source.code[range.start + "use".len()..range.end];
            add_tree(tree, &[], range.start, is_public, &mut paths.imports);
        }
        let mut at = 0;
        while let Some(named) = next_path(&source.code, at) {
            at = named.at + named.parts[0].len();
            let is_import = uses.iter().any(|range| range.contains(&named.at));
            if !is_import && !source.is_test(named.at) {
                paths.inline.push(named);
            }
        }
        paths
    }
}

/// The `use` declarations, from the word to before the semicolon.
fn use_lines(source: &Source) -> impl Iterator<Item = Range<usize>> + '_ {
    source.find_words("use").filter_map(|at| {
        let rest = &source.code[at + "use".len()..];
        // `impl Trait + use<'a>` declares nothing.
        let begins_path = rest.trim_start().starts_with(|c: char| is_part(c) || c == '{');
        let end = rest.find(';').filter(|_| begins_path)?;
        Some(at..at + "use".len() + end)
    })
}

/// Whether a declaration that follows `before` is visible to others.
fn says_public(before: &str) -> bool {
    let before = before.trim_end();
    let bare = match before.strip_suffix(')') {
        Some(inside) => inside.rsplit_once('(').map_or("", |(outside, _)| outside),
        None => before,
    };
    bare.ends_with("pub")
}

/// Adds what one tree of a `use` line brings in.
///
/// * `before`: the parts of the path that the tree stands behind.
fn add_tree(tree: &str, before: &[String], at: usize, is_public: bool, out: &mut Vec<Import>) {
    let tree = tree.trim();
    if let Some(inside) = tree.strip_prefix('{') {
        let inside = inside.strip_suffix('}').unwrap_or(inside);
        split_outside_braces(inside).for_each(|each| add_tree(each, before, at, is_public, out));
        return;
    }
    let mut parts = before.to_vec();
    if let Some((first, rest)) = tree.split_once("::") {
        parts.push(first.trim().to_owned());
        return add_tree(rest, &parts, at, is_public, out);
    }
    let (part, name) = tree
        .split_once(" as ")
        .map_or((tree, None), |(part, name)| (part.trim(), Some(name.trim().to_owned())));
    let name = match part {
        "" => return,
        "*" => None,
        "self" => Some(name.or_else(|| parts.last().cloned()).unwrap_or_default()),
        part => {
            parts.push(part.to_owned());
            Some(name.unwrap_or_else(|| part.to_owned()))
        }
    };
    out.push(Import { path: Named { parts, at }, name, is_public });
}

/// The pieces of `text` between its commas, those inside braces left alone.
fn split_outside_braces(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

/// The first path of at least two parts that begins at or after `from`.
fn next_path(code: &str, from: usize) -> Option<Named> {
    let mut at = from;
    loop {
        at += code[at..].find(is_part)?;
        let first = word(&code[at..]);
        let goes_on = code[at + first.len()..].starts_with("::");
        let before = code[..at].trim_end();
        // Parts of a path begin nothing; `pub(in a::b)` names who may look, not what is used.
        let begins = !before.ends_with("::") && !code[..at].ends_with("in ");
        if goes_on && begins && !first.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(Named { parts: parts_of(&code[at..]), at });
        }
        at += first.len();
    }
}

/// The parts of the path that `code` begins with.
fn parts_of(code: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = code;
    loop {
        let part = word(rest);
        if part.is_empty() {
            return parts;
        }
        parts.push(part.to_owned());
        match rest[part.len()..].strip_prefix("::") {
            Some(after) => rest = after,
            None => return parts,
        }
    }
}

/// The word that `code` begins with.
fn word(code: &str) -> &str {
    &code[..code.find(|c| !is_part(c)).unwrap_or(code.len())]
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
