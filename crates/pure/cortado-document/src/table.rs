//! What an operator declares about a table.

use crate::schema::SchemaText;
use cortado_model::limits::{KEY_PARTS_MAX, is_name};

/// The key and the schema of a table; valid by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    key: Vec<String>,
    schema: Option<SchemaText>,
}

impl TableDefinition {
    /// Checks a declaration.
    ///
    /// * `key`: 1 to 8 names of parts, all different, the resource first.
    /// * `schema`: a JSON Schema; [`Schema::compile`](crate::Schema::compile) checks it.
    ///
    /// # Errors
    /// The first rule that the key breaks.
    pub fn new(
        key: Vec<String>,
        schema: Option<SchemaText>,
    ) -> Result<TableDefinition, TableError> {
        if key.is_empty() || key.len() > KEY_PARTS_MAX {
            return Err(TableError::WrongPartCount);
        }
        for (part, name) in key.iter().enumerate() {
            if !is_name(name) {
                return Err(TableError::BadName { part });
            }
            if key[..part].contains(name) {
                return Err(TableError::RepeatedName { part });
            }
        }
        Ok(TableDefinition { key, schema })
    }

    /// The names of the key's parts, the resource first.
    pub fn key(&self) -> &[String] {
        &self.key
    }

    /// The schema as declared.
    pub fn schema(&self) -> Option<&SchemaText> {
        self.schema.as_ref()
    }
}

/// Why a table cannot be declared so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// No key part, or more than 8.
    #[error("a key has 1 to {KEY_PARTS_MAX} parts")]
    WrongPartCount,
    /// Not of the form `[a-z][a-z0-9_]{{0,62}}`.
    #[error("the name of key part {part} does not match [a-z][a-z0-9_]{{0,62}}")]
    BadName {
        /// Counted from 0.
        part: usize,
    },
    /// Two parts have one name.
    #[error("key part {part} has the name of an earlier one")]
    RepeatedName {
        /// Counted from 0.
        part: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &[&str], want: Result<(), TableError>) {
        let key = key.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(TableDefinition::new(key, None).map(|_| ()), want);
    }

    #[test]
    fn a_key_has_one_to_eight_different_names() {
        check(&["artist"], Ok(()));
        check(&["a", "b", "c", "d", "e", "f", "g", "h"], Ok(()));
        check(&[], Err(TableError::WrongPartCount));
        check(&["a", "b", "c", "d", "e", "f", "g", "h", "i"], Err(TableError::WrongPartCount));
        check(&["a", "B"], Err(TableError::BadName { part: 1 }));
        check(&[""], Err(TableError::BadName { part: 0 }));
        check(&["1a"], Err(TableError::BadName { part: 0 }));
        check(&["a", "b", "a"], Err(TableError::RepeatedName { part: 2 }));
        check(&[&"a".repeat(63)], Ok(()));
        check(&[&"a".repeat(64)], Err(TableError::BadName { part: 0 }));
    }
}
