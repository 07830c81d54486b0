//! Which document a piece of the file is: its table, its key, its value.
//!
//! Knows the table's declaration; sends nothing. Start reading at [`Keying::document`].

mod parts;

#[cfg(test)]
mod tests;

pub(crate) use parts::{Fill, KeyFrom, Keys};

use cortado_model::DocumentKey;
use serde::Deserialize;
use serde_json::value::RawValue;
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
    /// The JSON object, as it stands in the file.
    pub(crate) value: Box<str>,
}

impl Keying {
    /// Finds the key of one document.
    ///
    /// # Errors
    /// Why this text cannot be stored as a document; and the text.
    pub(crate) fn document(&mut self, text: Vec<u8>) -> Result<Document, (String, Vec<u8>)> {
        let text = String::from_utf8(text)
            .map_err(|error| ("not valid UTF-8".to_owned(), error.into_bytes()))?;
        let found = self.keyed(&text).and_then(|(table, key, value)| {
            // The server says the same, but later and about a whole transaction.
            DocumentKey::from_parts(&key).map_err(|error| error.to_string())?;
            Ok((table, key, value))
        });
        match found {
            Ok((table, key, Some(value))) => Ok(Document { table, key, value }),
            Ok((table, key, None)) => Ok(Document { table, key, value: text.into_boxed_str() }),
            Err(reason) => Err((reason, text.into_bytes())),
        }
    }

    /// Table, key, and the value if that is not the whole text.
    fn keyed(&mut self, text: &str) -> Result<Keyed, String> {
        match self {
            Keying::Members { table, keys } => Ok((Arc::clone(table), keys.of(text)?, None)),
            Keying::Exported => {
                let line = exported(text)?;
                Ok((line.table.into(), line.key, Some(line.value.get().into())))
            }
            Keying::ExportedInto { table, from, .. } => {
                let line = exported(text)?;
                if *from.get_or_insert_with(|| line.table.clone()) != line.table {
                    return Err(format!("it is of another table, {}", line.table));
                }
                Ok((Arc::clone(table), line.key, Some(line.value.get().into())))
            }
        }
    }
}

type Keyed = (Arc<str>, Vec<String>, Option<Box<str>>);

/// One document of an export. Source: docs/formats/export.md.
#[derive(Deserialize)]
struct ExportedLine<'a> {
    table: String,
    key: Vec<String>,
    #[serde(borrow)]
    value: &'a RawValue,
}

fn exported(text: &str) -> Result<ExportedLine<'_>, String> {
    serde_json::from_str(text).map_err(|error| {
        let why = parts::no_object(&error);
        format!("not a line of `cortado export`: {why}; name a table as DB/TABLE")
    })
}
