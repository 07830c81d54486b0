//! What a table demands of its documents: a compiled JSON Schema.
//!
//! Draft 2020-12 unless `$schema` names another one. Never fetches anything: a reference that
//! leaves the schema is refused. A validation takes a bounded number of steps, whatever the schema
//! and the document are. Start reading at [`Schema::compile`]. Source: docs/api.md, "Schemas".

mod assertion;
mod compile;
pub(crate) mod draft;
mod evaluation;
pub(crate) mod format;
pub(crate) mod index;
mod pattern;
mod recursion;
mod rules;
mod schema_error;
mod schema_text;
mod scopes;
#[cfg(test)]
mod tests;

pub use evaluation::Violation;
pub use schema_error::SchemaError;
pub use schema_text::SchemaText;

use crate::budget::{Budget, TooExpensive};
use crate::document::Document;
use crate::json::Json;
use evaluation::Evaluation;
use rules::Rules;
use std::fmt;

/// A schema that documents can be checked against; shared between threads.
pub struct Schema {
    rules: Result<Rules, SchemaError>,
}

/// Steps that validations may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidationBudget(Budget);

/// What one document may cost: about 100 milliseconds, and some dozen megabytes at worst.
const STEPS_MAX: u64 = 4_000_000;
/// About a millisecond.
const STEPS_BRIEF: u64 = 40_000;
/// Bytes of a document that are read in one step.
const STEP_BYTES_READ: usize = 8;

impl ValidationBudget {
    /// As much as any document may cost.
    pub fn full() -> ValidationBudget {
        ValidationBudget(Budget::new(STEPS_MAX))
    }

    /// As much as may be done between other things.
    pub fn brief() -> ValidationBudget {
        ValidationBudget(Budget::new(STEPS_BRIEF))
    }

    /// Whether nothing was taken yet of a [`full`](Self::full) one: a document that is too
    /// expensive now always is.
    pub fn is_full(self) -> bool {
        self == ValidationBudget::full()
    }
}

/// Why a document is not known to satisfy its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidDocument {
    /// It does not: 1 to 20 violations, never with a value of the document.
    Violations(Vec<Violation>),
    /// To know that takes more steps than there are.
    TooExpensive,
}

impl Schema {
    /// Compiles a JSON Schema.
    ///
    /// # Errors
    /// [`SchemaError`]: no schema, a reference to elsewhere, a pattern that cannot be matched in
    /// linear time, a recursion without end, or more than may be compiled.
    pub fn compile(schema: &SchemaText) -> Result<Schema, SchemaError> {
        Ok(Schema { rules: Ok(compile::compile(&schema.read())?) })
    }

    /// A stored schema that this version refuses: it accepts no document, and says why.
    pub fn closed(why: SchemaError) -> Schema {
        Schema { rules: Err(why) }
    }

    /// Checks one document.
    ///
    /// * `budget`: is charged what it costs.
    ///
    /// # Errors
    /// See [`InvalidDocument`].
    pub fn validate(
        &self,
        document: &Document,
        ValidationBudget(budget): &mut ValidationBudget,
    ) -> Result<(), InvalidDocument> {
        let rules = match &self.rules {
            Ok(rules) => rules,
            Err(why) => return Err(as_a_whole(format!("the table takes no documents: {why}"))),
        };
        let bytes = document.as_bytes();
        budget.charge(1 + bytes.len() / STEP_BYTES_READ)?;
        let Some(value) = std::str::from_utf8(bytes).ok().and_then(Json::read) else {
            return Err(as_a_whole("the document is not JSON".to_owned()));
        };
        let mut evaluation = Evaluation::new(rules, *budget);
        // Most documents are fine, and to know that is cheaper than to list what is not.
        let result = match evaluation.is_valid(0, 0, &value) {
            Ok(true) => Ok(()),
            Ok(false) => Err(InvalidDocument::Violations(evaluation.violations(&value))),
            Err(TooExpensive) => Err(InvalidDocument::TooExpensive),
        };
        *budget = evaluation.budget();
        result
    }
}

impl From<TooExpensive> for InvalidDocument {
    fn from(TooExpensive: TooExpensive) -> InvalidDocument {
        InvalidDocument::TooExpensive
    }
}

fn as_a_whole(why: String) -> InvalidDocument {
    InvalidDocument::Violations(vec![Violation { path: String::new(), why }])
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}
