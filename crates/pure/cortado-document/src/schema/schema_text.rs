//! A schema as it was declared.

use crate::json::{self, Json, JsonError, JsonLimits};
use std::fmt;
use std::sync::Arc;

/// A JSON Schema as it was declared: compact JSON with every digit of its numbers.
///
/// Two are equal if they are the same JSON value, however it is written.
#[derive(Clone)]
pub struct SchemaText(Arc<str>);

impl SchemaText {
    /// Checks what an operator sent, and removes white space.
    ///
    /// # Errors
    /// The rule of strict JSON that `bytes` break. Whether it is a schema is not checked here.
    pub fn parse(bytes: &[u8]) -> Result<SchemaText, JsonError> {
        json::check_json(bytes, &JsonLimits::BODY)?;
        Ok(SchemaText(String::from_utf8_lossy(&json::compact(bytes)).into()))
    }

    /// The JSON text, compact.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value. Text that was checked has one; nothing else is made a `SchemaText`.
    pub(crate) fn read(&self) -> Json<'_> {
        Json::read(&self.0).unwrap_or(Json::Null)
    }
}

impl PartialEq for SchemaText {
    fn eq(&self, other: &SchemaText) -> bool {
        self.0 == other.0 || self.read() == other.read()
    }
}

impl Eq for SchemaText {}

impl fmt::Debug for SchemaText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
