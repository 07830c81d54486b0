//! Why a schema is refused.

use crate::budget::TooExpensive;

/// Why a schema is refused. Paths are JSON pointers into the schema, cut after 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A `$schema` of another language, or of an older draft.
    #[error(
        "the $schema at {path:?} is not known: JSON Schema draft 2020-12, 2019-09, 7, 6 or 4, such \
         as https://json-schema.org/draft/2020-12/schema"
    )]
    Dialect {
        /// Where in the schema.
        path: String,
    },
    /// A `$ref` that leads out of the schema, or to nothing.
    #[error("the reference at {path:?} of the schema leads outside the schema, or to nothing")]
    Reference {
        /// Where in the schema.
        path: String,
    },
    /// A `$ref` that leads back to itself without descending into the document.
    #[error("the schema at {path:?} refers to itself endlessly")]
    Endless {
        /// Where in the schema.
        path: String,
    },
    /// Not a JSON Schema.
    #[error("the schema is invalid at {path:?}: {why}")]
    Invalid {
        /// Where in the schema.
        path: String,
        /// The broken rule.
        why: String,
    },
    /// To compile it, or to compare it with another one, would cost more than it may.
    #[error(
        "the schema is too expensive: use fewer or shorter patterns, alternatives and references"
    )]
    TooExpensive,
}

impl From<TooExpensive> for SchemaError {
    fn from(TooExpensive: TooExpensive) -> SchemaError {
        SchemaError::TooExpensive
    }
}
