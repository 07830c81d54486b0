//! Whether a new schema accepts everything that the old one accepted.
//!
//! Conservative: `Ok` is a proof, a [`Reason`] may be mere caution. Never looks at documents.
//! Start reading at [`compatible`]. Source: docs/api.md, "Administration".

mod compare;
mod bounds;
mod reference;
mod reason;
#[cfg(test)]
mod tests;

pub use reason::{Reason, Why};

use compare::Comparison;
use serde_json::Value;

/// Checks that every document that `old` accepts is accepted by `new`.
///
/// * `old`, `new`: JSON Schemas; `None` is no schema, which accepts everything. So removing a
///   schema is compatible, and the first one of a table must accept everything too.
///
/// # Errors
/// Why that cannot be shown: 1 to 20 reasons.
pub fn compatible(old: Option<&Value>, new: Option<&Value>) -> Result<(), Vec<Reason>> {
    let anything = Value::Bool(true);
    let (old, new) = (old.unwrap_or(&anything), new.unwrap_or(&anything));
    if old == new || *new == anything {
        return Ok(());
    }
    let reasons = Comparison::new(old, new).reasons();
    if reasons.is_empty() { Ok(()) } else { Err(reasons) }
}
