//! Why a schema is refused.

/// Bytes of a path that an answer repeats at most; member names can be long.
const PATH_BYTES_MAX: usize = 256;

/// Why a schema is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A `$ref` or `$schema` that leads out of the schema, or to nothing.
    #[error("a reference in the schema leads outside the schema, or to nothing")]
    Reference {
        /// Where in the schema: a JSON pointer.
        path: String,
    },
    /// A `$ref` that leads back to itself without descending into the document.
    #[error("the schema at {path:?} refers to itself endlessly")]
    Endless {
        /// Where in the schema: a JSON pointer.
        path: String,
    },
    /// Not a JSON Schema.
    #[error("the schema is invalid at {path:?}: {why}")]
    Invalid {
        /// Where in the schema: a JSON pointer.
        path: String,
        /// The broken rule.
        why: String,
    },
}

/// As much of a path as an answer repeats.
pub(super) fn shorten(path: &str) -> String {
    let mut end = PATH_BYTES_MAX.min(path.len());
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    path[..end].to_owned()
}
