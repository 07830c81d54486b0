//! What is wrong with a document that its schema refuses: a few places, and what they must be.
//!
//! Goes down to the members and items that are refused; where a schema has alternatives, none of
//! them is to blame. Start reading at [`Evaluation::violations`].

use super::{Evaluation, Judged};
use crate::budget::TooExpensive;
use crate::json::Json;
use crate::path::{Path, cut};
use crate::schema::assertion::Assertion;
use crate::schema::rules::{Keyword, Properties, SchemaNumber};
use crate::schema::scopes::ScopeNumber;
use std::collections::BTreeSet;

/// Violations that one answer lists at most.
const VIOLATIONS_MAX: usize = 20;

/// One rule of the schema that a document breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the document: a JSON pointer, cut after 256 bytes.
    pub path: String,
    /// What the schema demands there.
    pub why: String,
}

/// What was found so far.
struct List {
    found: Vec<Violation>,
    /// Subschemas that have listed a place already.
    listed: BTreeSet<(SchemaNumber, ScopeNumber, *const ())>,
}

/// A subschema at a place of the document.
#[derive(Clone, Copy)]
struct Place<'p, 'd> {
    scope: ScopeNumber,
    at: &'p Json<'d>,
    path: &'p Path<'p>,
}

impl List {
    fn is_full(&self) -> bool {
        self.found.len() >= VIOLATIONS_MAX
    }

    fn add(&mut self, path: &Path<'_>, why: String) {
        if !self.is_full() {
            self.found.push(Violation { path: path.to_text(), why });
        }
    }
}

const NO_OTHERS: &str = "must have no other members than the schema names";

impl<'s> Evaluation<'s> {
    /// The first 20 violations of a document that is not valid, never with a value of it; as many
    /// as the steps that are left show, and at least one.
    pub(crate) fn violations(&mut self, document: &Json<'_>) -> Vec<Violation> {
        let mut list = List { found: Vec::new(), listed: BTreeSet::new() };
        self.depth = 0;
        let place = Place { scope: 0, at: document, path: &Path::Root };
        let (Ok(()) | Err(TooExpensive)) = self.list(0, place, &mut list);
        if list.found.is_empty() {
            let why = "must satisfy the schema; to find the place takes too many steps".to_owned();
            list.add(&Path::Root, why);
        }
        list.found
    }

    /// Lists what a subschema refuses at a place.
    fn list(&mut self, schema: SchemaNumber, place: Place<'_, '_>, list: &mut List) -> Judged<()> {
        self.budget.charge(1)?;
        let rules = self.rules;
        let subschema = &rules.schemas[schema];
        let scope = self.enter(schema, place.scope)?;
        let key = (schema, scope, std::ptr::from_ref(place.at).cast());
        if list.is_full() || (subschema.is_shared && !list.listed.insert(key)) {
            return Ok(());
        }
        self.descend()?;
        let before = list.found.len();
        let place = Place { scope, ..place };
        for keyword in &subschema.keywords {
            let is_last =
                matches!(keyword, Keyword::UnevaluatedItems(_) | Keyword::UnevaluatedProperties(_));
            // What a schema that refuses a value has evaluated of it cannot be said.
            if !is_last || list.found.len() == before {
                self.list_keyword(keyword, schema, place, list)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn list_keyword(
        &mut self,
        keyword: &'s Keyword,
        schema: SchemaNumber,
        place: Place<'_, '_>,
        list: &mut List,
    ) -> Judged<()> {
        let Place { scope, at, path } = place;
        match keyword {
            Keyword::Assertion(Assertion::Required(names)) => {
                let Json::Object(object) = at else { return Ok(()) };
                for name in names {
                    if !self.has(object, name)? {
                        list.add(path, missing(name));
                    }
                }
            }
            Keyword::Properties(properties) => self.list_members(properties, place, list)?,
            Keyword::Items(items) => {
                let values = at.as_array().unwrap_or_default();
                for (index, item) in values.iter().enumerate() {
                    let schema = items.first.get(index).copied().or(items.rest);
                    let Some(schema) = schema.filter(|_| !list.is_full()) else { break };
                    let place = Place { at: item, path: &path.item(index), ..place };
                    self.list(schema, place, list)?;
                }
            }
            Keyword::AllOf(schemas) => {
                for schema in schemas {
                    self.list(*schema, place, list)?;
                }
            }
            Keyword::Reference(to) => self.list(*to, place, list)?,
            Keyword::DynamicReference { anchor, otherwise } => {
                let to = self.scopes.bound(scope, *anchor).unwrap_or(*otherwise);
                self.list(to, place, list)?;
            }
            Keyword::If { condition, then, otherwise } => {
                let branch = if self.is_valid(*condition, scope, at)? { then } else { otherwise };
                if let Some(branch) = branch {
                    self.list(*branch, place, list)?;
                }
            }
            Keyword::DependentSchemas(dependent) => {
                let Json::Object(object) = at else { return Ok(()) };
                for (name, schema) in dependent {
                    if self.has(object, name)? {
                        self.list(*schema, place, list)?;
                    }
                }
            }
            Keyword::UnevaluatedProperties(_) => {
                if !self.holds(keyword, schema, scope, at)? {
                    list.add(path, NO_OTHERS.to_owned());
                }
            }
            other => {
                if !self.holds(other, schema, scope, at)? {
                    list.add(path, other.explain());
                }
            }
        }
        Ok(())
    }

    fn list_members(
        &mut self,
        properties: &Properties,
        place: Place<'_, '_>,
        list: &mut List,
    ) -> Judged<()> {
        let Json::Object(object) = place.at else { return Ok(()) };
        let mut has_others = false;
        for member in object.members() {
            if list.is_full() {
                break;
            }
            let path = place.path.member(member.name());
            let inside = Place { at: &member.value, path: &path, ..place };
            let mut schemas: Vec<SchemaNumber> = Vec::new();
            schemas.extend(self.named(properties, member.name())?);
            for (pattern, schema) in &properties.matching {
                if self.matchers.is_match(*pattern, member.name(), &mut self.budget)? {
                    schemas.push(*schema);
                }
            }
            if schemas.is_empty() {
                schemas.extend(properties.additional);
                has_others = has_others || properties.additional.is_some_and(|s| self.is_never(s));
            }
            for schema in schemas {
                if Some(schema) != properties.additional || !self.is_never(schema) {
                    self.list(schema, inside, list)?;
                }
            }
        }
        if has_others {
            list.add(place.path, NO_OTHERS.to_owned());
        }
        Ok(())
    }

    /// Whether a subschema is `false`.
    fn is_never(&self, schema: SchemaNumber) -> bool {
        matches!(self.rules.schemas[schema].keywords[..], [Keyword::Assertion(Assertion::False)])
    }
}

/// The name is the schema's own word, but it may be long.
fn missing(name: &str) -> String {
    format!("must have the member {:?}", cut(name))
}
