//! What a schema's keywords mean beyond their own text.

use crate::decimal::Decimal;
use crate::json::{Json, Object};

/// Keywords under which a schema keeps others for reference.
pub(super) const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

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

/// JSON types, with `integer` as a part of `number`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NONE: Types = Types(0);
    pub(super) const OBJECT: Types = Types(1);
    pub(super) const ARRAY: Types = Types(2);
    pub(super) const STRING: Types = Types(4);
    const INTEGER: Types = Types(8);
    /// All numbers, integers or not.
    pub(super) const NUMBER: Types = Types(8 | 16);
    const BOOLEAN: Types = Types(32);
    const NULL: Types = Types(64);
    pub(super) const ALL: Types = Types(127);

    /// The types that a schema's own keywords `type`, `enum` and `const` allow.
    pub(super) fn allowed_by(keywords: &Object<'_>) -> Types {
        let mut allowed = Types::ALL;
        if let Some(declared) = keywords.get("type") {
            allowed = allowed.and(Types::named(declared));
        }
        if let Some(Json::Array(values)) = keywords.get("enum") {
            allowed = allowed.and(values.iter().fold(Types::NONE, |t, v| t.or(Types::of(v))));
        }
        if let Some(value) = keywords.get("const") {
            allowed = allowed.and(Types::of(value));
        }
        allowed
    }

    /// What a `type` keyword allows; an unknown name allows all, which is the cautious reading.
    pub(super) fn named(declared: &Json<'_>) -> Types {
        match declared {
            Json::String(name) => match &**name {
                "object" => Types::OBJECT,
                "array" => Types::ARRAY,
                "string" => Types::STRING,
                "integer" => Types::INTEGER,
                "number" => Types::NUMBER,
                "boolean" => Types::BOOLEAN,
                "null" => Types::NULL,
                _ => Types::ALL,
            },
            Json::Array(names) => {
                names.iter().fold(Types::NONE, |types, name| types.or(Types::named(name)))
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Types::ALL,
        }
    }

    fn of(value: &Json<'_>) -> Types {
        match value {
            Json::Null => Types::NULL,
            Json::Bool(_) => Types::BOOLEAN,
            Json::Number(text) if Decimal::read(text).is_integer() => Types::INTEGER,
            Json::Number(_) => Types::NUMBER,
            Json::String(_) => Types::STRING,
            Json::Array(_) => Types::ARRAY,
            Json::Object(_) => Types::OBJECT,
        }
    }

    pub(super) fn and(self, other: Types) -> Types {
        Types(self.0 & other.0)
    }

    fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    pub(super) fn is_within(self, other: Types) -> bool {
        self.0 & !other.0 == 0
    }
}
