//! The modules of one crate, and which file uses which.
//!
//! A file uses another one if its code, tests aside, names something that is *defined* there. A
//! re-export is seen through, however many lead on to each other. So these are no arrows: `mod x;`
//! alone; a `pub use` whose name the file itself does not need; a module that is only a step on a
//! path. A parent that uses its child and a child that uses what its parent defines are a circle.
//! Methods are not seen, since their calls name no path. Start reading at [`Modules::arrows`].

use super::paths::{Import, Named, Paths};
use crate::tidy::source::{Source, find_words};
use crate::tidy::tree::Tree;
use std::collections::BTreeMap;

/// By file: the files that it uses, and on which line first.
pub(super) type Arrows<'t> = BTreeMap<&'t str, BTreeMap<&'t str, usize>>;

/// Re-exports that may lead on to each other. There is no crate with half as many.
const STEPS_MAX: usize = 16;

/// The files of one `src` folder by the paths of their modules: `a::b`, and the empty one.
pub(super) struct Modules<'t> {
    by_path: BTreeMap<String, Module<'t>>,
}

struct Module<'t> {
    file: &'t str,
    source: &'t Source,
    paths: Paths,
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    /// The module of this path as a whole.
    Module(String),
    /// Something that is defined in the module of this path.
    Item(String),
}

impl<'t> Modules<'t> {
    /// The modules of the files in `folder`, which ends with a slash.
    pub(super) fn of(folder: &str, tree: &'t Tree) -> Modules<'t> {
        let has_library = tree.has(&format!("{folder}lib.rs"));
        let mut by_path = BTreeMap::new();
        for (file, source) in tree.sources() {
            let inside = file.strip_prefix(folder).and_then(|inside| inside.strip_suffix(".rs"));
            let path = match inside {
                Some("lib") => String::new(),
                Some("main") if !has_library => String::new(),
                // A binary of its own sees the library from outside.
                Some("main") | None => continue,
                Some(inside) if inside.starts_with("bin/") => continue,
                Some(inside) => inside.replace('/', "::"),
            };
            by_path.insert(path, Module { file, source, paths: Paths::of(source) });
        }
        Modules { by_path }
    }

    /// Which file uses which.
    pub(super) fn arrows(&self) -> Arrows<'t> {
        let mut arrows: Arrows<'t> =
            self.by_path.values().map(|module| (module.file, BTreeMap::new())).collect();
        for (path, module) in &self.by_path {
            let imports = module.paths.imports.iter().filter(|import| module.needs(import));
            let used = imports.filter_map(|import| self.used_by_import(path, import));
            let inline = module.paths.inline.iter();
            let inline = inline.filter_map(|named| Some((self.item(path, named)?, named.at)));
            for (target, at) in used.chain(inline).filter(|(target, _)| target != path) {
                let line = module.source.line_of(at);
                let known = arrows.entry(module.file).or_default();
                let first = known.entry(self.by_path[&target].file).or_insert(line);
                *first = line.min(*first);
            }
        }
        arrows
    }

    fn used_by_import(&self, path: &str, import: &Import) -> Option<(String, usize)> {
        let target = match (self.meaning(path, &import.path.parts, STEPS_MAX)?, &import.name) {
            (Meaning::Item(target), _) | (Meaning::Module(target), None) => target,
            // Where the module's name is used, the path goes on to what is meant.
            (Meaning::Module(_), Some(_)) => return None,
        };
        Some((target, import.path.at))
    }

    /// The module that defines what `named` means; `None` for a module and for other crates.
    fn item(&self, path: &str, named: &Named) -> Option<String> {
        match self.meaning(path, &named.parts, STEPS_MAX)? {
            Meaning::Item(target) => Some(target),
            Meaning::Module(_) => None,
        }
    }

    /// What `parts` mean in the module `path`; `None` if they lead out of the crate.
    fn meaning(&self, path: &str, parts: &[String], steps: usize) -> Option<Meaning> {
        let (first, mut rest) = parts.split_first()?;
        let mut meaning = match first.as_str() {
            "crate" => Meaning::Module(String::new()),
            "self" => Meaning::Module(path.to_owned()),
            "super" => Meaning::Module(parent(path)?),
            name => self.known(path, name, steps)?,
        };
        while let Meaning::Module(module) = &meaning {
            let Some((next, after)) = rest.split_first() else { return Some(meaning) };
            meaning = match next.as_str() {
                "super" => Meaning::Module(parent(module)?),
                name => self.known(module, name, steps).unwrap_or(Meaning::Item(module.clone())),
            };
            rest = after;
        }
        Some(meaning)
    }

    /// What `name` means inside the module `path`, unless it is defined there or a prelude's.
    fn known(&self, path: &str, name: &str, steps: usize) -> Option<Meaning> {
        let child = if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
        if self.by_path.contains_key(&child) {
            return Some(Meaning::Module(child));
        }
        let imports = &self.by_path.get(path)?.paths.imports;
        let steps = steps.checked_sub(1)?;
        if let Some(import) = imports.iter().find(|import| import.name.as_deref() == Some(name)) {
            return self.meaning(path, &import.path.parts, steps);
        }
        let globs = imports.iter().filter(|import| import.name.is_none());
        globs.filter_map(|import| self.meaning(path, &import.path.parts, steps)).find_map(|from| {
            match from {
                Meaning::Module(module) if self.by_path[&module].defines(name) => {
                    Some(Meaning::Item(module))
                }
                Meaning::Module(module) => self.known(&module, name, steps),
                Meaning::Item(_) => None,
            }
        })
    }
}

impl Module<'_> {
    /// Whether the file itself uses what it imports, rather than passing it on.
    fn needs(&self, import: &Import) -> bool {
        let Some(name) = import.name.as_deref().filter(|_| import.is_public) else {
            return !import.is_public;
        };
        let code = &self.source.code;
        let end_of_line = |at: usize| code[at..].find(';').map_or(code.len(), |end| at + end);
        let is_import = |at: usize| {
            let mut imports = self.paths.imports.iter();
            imports.any(|other| (other.path.at..end_of_line(other.path.at)).contains(&at))
        };
        find_words(code, name).any(|at| !self.source.is_test(at) && !is_import(at))
    }

    /// Whether an item of that name is declared in the file.
    fn defines(&self, name: &str) -> bool {
        const KEYWORDS: [&str; 8] =
            ["struct", "enum", "fn", "trait", "type", "const", "static", "union"];
        let code = &self.source.code;
        find_words(code, name).any(|at| {
            let before = code[..at].trim_end();
            KEYWORDS.iter().any(|keyword| before.ends_with(keyword))
        })
    }
}

/// The module around `path`; `None` around the whole crate.
fn parent(path: &str) -> Option<String> {
    match path.rsplit_once("::") {
        Some((parent, _)) => Some(parent.to_owned()),
        None => (!path.is_empty()).then(String::new),
    }
}
