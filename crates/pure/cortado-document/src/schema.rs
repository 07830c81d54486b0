//! What a table demands of its documents: a compiled JSON Schema.
//!
//! Draft 2020-12 unless `$schema` names another one. Never fetches anything: a reference that
//! leaves the schema is refused. Start reading at [`Schema::compile`].

mod recursion;
mod schema_error;
#[cfg(test)]
mod tests;

pub use schema_error::SchemaError;

use crate::document::Document;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use schema_error::shorten;
use serde_json::Value;
use std::fmt;

/// A schema that documents can be checked against; shared between threads.
pub struct Schema {
    validator: Validator,
}

/// Violations that one answer lists at most.
const VIOLATIONS_MAX: usize = 20;
/// Bytes of the compiled form of one pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Schema {
    /// Compiles a JSON Schema.
    ///
    /// # Errors
    /// [`SchemaError`]: no schema, a reference to elsewhere, a pattern that cannot be matched in
    /// linear time, or a recursion without end.
    pub fn compile(schema: &Value) -> Result<Schema, SchemaError> {
        recursion::check(schema)?;
        // Patterns without look-around: matching takes time linear in the text.
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
        let options = jsonschema::options().offline().with_pattern_options(patterns);
        let validator = options.build(schema).map_err(|error| {
            let path = shorten(error.instance_path().as_str());
            match error.kind() {
                ValidationErrorKind::Referencing(_) => SchemaError::Reference { path },
                kind => SchemaError::Invalid { path, why: explain(kind) },
            }
        })?;
        Ok(Schema { validator })
    }

    /// Checks one document.
    ///
    /// # Errors
    /// The first 20 violations, never with a value of the document.
    pub fn validate(&self, document: &Document) -> Result<(), Vec<Violation>> {
        let Ok(value) = serde_json::from_slice::<Value>(document.as_bytes()) else {
            let why = "the document is not JSON".to_owned();
            return Err(vec![Violation { path: String::new(), why }]);
        };
        // Most documents are fine, and to know that is cheaper than to list what is not.
        if self.validator.is_valid(&value) {
            return Ok(());
        }
        let errors = self.validator.iter_errors(&value).take(VIOLATIONS_MAX);
        Err(errors
            .map(|error| Violation {
                path: shorten(error.instance_path().as_str()),
                why: explain(error.kind()),
            })
            .collect())
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

/// One rule of the schema that a document breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the document: a JSON pointer, cut after 256 bytes.
    pub path: String,
    /// What the schema demands there.
    pub why: String,
}

/// What a rule demands, from the schema's side only.
fn explain(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind } => format!("must be of type {}", type_names(kind)),
        Kind::Required { property } => format!("must have the member {property}"),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            "must have no other members than the schema names".to_owned()
        }
        Kind::FalseSchema => "must be absent".to_owned(),
        Kind::Constant { .. } => "must be the constant of the schema".to_owned(),
        Kind::Enum { .. } => "must be one of the values of the schema".to_owned(),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::UniqueItems => "must have no equal items".to_owned(),
        Kind::Pattern { .. } => "must match the pattern of the schema".to_owned(),
        Kind::Format { format } => format!("must be in the format {format:?}"),
        other => format!("must satisfy the keyword {:?} of the schema", other.keyword()),
    }
}

fn type_names(kind: &jsonschema::error::TypeKind) -> String {
    use jsonschema::error::TypeKind;
    match kind {
        TypeKind::Single(name) => name.to_string(),
        TypeKind::Multiple(names) => {
            names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" or ")
        }
    }
}
