//! Finds what a schema refers to, before anything follows the references.
//!
//! A reference must stay inside its schema, and following references alone must not lead in a
//! circle: a circle is only finite if each turn descends into the document.

use super::schema_error::{SchemaError, shorten};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Checks all references of `root`.
///
/// # Errors
/// [`SchemaError::Reference`] or [`SchemaError::Endless`].
pub(super) fn check(root: &Value) -> Result<(), SchemaError> {
    let mut graph = Graph { root, edges: BTreeMap::new() };
    graph.visit(root, "#")?;
    let mut states = BTreeMap::new();
    graph.edges.keys().try_for_each(|from| graph.descend(from, &mut states))
}

/// Which schemas apply to the same value as the schema at a pointer.
struct Graph<'a> {
    root: &'a Value,
    /// Pointers in URI fragment form (`#/$defs/a`) of all schemas seen, and where they lead.
    edges: BTreeMap<String, Vec<String>>,
}

enum State {
    Open,
    Done,
}

/// Keywords that apply one schema to the same value.
const SAME_VALUE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords that apply a list of schemas to the same value.
const SAME_VALUE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords that apply named schemas to the same value, or only hold them (`$defs`).
const NAMED: [&str; 6] =
    ["dependentSchemas", "dependencies", "properties", "patternProperties", "$defs", "definitions"];
/// Keywords that apply schemas to a part of the value.
const PARTS: [&str; 8] = [
    "items",
    "prefixItems",
    "additionalItems",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];

impl<'a> Graph<'a> {
    /// Records the edges of `schema` and of every schema inside it and behind its references.
    fn visit(&mut self, schema: &'a Value, at: &str) -> Result<(), SchemaError> {
        let Value::Object(keywords) = schema else {
            return Ok(());
        };
        if self.edges.contains_key(at) {
            return Ok(());
        }
        self.edges.insert(at.to_owned(), Vec::new());
        self.check_identity(keywords, at)?;
        let mut same_value = Vec::new();
        for name in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(Value::String(reference)) = keywords.get(name) {
                same_value.extend(self.resolve(reference, at)?);
            }
        }
        let mut parts = Vec::new();
        for (keyword, value) in keywords {
            let inside = format!("{at}/{}", escape(keyword));
            match value {
                Value::Array(list) => {
                    let list = list.iter().enumerate().map(|(i, s)| (format!("{inside}/{i}"), s));
                    if SAME_VALUE_LISTS.contains(&keyword.as_str()) {
                        same_value.extend(list);
                    } else if PARTS.contains(&keyword.as_str()) {
                        parts.extend(list);
                    }
                }
                Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                    let list = named.iter().map(|(n, s)| (format!("{inside}/{}", escape(n)), s));
                    let same = keyword.starts_with("dep");
                    if same { same_value.extend(list) } else { parts.extend(list) }
                }
                Value::Object(_) if SAME_VALUE.contains(&keyword.as_str()) => {
                    same_value.push((inside, value));
                }
                Value::Object(_) if PARTS.contains(&keyword.as_str()) => {
                    parts.push((inside, value));
                }
                _ => {}
            }
        }
        let pointers = same_value.iter().map(|(pointer, _)| pointer.clone()).collect();
        self.edges.insert(at.to_owned(), pointers);
        same_value.into_iter().chain(parts).try_for_each(|(at, schema)| self.visit(schema, &at))
    }

    /// Refuses an `$id` below the root: it would change what references mean.
    fn check_identity(&self, keywords: &Map<String, Value>, at: &str) -> Result<(), SchemaError> {
        let old = self.root.get("$schema").is_some_and(|draft| draft.to_string().contains("-04/"));
        let identity = keywords.get(if old { "id" } else { "$id" });
        if at != "#" && identity.is_some_and(Value::is_string) {
            return Err(SchemaError::Reference { path: shorten(&at[1..]) });
        }
        Ok(())
    }

    /// The schemas that a reference may lead to.
    fn resolve(&self, reference: &str, at: &str) -> Result<Vec<(String, &'a Value)>, SchemaError> {
        let nowhere = || SchemaError::Reference { path: shorten(&at[1..]) };
        let fragment = reference.strip_prefix('#').ok_or_else(nowhere)?;
        if fragment.is_empty() || fragment.starts_with('/') {
            // A percent sign would give one schema two names, and hide a circle.
            let plain = !fragment.contains('%');
            let target = self.root.pointer(fragment).filter(|_| plain).ok_or_else(nowhere)?;
            return Ok(vec![(reference.to_owned(), target)]);
        }
        let mut found = Vec::new();
        anchored(self.root, "#", fragment, &mut found);
        if found.is_empty() { Err(nowhere()) } else { Ok(found) }
    }

    fn descend(&self, from: &str, states: &mut BTreeMap<String, State>) -> Result<(), SchemaError> {
        match states.get(from) {
            Some(State::Done) => return Ok(()),
            Some(State::Open) => return Err(SchemaError::Endless { path: shorten(&from[1..]) }),
            None => {}
        }
        states.insert(from.to_owned(), State::Open);
        for to in self.edges.get(from).into_iter().flatten() {
            self.descend(to, states)?;
        }
        states.insert(from.to_owned(), State::Done);
        Ok(())
    }
}

/// Finds every schema that bears the anchor `name`, wherever it stands.
fn anchored<'a>(value: &'a Value, at: &str, name: &str, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(members) => {
            let bears = |keyword| members.get(keyword).and_then(Value::as_str) == Some(name);
            if bears("$anchor") || bears("$dynamicAnchor") {
                found.push((at.to_owned(), value));
            }
            for (member, inside) in members {
                anchored(inside, &format!("{at}/{}", escape(member)), name, found);
            }
        }
        Value::Array(items) => {
            for (i, inside) in items.iter().enumerate() {
                anchored(inside, &format!("{at}/{i}"), name, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A member's name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
