//! The versions of JSON Schema, and which keywords hold schemas.

use crate::json::Json;

/// A version of JSON Schema; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Draft {
    V4,
    V6,
    V7,
    V2019,
    V2020,
}

impl Draft {
    /// The draft that `$schema` names; `None` for a dialect that is not known.
    pub(crate) fn named(uri: &str) -> Option<Draft> {
        let uri = uri.strip_suffix('#').unwrap_or(uri);
        let name = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
        Some(match name {
            "json-schema.org/draft-04/schema" => Draft::V4,
            "json-schema.org/draft-06/schema" => Draft::V6,
            "json-schema.org/draft-07/schema" => Draft::V7,
            "json-schema.org/draft/2019-09/schema" => Draft::V2019,
            "json-schema.org/draft/2020-12/schema" => Draft::V2020,
            _ => return None,
        })
    }

    /// The keyword that names a schema.
    pub(crate) fn id(self) -> &'static str {
        if self == Draft::V4 { "id" } else { "$id" }
    }

    /// Whether a reference makes the keywords beside it count for nothing.
    pub(crate) fn reference_stands_alone(self) -> bool {
        self <= Draft::V7
    }
}

/// Keywords that hold one schema.
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords that hold a list of schemas.
const LIST: [&str; 5] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
/// Keywords that hold schemas by name.
const NAMED: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// The schemas that a keyword holds, whatever the draft makes of them.
pub(crate) fn schemas_in<'j, 'a>(
    keyword: &str,
    value: &'j Json<'a>,
) -> impl Iterator<Item = &'j Json<'a>> {
    let one = ONE.contains(&keyword).then_some(value);
    let list = value.as_array().filter(|_| LIST.contains(&keyword)).into_iter().flatten();
    let named = value.as_object().filter(|_| NAMED.contains(&keyword)).into_iter();
    let named = named.flat_map(|named| named.members()).map(|member| &member.value);
    let is_schema = |value: &&Json<'_>| matches!(value, Json::Bool(_) | Json::Object(_));
    one.into_iter().chain(list).chain(named).filter(is_schema)
}
