//! Keywords that bound a number, a length or a count.

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

/// Whether the bound `keyword` of `new` follows from bounds of `old`.
///
/// `None` if `keyword` is no bound.
pub(super) fn implied(old: &Map<String, Value>, keyword: &str, new: &Value) -> Option<bool> {
    let is = |name: &str, wanted: fn(Ordering) -> bool| {
        old.get(name).and_then(|old| order(old, new)).is_some_and(wanted)
    };
    let implied = match keyword {
        "minimum" => is("minimum", Ordering::is_ge) || is("exclusiveMinimum", Ordering::is_ge),
        "exclusiveMinimum" => {
            is("minimum", Ordering::is_gt) || is("exclusiveMinimum", Ordering::is_ge)
        }
        "maximum" => is("maximum", Ordering::is_le) || is("exclusiveMaximum", Ordering::is_le),
        "exclusiveMaximum" => {
            is("maximum", Ordering::is_lt) || is("exclusiveMaximum", Ordering::is_le)
        }
        "minLength" | "minItems" | "minProperties" => {
            is(keyword, Ordering::is_ge) || new.as_u64() == Some(0)
        }
        "maxLength" | "maxItems" | "maxProperties" => is(keyword, Ordering::is_le),
        "multipleOf" => is_multiple(old.get(keyword), new),
        _ => return None,
    };
    Some(implied)
}

/// Whether every multiple of `old` is one of `new`; certain only for integers and equal numbers.
fn is_multiple(old: Option<&Value>, new: &Value) -> bool {
    match (old, old.and_then(Value::as_u64), new.as_u64()) {
        (_, Some(old), Some(new)) => new != 0 && old % new == 0,
        (old, _, _) => old == Some(new),
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_number().and_then(Number::as_i128), b.as_number().and_then(Number::as_i128)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}
