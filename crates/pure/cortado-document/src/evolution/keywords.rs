//! Keywords of a schema, and what a missing one demands.

use super::reason::Reason;
use crate::json::{Json, Object};
use crate::path::Path;
use crate::types::Types;

/// The keywords of one schema.
pub(super) type Keywords<'a> = Object<'a>;

/// What a missing keyword demands.
pub(super) const ANYTHING: Json<'static> = Json::Bool(true);

pub(super) fn names<'j>(keywords: &'j Keywords<'_>) -> impl Iterator<Item = &'j str> {
    keywords.members().iter().map(|member| member.name())
}

/// The types of values that a keyword can refuse; every type for those not listed.
pub(super) fn applies_to(keyword: &str) -> Types {
    match keyword {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            Types::NUMBER
        }
        "minLength" | "maxLength" | "pattern" => Types::STRING,
        "minItems" | "maxItems" | "uniqueItems" | "items" | "prefixItems" | "contains"
        | "unevaluatedItems" => Types::ARRAY,
        "required"
        | "properties"
        | "patternProperties"
        | "additionalProperties"
        | "propertyNames"
        | "minProperties"
        | "maxProperties"
        | "dependentRequired"
        | "dependentSchemas"
        | "unevaluatedProperties" => Types::OBJECT,
        _ => Types::ALL,
    }
}

/// What `old` demands of the member `name`, or something weaker.
pub(super) fn member<'a>(old: Option<&'a Keywords<'a>>, name: &str) -> &'a Json<'a> {
    let properties = old.and_then(|old| old.get("properties"));
    if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
        return schema;
    }
    // It may match a pattern, and then it is not additional.
    let may_match = named(old, "patternProperties").next().is_some();
    if may_match { &ANYTHING } else { get(old, "additionalProperties") }
}

pub(super) fn get<'a>(keywords: Option<&'a Keywords<'a>>, keyword: &str) -> &'a Json<'a> {
    keywords.and_then(|keywords| keywords.get(keyword)).unwrap_or(&ANYTHING)
}

pub(super) fn named<'a>(
    keywords: Option<&'a Keywords<'a>>,
    keyword: &str,
) -> impl Iterator<Item = (&'a str, &'a Json<'a>)> {
    let map = keywords.and_then(|keywords| keywords.get(keyword)).and_then(Json::as_object);
    let members = map.into_iter().flat_map(|map| map.members());
    members.map(|member| (member.name(), &member.value))
}

pub(super) fn prefix<'a>(keywords: Option<&'a Keywords<'a>>) -> &'a [Json<'a>] {
    let items = keywords.and_then(|k| k.get("prefixItems")).and_then(Json::as_array);
    items.unwrap_or_default()
}

pub(super) fn each<'a>(
    list: &'a Json<'a>,
    path: &Path<'_>,
    mut compare: impl FnMut(&'a Json<'a>, &Path<'_>) -> Vec<Reason>,
) -> Vec<Reason> {
    let list = list.as_array().unwrap_or_default();
    let reasons = list.iter().enumerate().flat_map(|(i, s)| compare(s, &path.item(i)));
    reasons.collect()
}

pub(super) fn each_named<'a>(
    map: &'a Json<'a>,
    path: &Path<'_>,
    mut compare: impl FnMut(&'a str, &'a Json<'a>, &Path<'_>) -> Vec<Reason>,
) -> Vec<Reason> {
    let members = map.as_object().map_or(&[][..], Object::members);
    let reasons = members
        .iter()
        .flat_map(|member| compare(member.name(), &member.value, &path.member(member.name())));
    reasons.collect()
}
