//! One write, judged against the state that it finds.
//!
//! Decides what a write does and what it answers; never how that is numbered in a protocol, and
//! never whether it commits. Start reading at [`Operation::evaluate`].

#[cfg(test)]
mod tests;

use crate::condition::{Condition, Unmet};
use crate::document::Document;
use crate::partitioning::partition_of;
use crate::patch::{JsonPatch, MergePatch, PatchError};
use crate::schema::{InvalidDocument, Schema, ValidationBudget, Violation};
use cortado_model::limits::OPERATIONS_MAX;
use cortado_model::{DocumentKey, Etag, TableId};
use std::collections::BTreeMap;

/// One write to one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The table.
    pub table: TableId,
    /// The document; as many parts as the table's key has.
    pub key: DocumentKey,
    /// What to do.
    pub action: DocumentAction,
    /// When to do it.
    pub condition: Condition,
}

/// What an operation does to its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentAction {
    /// Creates or replaces.
    Put {
        /// The whole new value.
        value: Document,
    },
    /// Changes some members; never creates.
    Merge {
        /// The members.
        patch: MergePatch,
    },
    /// Applies steps; never creates.
    JsonPatch {
        /// The steps.
        patch: JsonPatch,
    },
    /// Removes.
    Delete,
    /// Does nothing but judge the condition.
    Check,
}

/// A document as an operation finds it.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// Names its state.
    pub etag: Etag,
    /// Its value, as stored.
    pub value: &'a [u8],
}

impl Operation {
    /// What this write does to `current`.
    ///
    /// * `current`: the document in the leader's speculative state, `None` if there is none.
    /// * `schema`: what the table's documents must satisfy.
    /// * `foreseen`: what was found out before under the same schema, if anything was.
    /// * `budget`: for what was not; see [`Refusal::SchemaTooExpensive`].
    ///
    /// # Errors
    /// An unmet condition wins over a missing document, and both over what the write says.
    pub fn evaluate(
        &self,
        current: Option<Current<'_>>,
        schema: Option<&Schema>,
        foreseen: Option<&Foreseen>,
        budget: &mut ValidationBudget,
    ) -> Result<Evaluated, Refusal> {
        let etag = current.map(|current| current.etag);
        let refused = |unmet| Refusal::ConditionFailed { unmet, current: etag };
        self.condition.judge(etag).map_err(refused)?;
        let done = match &self.action {
            DocumentAction::Put { .. } if current.is_some() => Done::Replaced,
            DocumentAction::Put { .. } => Done::Created,
            DocumentAction::Merge { .. } | DocumentAction::JsonPatch { .. } => Done::Patched,
            DocumentAction::Delete if current.is_some() => {
                return Ok(Evaluated { done: Done::Deleted, change: Some(Change::Remove) });
            }
            DocumentAction::Delete => return Ok(Evaluated { done: Done::Missing, change: None }),
            DocumentAction::Check => return Ok(Evaluated { done: Done::Checked, change: None }),
        };
        let value = match foreseen.filter(|foreseen| foreseen.holds(etag)) {
            Some(foreseen) => foreseen.value.clone()?,
            None => self.value(current, schema, budget)?,
        };
        Ok(Evaluated { done, change: Some(Change::Write(value)) })
    }

    /// Finds out what this write would make of `current`, so that it need not be found out while
    /// others wait. `None` if there is nothing to find out, or if it takes more than is left of
    /// `budget`.
    ///
    /// * `current`: the document as it was read; what a patch makes of it counts for that alone.
    pub fn foresee(
        &self,
        current: Option<Current<'_>>,
        schema: Option<&Schema>,
        budget: &mut ValidationBudget,
    ) -> Option<Foreseen> {
        let of = match self.action {
            DocumentAction::Put { .. } => schema.map(|_| None)?,
            DocumentAction::Merge { .. } | DocumentAction::JsonPatch { .. } => Some(current?.etag),
            DocumentAction::Delete | DocumentAction::Check => return None,
        };
        let is_all = budget.is_full();
        if !is_all && current.is_some_and(|current| self.is_long_on(current)) {
            return None;
        }
        let value = self.value(current, schema, budget);
        let is_found = is_all || value != Err(Refusal::SchemaTooExpensive);
        is_found.then_some(Foreseen { of, value })
    }

    /// Whether applying a patch may take more than a moment.
    fn is_long_on(&self, current: Current<'_>) -> bool {
        /// Bytes that all steps together may look at.
        const BRIEF_BYTES: usize = 1 << 20;
        match &self.action {
            DocumentAction::JsonPatch { patch } => {
                patch.steps() * current.value.len() > BRIEF_BYTES
            }
            DocumentAction::Put { .. }
            | DocumentAction::Merge { .. }
            | DocumentAction::Delete
            | DocumentAction::Check => false,
        }
    }

    /// The document that this write, which is no delete and no check, makes of `current`.
    fn value(
        &self,
        current: Option<Current<'_>>,
        schema: Option<&Schema>,
        budget: &mut ValidationBudget,
    ) -> Result<Document, Refusal> {
        let patched = |apply: &dyn Fn(&[u8]) -> Result<Document, PatchError>| {
            let current = current.ok_or(Refusal::Missing)?;
            apply(current.value).map_err(Refusal::Patch)
        };
        let value = match &self.action {
            DocumentAction::Put { value } => value.clone(),
            DocumentAction::Merge { patch } => patched(&|value| patch.apply(value))?,
            DocumentAction::JsonPatch { patch } => patched(&|value| patch.apply(value))?,
            DocumentAction::Delete | DocumentAction::Check => return Err(Refusal::Missing),
        };
        let validated = schema.map_or(Ok(()), |schema| schema.validate(&value, budget));
        match validated {
            Ok(()) => Ok(value),
            Err(InvalidDocument::Violations(list)) => Err(Refusal::SchemaViolated(list)),
            Err(InvalidDocument::TooExpensive) => Err(Refusal::SchemaTooExpensive),
        }
    }
}

/// What a write makes of its document, found out before it was the write's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// The state of the document that it was found out for; `None` if the state does not matter.
    of: Option<Etag>,
    value: Result<Document, Refusal>,
}

impl Foreseen {
    /// Whether it counts for a document in this state.
    fn holds(&self, etag: Option<Etag>) -> bool {
        self.of.is_none() || self.of == etag
    }
}

/// What an operation does if it commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// What to answer.
    pub done: Done,
    /// What to write; `None` leaves the document, its etag included, as it is.
    pub change: Option<Change>,
}

/// How an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Put where nothing was.
    Created,
    /// Put over an older value.
    Replaced,
    /// Changed in part.
    Patched,
    /// Removed.
    Deleted,
    /// Nothing to delete. Fails nothing inside a transaction; alone, it is "not found".
    Missing,
    /// The condition holds.
    Checked,
}

/// The mutation of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The new value.
    Write(Document),
    /// A tombstone.
    Remove,
}

/// Why an operation is not done, nor the transaction around it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The document is not in the state that the client demands.
    #[error("the precondition failed")]
    ConditionFailed {
        /// Which condition it is that does not hold.
        unmet: Unmet,
        /// The state that the document is in; `None` if it does not exist.
        current: Option<Etag>,
    },
    /// A patch of a document that does not exist.
    #[error("there is no such document")]
    Missing,
    /// The patch does not fit the document; [`PatchError::TestFailed`] is a conflict.
    #[error(transparent)]
    Patch(PatchError),
    /// The new value breaks the table's schema; at least one entry.
    #[error(
        "the document violates the table's schema in {} place{}",
        .0.len(),
        if .0.len() == 1 { "" } else { "s" }
    )]
    SchemaViolated(Vec<Violation>),
    /// To validate the new value takes more steps than there are; of a full budget, always.
    #[error(
        "validating the document against the table's schema takes too many steps; \
         make the document smaller, or the schema simpler"
    )]
    SchemaTooExpensive,
}

/// Checks what holds for the operations of a transaction whatever the state is.
///
/// * `partitions`: of the database; resources of one partition are still two resources.
///
/// Answers the partition that all of them belong to.
///
/// # Errors
/// The first rule that `operations` break.
pub fn check_operations(
    operations: &[Operation],
    partitions: u32,
) -> Result<u32, TransactionError> {
    let first = operations.first().ok_or(TransactionError::Empty)?;
    if operations.len() > OPERATIONS_MAX {
        return Err(TransactionError::TooMany { operations_max: OPERATIONS_MAX });
    }
    let resource = first.key.resource();
    let mut seen = BTreeMap::new();
    for (operation, Operation { table, key, action, condition }) in operations.iter().enumerate() {
        if key.resource() != resource {
            return Err(TransactionError::CrossResource { operation });
        }
        if seen.insert((*table, key.as_bytes()), operation).is_some() {
            return Err(TransactionError::RepeatedKey { operation });
        }
        if *action == DocumentAction::Check && condition.is_empty() {
            return Err(TransactionError::NothingToCheck { operation });
        }
    }
    Ok(partition_of(resource, partitions))
}

/// Why some operations are no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// No operations.
    #[error("a transaction requires at least one operation")]
    Empty,
    /// More operations than allowed.
    #[error("a transaction takes at most {operations_max} operations")]
    TooMany {
        /// The limit.
        operations_max: usize,
    },
    /// A key has another resource than the first operation's.
    #[error("operation {operation} names another resource than operation 0")]
    CrossResource {
        /// Counted from 0.
        operation: usize,
    },
    /// A document is named twice.
    #[error("operation {operation} names the same document as an earlier operation")]
    RepeatedKey {
        /// Counted from 0.
        operation: usize,
    },
    /// A check without a condition.
    #[error("operation {operation} is a check without a condition")]
    NothingToCheck {
        /// Counted from 0.
        operation: usize,
    },
}
