//! Whether a new schema accepts everything that the old one accepted.
//!
//! Conservative: `Ok` is a proof, a [`Reason`] may be mere caution. Never looks at documents.
//! Start reading at [`compatible`]. Source: docs/api.md, "Administration".

mod compare;
mod keywords;
mod lists;
mod bounds;
mod reference;
mod reason;
#[cfg(test)]
mod tests;

pub use reason::{Incompatible, Reason, Why};

use crate::schema::SchemaText;
use compare::Comparison;
use keywords::ANYTHING;

/// Checks that every document that `old` accepts is accepted by `new`.
///
/// * `old`, `new`: JSON Schemas; `None` is no schema, which accepts everything. So removing a
///   schema is compatible, and the first one of a table must accept everything too.
///
/// # Errors
/// See [`Incompatible`].
pub fn compatible(old: Option<&SchemaText>, new: Option<&SchemaText>) -> Result<(), Incompatible> {
    let (old, new) =
        (old.map_or(ANYTHING, SchemaText::read), new.map_or(ANYTHING, SchemaText::read));
    if old == new || new == ANYTHING {
        return Ok(());
    }
    Comparison::between(&old, &new)
}
