//! Strict JSON: what Cortado accepts from a client, and what it answers otherwise.
//!
//! One pass over the bytes, without building a tree and without recursion.
//! Start reading at [`check_document`]. Source: docs/api.md, "Limits".

mod rules;
mod scan;
mod number;
mod string;
mod value;
#[cfg(test)]
mod tests;

pub use rules::{
    Checked, FIELD_NAME_BYTES_MAX, JsonError, JsonLimits, Malformed, NUMBER_BYTES_MAX, Unacceptable,
};
pub(crate) use string::{string_bytes, unescape};
pub(crate) use value::{Json, Object};

use serde_json::Value;

/// Checks that `bytes` are one JSON object that may be stored as a document.
///
/// # Errors
/// The first error of syntax; if there is none, the first broken rule of meaning. The size is the
/// size as stored, without white space.
pub fn check_document(bytes: &[u8]) -> Result<Checked, JsonError> {
    let checked = check_json(bytes, &JsonLimits::DOCUMENT)?;
    if !checked.is_object {
        return Err(JsonError::Unacceptable { offset: 0, why: Unacceptable::NotAnObject });
    }
    Ok(checked)
}

/// Checks that `bytes` are one JSON value of any kind within `limits`.
///
/// # Errors
/// The first error of syntax; if there is none, the first broken rule of meaning.
pub fn check_json(bytes: &[u8], limits: &JsonLimits) -> Result<Checked, JsonError> {
    let text = scan::utf8(bytes)?;
    let checked = scan::Scanner::new(text, limits).run()?;
    if bytes.len() - checked.whitespace_bytes > limits.bytes_max {
        return Err(JsonError::TooLarge { bytes_max: limits.bytes_max });
    }
    Ok(checked)
}

/// Checks `bytes` as [`check_json`] does, then reads them into a tree.
///
/// # Errors
/// As [`check_json`].
pub fn parse_strict(bytes: &[u8], limits: &JsonLimits) -> Result<Value, JsonError> {
    check_json(bytes, limits)?;
    // Everything that passed the check is JSON less deep than this parser's own limit.
    let unexpected = JsonError::Malformed { offset: 0, why: Malformed::Unexpected };
    serde_json::from_slice(bytes).map_err(|_| unexpected)
}

/// Removes white space outside strings.
///
/// * `bytes`: JSON that has passed [`check_json`].
pub fn compact(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(quote) = rest.iter().position(|b| *b == b'"') {
        let (outside, string) = rest.split_at(quote);
        out.extend(outside.iter().filter(|b| !scan::is_whitespace(**b)));
        let (string, after) = string.split_at(string_bytes(string));
        out.extend_from_slice(string);
        rest = after;
    }
    out.extend(rest.iter().filter(|b| !scan::is_whitespace(**b)));
    out
}
