//! Partial updates of a document: merge patch (RFC 7396) and JSON patch (RFC 6902).
//!
//! Works on text: members that a patch does not name keep their order, and their numbers keep
//! every digit. Start reading at [`MergePatch`], the simple one.

mod pointer;
mod steps;
#[cfg(test)]
mod tests;

pub use steps::JsonPatch;

use crate::document::Document;
use crate::json::{self, JsonError, JsonLimits};
use crate::tree::{self, Tree};
use bytes::Bytes;
use cortado_model::limits::{BODY_BYTES_MAX, DOCUMENT_DEPTH_MAX};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A partial document; `null` removes a member, arrays are replaced whole. RFC 7396.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergePatch {
    /// Compact JSON, checked.
    text: String,
}

impl MergePatch {
    /// Checks a patch as strictly as a document, but for its size, which the body bounds.
    ///
    /// # Errors
    /// The rule that `bytes` break.
    pub fn parse(bytes: &[u8]) -> Result<MergePatch, JsonError> {
        const LIMITS: JsonLimits = JsonLimits { bytes_max: BODY_BYTES_MAX, ..JsonLimits::DOCUMENT };
        Ok(MergePatch { text: checked_text(bytes, &LIMITS)? })
    }

    /// What [`parse`](Self::parse) reads as this patch again: compact JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The document that `current` becomes.
    ///
    /// # Errors
    /// [`PatchError::Refused`] if the result is no acceptable document.
    pub fn apply(&self, current: &[u8]) -> Result<Document, PatchError> {
        let current = std::str::from_utf8(current).map_err(|_| PatchError::Damaged)?;
        finish(&merge(Tree::Text(current), &self.text))
    }
}

/// `MergePatch` of RFC 7396, section 2. Recursion is bounded by the depth of the patch.
fn merge<'a>(current: Tree<'a>, patch: &'a str) -> Tree<'a> {
    let Some(changes) = tree::members(patch) else {
        return Tree::Text(patch);
    };
    let mut slots: Vec<_> = match opened(current) {
        Tree::Object(members) => members.into_iter().map(Some).collect(),
        Tree::Array(_) | Tree::Text(_) => Vec::new(),
    };
    let mut places: BTreeMap<Cow<'a, str>, usize> = BTreeMap::new();
    for (place, (name, _)) in slots.iter().flatten().enumerate() {
        places.insert(name.clone(), place);
    }
    for (name, change) in changes {
        let place = places.get(&name).copied();
        let slot = place.and_then(|place| slots.get_mut(place));
        match (slot, change) {
            (Some(slot), "null") => *slot = None,
            (Some(slot), change) => {
                let before = slot.take().map_or(Tree::Text("null"), |(_, value)| value);
                *slot = Some((name, merge(before, change)));
            }
            (None, "null") => {}
            (None, change) => slots.push(Some((name, merge(Tree::Text("null"), change)))),
        }
    }
    Tree::Object(slots.into_iter().flatten().collect())
}

fn opened(mut tree: Tree<'_>) -> Tree<'_> {
    tree.open();
    tree
}

/// Checks `bytes` and keeps them without white space.
fn checked_text(bytes: &[u8], limits: &JsonLimits) -> Result<String, JsonError> {
    json::check_json(bytes, limits)?;
    // The check has seen that it is UTF-8, and removing white space leaves it so.
    Ok(String::from_utf8_lossy(&json::compact(bytes)).into_owned())
}

/// Writes a patched tree and checks that it may be stored.
fn finish(tree: &Tree<'_>) -> Result<Document, PatchError> {
    let mut text = String::new();
    tree.write(&mut text);
    Document::parse(Bytes::from(text)).map_err(PatchError::Refused)
}

/// Why a patch has no result. The document is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Not a patch: the rule of JSON that its text breaks.
    #[error(transparent)]
    Json(JsonError),
    /// A JSON patch is an array, and this is something else.
    #[error("a JSON patch must be an array of operations")]
    NotAnArray,
    /// More steps than allowed.
    #[error("more than {steps_max} operations")]
    TooManySteps {
        /// The limit.
        steps_max: usize,
    },
    /// A step is no object, or its `op` is unknown, or a member that it needs is missing.
    #[error("operation {step} of the patch is malformed")]
    BadStep {
        /// Counted from 0.
        step: usize,
    },
    /// `path` or `from` is no JSON pointer (RFC 6901), or deeper than a document can be.
    #[error(
        "operation {step} of the patch has an invalid pointer (at most {DOCUMENT_DEPTH_MAX} parts)"
    )]
    BadPointer {
        /// Counted from 0.
        step: usize,
    },
    /// A `test` found another value, or none.
    #[error("the test in operation {step} of the patch failed")]
    TestFailed {
        /// Counted from 0.
        step: usize,
    },
    /// There is nothing where the step says.
    #[error("operation {step} of the patch names a path that does not exist")]
    NoSuchPlace {
        /// Counted from 0.
        step: usize,
    },
    /// A `move` into its own inside.
    #[error("operation {step} of the patch moves a value into itself")]
    IntoItself {
        /// Counted from 0.
        step: usize,
    },
    /// The steps copy more than any document can hold.
    #[error("the patch copies more than {bytes_max} bytes")]
    CopiesTooMuch {
        /// The limit, for all steps together.
        bytes_max: usize,
    },
    /// The steps move and compare more than any useful patch does.
    #[error("the patch takes too long; use fewer operations, or smaller arrays and tests")]
    TooMuchWork,
    /// The result is no acceptable document.
    #[error("the patched document is refused: {0}")]
    Refused(JsonError),
    /// The stored document is not what was stored.
    #[error("the stored document is damaged")]
    Damaged,
}
