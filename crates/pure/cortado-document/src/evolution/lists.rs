//! Keywords that list values or names, compared as sets: lists may be long.
//!
//! What would cost more than is left is answered as if it did not hold.

use super::keywords::Keywords;
use crate::budget::{Budget, rounds};
use crate::json::Json;
use std::collections::BTreeSet;

/// Whether `enum` or `const` of `old` leaves only values that the new one allows.
pub(super) fn is_within(
    old: &Keywords<'_>,
    keyword: &str,
    new: &Json<'_>,
    budget: &mut Budget,
) -> bool {
    let one = std::slice::from_ref(new);
    let allowed = if keyword == "enum" { new.as_array().unwrap_or(one) } else { one };
    let constant = old.get("const");
    let values = old.get("enum").and_then(Json::as_array);
    let Some(had) = values.or(constant.map(std::slice::from_ref)) else { return false };
    let weight = new.weight() + had.iter().map(Json::weight).sum::<usize>();
    if budget.charge(weight * rounds(allowed.len())).is_err() {
        return false;
    }
    let allowed: BTreeSet<&Json<'_>> = allowed.iter().collect();
    let mut possible =
        had.iter().filter(|value| constant.is_none_or(|constant| constant == *value));
    possible.all(|value| allowed.contains(value))
}

/// The names that `new` requires and no part of the old schema does.
pub(super) fn newly_required<'a>(
    old: &[&Keywords<'_>],
    new: &'a Json<'a>,
    budget: &mut Budget,
) -> Vec<&'a str> {
    let lists = old.iter().filter_map(|part| part.get("required")?.as_array());
    let count = lists.clone().map(<[_]>::len).sum::<usize>();
    let new = new.as_array().unwrap_or_default();
    if budget.charge((count + new.len()) * rounds(count)).is_err() {
        return Vec::new();
    }
    let had: BTreeSet<&str> = lists.flatten().filter_map(Json::as_str).collect();
    let names = new.iter().filter_map(Json::as_str);
    names.filter(|name| !had.contains(name)).collect()
}

/// Whether each list of `new` is part of the list of the same name of `old`.
pub(super) fn depends(old: Option<&Json<'_>>, new: &Json<'_>, budget: &mut Budget) -> bool {
    let Json::Object(lists) = new else { return true };
    lists.members().iter().all(|list| {
        let had = old.and_then(|old| old.get(list.name())?.as_array()).unwrap_or_default();
        let new = list.value.as_array().unwrap_or_default();
        let is_affordable = budget.charge((had.len() + new.len()) * rounds(had.len())).is_ok();
        let had: BTreeSet<&str> = had.iter().filter_map(Json::as_str).collect();
        is_affordable && new.iter().all(|name| name.as_str().is_some_and(|n| had.contains(n)))
    })
}
