//! Documents as the user sees them: strict JSON, patches, conditions, schemas and their evolution.
//!
//! Pure: no clock, no I/O, no randomness. Knows nothing of logs, stores or status codes.
//! Start reading at [`Operation`], the one write that everything here serves.

mod operation;
mod condition;
mod document;
mod json;
mod patch;
mod tree;
mod schema;
mod evolution;
mod table;
mod partitioning;
mod path;
mod types;
mod decimal;
mod budget;

pub use condition::{Condition, Match, Tag, Unmet};
pub use document::Document;
pub use evolution::{Incompatible, Reason, Why, compatible};
pub use json::{
    Checked, FIELD_NAME_BYTES_MAX, JsonError, JsonLimits, Malformed, NUMBER_BYTES_MAX,
    Unacceptable, check_document, check_json, compact, parse_strict,
};
pub use operation::{
    Change, Current, DocumentAction, Done, Evaluated, Foreseen, Operation, Refusal,
    TransactionError, check_operations,
};
pub use partitioning::partition_of;
pub use patch::{JsonPatch, MergePatch, PatchError};
pub use schema::{InvalidDocument, Schema, SchemaError, SchemaText, ValidationBudget, Violation};
pub use table::{TableDefinition, TableError};

/// Keeps the example of the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
