//! JSON pointers (RFC 6901) and the places in a tree that they name.

use crate::path::{decode, index};
use crate::tree::Tree;
use cortado_model::limits::DOCUMENT_DEPTH_MAX;

/// The parts of a pointer, decoded; none for the whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `""` or `/a/b~1c`; `None` for anything else, and for more parts than a document can
    /// nest: what lies deeper cannot exist, and may not be built on the way either.
    pub(super) fn parse(text: &str) -> Option<Pointer> {
        if text.is_empty() {
            return Some(Pointer(Vec::new()));
        }
        let parts = text.strip_prefix('/')?.split('/').take(DOCUMENT_DEPTH_MAX + 1);
        let parts: Vec<_> = parts.map(decode).collect::<Option<_>>()?;
        (parts.len() <= DOCUMENT_DEPTH_MAX).then_some(Pointer(parts))
    }

    /// What [`parse`](Self::parse) reads as this pointer again.
    pub(super) fn to_text(&self) -> String {
        let part = |part: &String| format!("/{}", part.replace('~', "~0").replace('/', "~1"));
        self.0.iter().map(part).collect()
    }

    /// Whether `other` names something inside what this names.
    pub(super) fn is_above(&self, other: &Pointer) -> bool {
        other.0.len() > self.0.len() && other.0.starts_with(&self.0)
    }

    /// The value at this place.
    pub(super) fn find<'t, 'a>(&self, root: &'t mut Tree<'a>) -> Option<&'t mut Tree<'a>> {
        self.0.iter().try_fold(root, |tree, part| child(tree, part))
    }

    /// Takes the value at this place out. The document as a whole cannot be taken out of itself.
    pub(super) fn remove<'a>(&self, root: &mut Tree<'a>) -> Option<Tree<'a>> {
        let (last, parents) = self.0.split_last()?;
        let parent = parents.iter().try_fold(root, |tree, part| child(tree, part))?;
        parent.open();
        match parent {
            Tree::Text(_) => None,
            Tree::Array(items) => {
                let index = index(last).filter(|index| *index < items.len())?;
                Some(items.remove(index))
            }
            Tree::Object(members) => {
                let place = members.iter().position(|(name, _)| name == last)?;
                Some(members.remove(place).1)
            }
        }
    }

    /// Elements of the array that this place is in, which move if one comes or goes; 0 if it is in
    /// none, or at its end.
    pub(super) fn neighbours(&self, root: &mut Tree<'_>) -> usize {
        let Some((last, parents)) = self.0.split_last() else { return 0 };
        let Some(parent) = parents.iter().try_fold(root, |tree, part| child(tree, part)) else {
            return 0;
        };
        parent.open();
        match parent {
            Tree::Array(items) if last != "-" => items.len(),
            Tree::Array(_) | Tree::Object(_) | Tree::Text(_) => 0,
        }
    }

    /// Puts `value` at this place: replaces a member, inserts into an array.
    pub(super) fn add<'a>(&'a self, root: &mut Tree<'a>, value: Tree<'a>) -> Option<()> {
        let Some((last, parents)) = self.0.split_last() else {
            *root = value;
            return Some(());
        };
        let parent = parents.iter().try_fold(root, |tree, part| child(tree, part))?;
        parent.open();
        match parent {
            Tree::Text(_) => return None,
            Tree::Array(items) if last == "-" => items.push(value),
            Tree::Array(items) => {
                let index = index(last).filter(|index| *index <= items.len())?;
                items.insert(index, value);
            }
            Tree::Object(members) => match members.iter_mut().find(|(name, _)| name == last) {
                Some((_, old)) => *old = value,
                None => members.push((last.as_str().into(), value)),
            },
        }
        Some(())
    }
}

fn child<'t, 'a>(tree: &'t mut Tree<'a>, part: &str) -> Option<&'t mut Tree<'a>> {
    tree.open();
    match tree {
        Tree::Text(_) => None,
        Tree::Array(items) => items.get_mut(index(part)?),
        Tree::Object(members) => {
            members.iter_mut().find(|(name, _)| name == part).map(|(_, value)| value)
        }
    }
}
