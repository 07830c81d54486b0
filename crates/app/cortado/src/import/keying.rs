//! Which document a piece of the file is: its table, its key, its value.
//!
//! Knows the table's declaration; sends nothing. Start reading at [`Keying::document`].

mod parts;

#[cfg(test)]
mod tests;

pub(crate) use parts::{Fill, KeyFrom, Keys};

use cortado_document::{JsonError, JsonLimits, check_json};
use cortado_model::DocumentKey;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::Range;
use std::sync::Arc;

/// How keys are found.
#[derive(Clone, Debug)]
pub(crate) enum Keying {
    /// In members of the documents.
    Members { table: Arc<str>, keys: Keys },
    /// In the lines of an export, of whatever table.
    Exported,
    /// In the lines of an export of one table, for the table that was named.
    ExportedInto {
        table: Arc<str>,
        /// How many parts its key has.
        parts: usize,
        /// The table that was exported, once a line has named it.
        from: Option<String>,
    },
}

/// A document of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) table: Arc<str>,
    pub(crate) key: Vec<String>,
    /// As it stands in the file: the JSON object, or a line of an export with its table and key.
    pub(crate) text: Box<str>,
    /// Where in `text` the JSON object stands.
    value: Range<usize>,
}

impl Document {
    #[cfg(test)]
    pub(crate) fn new(table: Arc<str>, key: Vec<String>, value: String) -> Document {
        Document { table, key, value: 0..value.len(), text: value.into() }
    }

    /// The JSON object, as it stands in the file.
    pub(crate) fn value(&self) -> &str {
        &self.text[self.value.clone()]
    }
}

impl Keying {
    /// Whether `text` is a document's line of an export, and has no key otherwise: what is left of
    /// an export, such as the lines that were refused, has no declarations before it.
    pub(crate) fn is_exported_alone(&self, text: &[u8]) -> bool {
        let Keying::Members { keys, .. } = self else { return false };
        let Ok(text) = std::str::from_utf8(text) else { return false };
        exported(text).is_ok_and(|line| line.value.get().starts_with('{')) && keys.of(text).is_err()
    }

    /// Finds the key of one document.
    ///
    /// # Errors
    /// Why this text cannot be stored as a document; and the text.
    pub(crate) fn document(&mut self, text: Vec<u8>) -> Result<Document, (String, Vec<u8>)> {
        let text = String::from_utf8(text)
            .map_err(|error| ("not valid UTF-8".to_owned(), error.into_bytes()))?;
        let found = self.keyed(&text).and_then(|(table, key, value)| {
            // The server says the same, but later and about a whole bulk.
            DocumentKey::from_parts(&key).map_err(|error| error.to_string())?;
            check_syntax(&text, &value)?;
            Ok((table, key, value))
        });
        match found {
            Ok((table, key, value)) => {
                Ok(Document { table, key, text: text.into_boxed_str(), value })
            }
            Err(reason) => Err((reason, text.into_bytes())),
        }
    }

    /// Table, key, and where the value stands.
    fn keyed(&mut self, text: &str) -> Result<Keyed, String> {
        match self {
            Keying::Members { table, keys } => {
                Ok((Arc::clone(table), keys.of(text)?, 0..text.len()))
            }
            Keying::Exported => {
                let line = exported(text)?;
                let value = line.value_in(text);
                Ok((line.table.into(), line.key, value))
            }
            Keying::ExportedInto { table, from, .. } => {
                let line = exported(text)?;
                if *from.get_or_insert_with(|| line.table.clone()) != line.table {
                    return Err(format!("it is of another table, {}", line.table));
                }
                let value = line.value_in(text);
                Ok((Arc::clone(table), line.key, value))
            }
        }
    }
}

/// Refuses what no server takes for JSON, though other programs do, such as repeated members.
fn check_syntax(text: &str, value: &Range<usize>) -> Result<(), String> {
    match check_json(text[value.clone()].as_bytes(), &JsonLimits::DOCUMENT) {
        Err(JsonError::Malformed { offset, why }) => {
            Err(format!("not valid JSON: {why}, at its byte {}", value.start + offset + 1))
        }
        // What can be stored is for the server to say.
        Ok(_) | Err(JsonError::Unacceptable { .. } | JsonError::TooLarge { .. }) => Ok(()),
    }
}

type Keyed = (Arc<str>, Vec<String>, Range<usize>);

/// One document of an export. Source: docs/formats/export.md.
#[derive(Deserialize)]
struct ExportedLine<'a> {
    table: String,
    key: Vec<String>,
    #[serde(borrow)]
    value: &'a RawValue,
}

impl ExportedLine<'_> {
    /// Where the value stands in `text`, of which this is the line.
    fn value_in(&self, text: &str) -> Range<usize> {
        let begin = self.value.get().as_ptr().addr() - text.as_ptr().addr();
        begin..begin + self.value.get().len()
    }
}

fn exported(text: &str) -> Result<ExportedLine<'_>, String> {
    serde_json::from_str(text).map_err(|error| {
        let why = parts::no_object(&error);
        format!("not a line of `cortado export`: {why}; name a table as DB/TABLE")
    })
}
