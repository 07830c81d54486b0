//! What a schema's keywords mean beyond their own text.

use crate::budget::Budget;
use crate::json::{Json, Object};
use crate::types::Types;

/// Keywords under which a schema keeps others for reference.
pub(super) const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// What it costs to tell the type of one value, or what one name stands for.
const VALUE_STEPS: usize = 4;

/// Whether there is no reference in `value`. Takes some data for references, never the other way
/// round.
pub(super) fn has_no_reference(value: &Json<'_>) -> bool {
    every_reference(value, &|_| false)
}

/// Whether all references in `value` lead to definitions of the schema as a whole.
pub(super) fn refers_only_to_definitions(value: &Json<'_>) -> bool {
    every_reference(value, &leads_to_definitions)
}

/// Whether a reference leads to a definition of the schema as a whole, if it stands there.
pub(super) fn leads_to_definitions(reference: &str) -> bool {
    reference.starts_with("#/$defs/") || reference.starts_with("#/definitions/")
}

/// Whether a keyword refers to another schema.
pub(super) fn is_reference(keyword: &str) -> bool {
    matches!(keyword, "$ref" | "$dynamicRef" | "$recursiveRef")
}

fn every_reference(value: &Json<'_>, holds: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Json::Object(object) => object.members().iter().all(|member| {
            let fine = !is_reference(member.name()) || member.value.as_str().is_some_and(holds);
            fine && every_reference(&member.value, holds)
        }),
        Json::Array(items) => items.iter().all(|item| every_reference(item, holds)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}

/// The types that a schema's own keywords `type`, `enum` and `const` allow; all if it would cost
/// too much to know.
pub(super) fn allowed_types(keywords: &Object<'_>, budget: &mut Budget) -> Types {
    let declared = keywords.get("type");
    let mut allowed = declared.map_or(Types::ALL, |declared| declared_types(declared, budget));
    if let Some(Json::Array(values)) = keywords.get("enum") {
        if budget.charge(VALUE_STEPS * values.len()).is_err() {
            return Types::ALL;
        }
        allowed = allowed.and(values.iter().fold(Types::NONE, |t, v| t.or(Types::of(v))));
    }
    if let Some(value) = keywords.get("const") {
        allowed = allowed.and(Types::of(value));
    }
    allowed
}

/// What a `type` keyword allows. An unknown name allows all, which is the cautious reading, and so
/// do more names than can be read.
pub(super) fn declared_types(declared: &Json<'_>, budget: &mut Budget) -> Types {
    let one = |name: &Json<'_>| name.as_str().and_then(Types::named).unwrap_or(Types::ALL);
    match declared {
        Json::Array(names) if budget.charge(VALUE_STEPS * names.len()).is_err() => Types::ALL,
        Json::Array(names) => names.iter().fold(Types::NONE, |types, name| types.or(one(name))),
        name => one(name),
    }
}
