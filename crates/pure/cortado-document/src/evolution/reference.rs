//! What a schema's keywords mean beyond their own text.

use serde_json::{Map, Value};

/// The schema that a local reference of `root` leads to.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// The only draft whose schemas are compared; in others the same keywords mean other things.
pub(super) const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The draft that a schema is written in.
pub(super) fn draft(root: &Value) -> &str {
    let named = root.get("$schema").and_then(Value::as_str);
    named.unwrap_or(DRAFT).trim_end_matches('#')
}

/// Whether the same keyword text means the same in both schemas: it has no references, or only
/// ones into definitions that are the same in both.
pub(super) fn means_the_same(text: &Value, old_root: &Value, new_root: &Value) -> bool {
    let definitions = ["$defs", "definitions"];
    let same = definitions.iter().all(|name| old_root.get(name) == new_root.get(name));
    let closed = |value| refers_only_to_definitions(value);
    let definitions = definitions.iter().filter_map(|name| new_root.get(name));
    !has_reference(text) || (same && closed(text) && definitions.into_iter().all(closed))
}

fn has_reference(value: &Value) -> bool {
    !every_reference(value, &|_| false)
}

fn refers_only_to_definitions(value: &Value) -> bool {
    every_reference(value, &|to| to.starts_with("#/$defs/") || to.starts_with("#/definitions/"))
}

/// Whether `holds` for every reference in `value`. Takes some data for references, never the
/// other way round.
fn every_reference(value: &Value, holds: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::Object(members) => members.iter().all(|(name, value)| {
            let reference = matches!(name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef");
            let fine = !reference || value.as_str().is_some_and(holds);
            fine && every_reference(value, holds)
        }),
        Value::Array(items) => items.iter().all(|item| every_reference(item, holds)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
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
    pub(super) fn allowed_by(keywords: &Map<String, Value>) -> Types {
        let mut allowed = Types::ALL;
        if let Some(declared) = keywords.get("type") {
            allowed = allowed.and(Types::named(declared));
        }
        if let Some(Value::Array(values)) = keywords.get("enum") {
            allowed = allowed.and(values.iter().fold(Types::NONE, |t, v| t.or(Types::of(v))));
        }
        if let Some(value) = keywords.get("const") {
            allowed = allowed.and(Types::of(value));
        }
        allowed
    }

    /// What a `type` keyword allows; an unknown name allows all, which is the cautious reading.
    pub(super) fn named(declared: &Value) -> Types {
        match declared {
            Value::String(name) => match name.as_str() {
                "object" => Types::OBJECT,
                "array" => Types::ARRAY,
                "string" => Types::STRING,
                "integer" => Types::INTEGER,
                "number" => Types::NUMBER,
                "boolean" => Types::BOOLEAN,
                "null" => Types::NULL,
                _ => Types::ALL,
            },
            Value::Array(names) => {
                names.iter().fold(Types::NONE, |types, name| types.or(Types::named(name)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Types::ALL,
        }
    }

    fn of(value: &Value) -> Types {
        match value {
            Value::Null => Types::NULL,
            Value::Bool(_) => Types::BOOLEAN,
            // 1.0 is an integer for JSON Schema; only what is one in writing is taken for one.
            Value::Number(number) if number.is_i64() || number.is_u64() => Types::INTEGER,
            Value::Number(_) => Types::NUMBER,
            Value::String(_) => Types::STRING,
            Value::Array(_) => Types::ARRAY,
            Value::Object(_) => Types::OBJECT,
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
