//! The files that tidy looks at: what git tracks, and what it would track.
//!
//! Reads each file once. Start reading at [`Tree`].

use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The files of a checkout.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// By path from the root.
    pub(super) files: BTreeMap<String, File>,
    folders: BTreeSet<String>,
}

/// One file.
#[derive(Debug)]
pub(super) struct File {
    /// Its size.
    pub(super) bytes: usize,
    /// Its text; `None` when it is not UTF-8 or holds a NUL.
    pub(super) text: Option<String>,
    /// Its text taken apart; `None` unless it is Rust.
    pub(super) source: Option<Source>,
}

impl Tree {
    /// Reads the files of the checkout at `root`, ignored ones left out.
    ///
    /// # Errors
    /// A sentence: git failed, or a file could not be read.
    pub(super) fn load(root: &Path) -> Result<Tree, String> {
        let mut git = Command::new("git");
        git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
        let output =
            git.current_dir(root).output().map_err(|error| format!("cannot run git: {error}"))?;
        if !output.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let names = String::from_utf8(output.stdout)
            .map_err(|_| "a file name in the repository is not UTF-8".to_owned())?;
        let mut tree = Tree::default();
        for name in names.split_terminator('\0') {
            let path = root.join(name);
            // Links and deleted files have no content of their own.
            if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
                let bytes = fs::read(&path).map_err(|error| format!("{name}: {error}"))?;
                tree.insert(name, bytes);
            }
        }
        Ok(tree)
    }

    /// A tree of the given paths and texts.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        files.iter().for_each(|(path, text)| tree.insert(path, text.as_bytes().to_vec()));
        tree
    }

    fn insert(&mut self, path: &str, content: Vec<u8>) {
        let bytes = content.len();
        let text = String::from_utf8(content).ok().filter(|text| !text.contains('\0'));
        let source = match &text {
            Some(text) if path.ends_with(".rs") => Some(Source::new(path, text)),
            _ => None,
        };
        let above = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        self.folders.extend(above);
        self.files.insert(path.to_owned(), File { bytes, text, source });
    }

    /// The files that are text.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, file)| Some((path.as_str(), file.text.as_deref()?)))
    }

    /// The files that are Markdown.
    pub(super) fn pages(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".md"))
    }

    /// The files that are Rust.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.files.iter().filter_map(|(path, file)| Some((path.as_str(), file.source.as_ref()?)))
    }

    /// The text of the file at `path`.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.text.as_deref()
    }

    /// Whether there is a file or a folder at `path`; the empty path is the root.
    pub(super) fn has(&self, path: &str) -> bool {
        path.is_empty() || self.files.contains_key(path) || self.folders.contains(path)
    }
}
