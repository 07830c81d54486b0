//! JSON that is passed on as it is written.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Any JSON value, as it is written: no digit of a number is lost. Equal by text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Takes JSON text.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn parse(text: String) -> Result<RawJson, serde_json::Error> {
        RawValue::from_string(text).map(RawJson)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &RawJson) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RawJson {}
