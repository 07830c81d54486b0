//! Bodies that are commands rather than documents: checked as JSON, then as objects of one shape.
//!
//! Start reading at [`read`].

use crate::body::ReceivedBody;
use crate::failure::Failure;
use crate::refusal;
use crate::target::bad_key;
use cortado_document::{JsonError, JsonLimits, Unacceptable, check_json};
use cortado_gateway::Table;
use cortado_model::{DocumentKey, KeyError};
use cortado_wire::{Code, read_object};
use serde::Deserialize;
use std::borrow::Cow;

/// Reads a body of the shape `T`.
///
/// # Errors
/// Not JSON as strict as in documents, no object, or not of that shape.
pub(crate) fn read<'b, T: Deserialize<'b>>(body: &'b ReceivedBody) -> Result<T, Failure> {
    let checked = check_json(&body.bytes, &JsonLimits::BODY);
    let checked = checked.map_err(|error| refusal::of_json(error, Code::BodyTooLarge))?;
    if !checked.is_object {
        let error = JsonError::Unacceptable { offset: 0, why: Unacceptable::NotAnObject };
        return Err(refusal::of_json(error, Code::BodyTooLarge));
    }
    read_object(&body.bytes).map_err(|why| Failure::new(Code::BadBody, why))
}

/// The key of a document that a body names.
///
/// # Errors
/// Too few or too many parts for the table, or a part that breaks a rule.
pub(crate) fn key_in_body(parts: &[Cow<'_, str>], table: &Table) -> Result<DocumentKey, Failure> {
    if parts.iter().any(|part| part.is_empty()) {
        return Err(bad_key(KeyError::EmptyPart));
    }
    if parts.len() != table.key_parts() {
        let detail = format!("the table's key has the parts {}", table.definition.key().join("/"));
        return Err(Failure::new(Code::WrongKeyArity, detail));
    }
    DocumentKey::from_parts(parts).map_err(bad_key)
}
