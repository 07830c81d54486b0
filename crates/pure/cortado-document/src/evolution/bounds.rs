//! Keywords that bound a number, a length or a count.

use crate::budget::{Budget, TooExpensive};
use crate::decimal::Decimal;
use crate::json::{Json, Object};
use std::cmp::Ordering;

/// Whether the bound `keyword` of `new` follows from bounds of `old`.
///
/// `None` if `keyword` is no bound.
///
/// # Errors
/// A division of long numbers would cost more than is left.
pub(super) fn implied(
    old: Option<&Object<'_>>,
    keyword: &str,
    new: &Json<'_>,
    budget: &mut Budget,
) -> Result<Option<bool>, TooExpensive> {
    let had = |name: &str| old.and_then(|old| old.get(name)).and_then(decimal);
    let new = decimal(new);
    let is = |name: &str, wanted: fn(Ordering) -> bool| {
        had(name).zip(new.as_ref()).is_some_and(|(old, new)| wanted(old.cmp(new)))
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
            let is_zero = new.as_ref().and_then(Decimal::as_count) == Some(0);
            is(keyword, Ordering::is_ge) || is_zero
        }
        "maxLength" | "maxItems" | "maxProperties" => is(keyword, Ordering::is_le),
        // Every multiple of a multiple is a multiple.
        "multipleOf" => match had(keyword).zip(new.as_ref()) {
            Some((old, new)) => new.is_positive() && old.is_multiple_of(new, budget)?,
            None => false,
        },
        _ => return Ok(None),
    };
    Ok(Some(implied))
}

fn decimal(value: &Json<'_>) -> Option<Decimal> {
    match value {
        Json::Number(text) => Some(Decimal::read(text)),
        _ => None,
    }
}
