//! JSON patch: a list of steps, all of which succeed or none is done.

use super::pointer::Pointer;
use super::{PatchError, checked_text, finish};
use crate::document::Document;
use crate::json::{Json, JsonLimits};
use crate::tree::{self, Member, Tree};
use cortado_model::limits::{DOCUMENT_BYTES_MAX, OPERATIONS_MAX};

/// Steps applied in order. RFC 6902.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPatch {
    steps: Vec<Step>,
}

/// One step of a patch; values are compact JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Add { path: Pointer, value: String },
    Remove { path: Pointer },
    Replace { path: Pointer, value: String },
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test { path: Pointer, value: String },
}

/// Bytes that the `copy` steps of one patch may copy: doubling a document a thousand times would
/// pass any memory, and no useful patch copies more than some documents' worth.
const COPIED_BYTES_MAX: usize = 8 * DOCUMENT_BYTES_MAX;

/// Bytes that the steps of one patch may move, in memory: about a tenth of a second.
const WORK_BYTES_MAX: usize = 1_024 * DOCUMENT_BYTES_MAX;
/// To compare a byte takes as long as to move so many.
const BYTES_PER_COMPARED: usize = 8;

/// What the steps of a patch have moved and compared so far.
struct Work {
    bytes: usize,
}

impl Work {
    fn add(&mut self, bytes: usize) -> Result<(), PatchError> {
        self.bytes += bytes;
        let is_too_much = self.bytes > WORK_BYTES_MAX;
        if is_too_much { Err(PatchError::TooMuchWork) } else { Ok(()) }
    }

    fn add_moved(&mut self, elements: usize) -> Result<(), PatchError> {
        self.add(elements * size_of::<Tree<'_>>())
    }
}

impl JsonPatch {
    /// Reads at most 1,000 steps.
    ///
    /// # Errors
    /// [`PatchError::Json`], `NotAnArray`, `TooManySteps`, `BadStep` or `BadPointer`.
    pub fn parse(bytes: &[u8]) -> Result<JsonPatch, PatchError> {
        let text = checked_text(bytes, &JsonLimits::BODY).map_err(PatchError::Json)?;
        let items = tree::items(&text).ok_or(PatchError::NotAnArray)?;
        if items.len() > OPERATIONS_MAX {
            return Err(PatchError::TooManySteps { steps_max: OPERATIONS_MAX });
        }
        let steps = items.iter().enumerate().map(|(step, text)| parse_step(step, text));
        Ok(JsonPatch { steps: steps.collect::<Result<_, _>>()? })
    }

    /// What [`parse`](Self::parse) reads as this patch again: compact JSON, no longer than what it
    /// was read from.
    pub fn to_text(&self) -> String {
        let mut text = String::from("[");
        for (place, step) in self.steps.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            step.write(&mut text);
        }
        text.push(']');
        text
    }

    /// How many steps there are.
    pub(crate) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The document that `current` becomes.
    ///
    /// # Errors
    /// The first step that fails, or [`PatchError::Refused`] if the result may not be stored.
    pub fn apply(&self, current: &[u8]) -> Result<Document, PatchError> {
        let current = std::str::from_utf8(current).map_err(|_| PatchError::Damaged)?;
        let mut root = Tree::Text(current);
        let mut copied_bytes = 0;
        let mut work = Work { bytes: 0 };
        for (step, action) in self.steps.iter().enumerate() {
            let nowhere = PatchError::NoSuchPlace { step };
            match action {
                Step::Add { path, value } => {
                    work.add_moved(path.neighbours(&mut root))?;
                    path.add(&mut root, Tree::Text(value))
                }
                Step::Remove { path } => {
                    work.add_moved(path.neighbours(&mut root))?;
                    path.remove(&mut root).map(drop)
                }
                Step::Replace { path, value } => {
                    path.find(&mut root).map(|old| *old = Tree::Text(value))
                }
                Step::Move { from, path } if from.is_above(path) => {
                    return Err(PatchError::IntoItself { step });
                }
                Step::Move { from, path } => {
                    let moved = from.neighbours(&mut root) + path.neighbours(&mut root);
                    work.add_moved(moved)?;
                    from.remove(&mut root).and_then(|value| path.add(&mut root, value))
                }
                Step::Copy { from, path } => {
                    let value = from.find(&mut root).ok_or(nowhere.clone())?.clone();
                    copied_bytes += written(&value).len();
                    if copied_bytes > COPIED_BYTES_MAX {
                        return Err(PatchError::CopiesTooMuch { bytes_max: COPIED_BYTES_MAX });
                    }
                    work.add_moved(path.neighbours(&mut root))?;
                    path.add(&mut root, value)
                }
                Step::Test { path, value } => {
                    let found = path.find(&mut root);
                    let compared = found.as_ref().map_or(0, |found| length(found));
                    work.add(compared * BYTES_PER_COMPARED)?;
                    let same = found.zip(Json::read(value));
                    let same = same.is_some_and(|(found, want)| is_same(found, &want));
                    Some(same.then_some(()).ok_or(PatchError::TestFailed { step })?)
                }
            }
            .ok_or(nowhere)?;
        }
        finish(&root)
    }
}

impl Step {
    fn write(&self, out: &mut String) {
        let (op, path, from, value) = match self {
            Step::Add { path, value } => ("add", path, None, Some(value)),
            Step::Remove { path } => ("remove", path, None, None),
            Step::Replace { path, value } => ("replace", path, None, Some(value)),
            Step::Move { from, path } => ("move", path, Some(from), None),
            Step::Copy { from, path } => ("copy", path, Some(from), None),
            Step::Test { path, value } => ("test", path, None, Some(value)),
        };
        let quoted = |pointer: &Pointer| serde_json::Value::from(pointer.to_text()).to_string();
        out.push_str(&format!("{{\"op\":\"{op}\",\"path\":{}", quoted(path)));
        if let Some(from) = from {
            out.push_str(&format!(",\"from\":{}", quoted(from)));
        }
        if let Some(value) = value {
            out.push_str(&format!(",\"value\":{value}"));
        }
        out.push('}');
    }
}

fn parse_step(step: usize, text: &str) -> Result<Step, PatchError> {
    let bad = || PatchError::BadStep { step };
    let members = tree::members(text).ok_or_else(bad)?;
    let member = |name: &str| members.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
    let string = |name: &str| -> Result<String, PatchError> {
        serde_json::from_str(member(name).ok_or_else(bad)?).map_err(|_| bad())
    };
    let pointer = |name: &str| -> Result<Pointer, PatchError> {
        Pointer::parse(&string(name)?).ok_or(PatchError::BadPointer { step })
    };
    let value = || member("value").map(str::to_owned).ok_or_else(bad);
    let path = pointer("path")?;
    Ok(match string("op")?.as_str() {
        "add" => Step::Add { path, value: value()? },
        "remove" => Step::Remove { path },
        "replace" => Step::Replace { path, value: value()? },
        "move" => Step::Move { from: pointer("from")?, path },
        "copy" => Step::Copy { from: pointer("from")?, path },
        "test" => Step::Test { path, value: value()? },
        _ => return Err(bad()),
    })
}

/// Bytes of text, or elements, that a comparison may look at.
fn length(tree: &Tree<'_>) -> usize {
    match tree {
        Tree::Text(text) => text.len(),
        Tree::Array(items) => items.iter().map(length).sum(),
        Tree::Object(members) => members.iter().map(|(_, value)| length(value)).sum(),
    }
}

fn written(tree: &Tree<'_>) -> String {
    let mut text = String::new();
    tree.write(&mut text);
    text
}

/// Equality of RFC 6902, section 4.6: numbers by value, objects without order. Looks no deeper into
/// the document than the comparison takes, and leaves it as it is written.
fn is_same(found: &Tree<'_>, want: &Json<'_>) -> bool {
    match (found, want) {
        (Tree::Text(text), Json::Array(_) | Json::Object(_)) => {
            let mut opened = Tree::Text(text);
            opened.open();
            !matches!(opened, Tree::Text(_)) && is_same(&opened, want)
        }
        // No scalar is an array or an object, which might be long.
        (Tree::Text(text), _) if text.starts_with(['[', '{']) => false,
        (Tree::Text(text), want) => Json::read(text).is_some_and(|found| found == *want),
        (Tree::Array(items), Json::Array(want)) => {
            items.len() == want.len() && items.iter().zip(want).all(|(i, want)| is_same(i, want))
        }
        (Tree::Object(members), Json::Object(want)) => {
            let in_want = |(name, value): &Member<'_>| {
                want.get(name).is_some_and(|want| is_same(value, want))
            };
            members.len() == want.len() && members.iter().all(in_want)
        }
        (Tree::Array(_) | Tree::Object(_), _) => false,
    }
}
