//! A write as the driver takes it, and what it comes to.
//!
//! Decides nothing. Start reading at [`WriteOrder`].

use crate::idempotency::KeyedWrite;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use cortado_document::{DocumentAction, Done, Foreseen, Operation, Refusal, Schema};
use cortado_model::{Etag, Scn, TableId, WallMillis};

/// A write of one partition.
#[derive(Clone, Debug)]
pub struct WriteOrder {
    /// Whose tables and schemas count; `None` for `_cluster`, which has none.
    pub tables: Option<Arc<dyn Tables>>,
    /// No document twice in a whole write.
    pub operations: Vec<Operation>,
    /// What was found out of each operation under these tables before it came here; empty if
    /// nothing was.
    pub foreseen: Vec<Option<Foreseen>>,
    /// How they hang together.
    pub mode: WriteMode,
    /// How it is recognised when it comes again: nothing, or one of a whole write, or else one of
    /// each operation.
    pub keyed: Vec<KeyedWrite>,
}

/// How the operations of a write hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// All or nothing, of one resource.
    Whole,
    /// Each as if it had come alone, in their order; of any resources of the partition. A refused
    /// one refuses no other.
    Each,
}

impl WriteOrder {
    /// Whether it removes documents and does nothing else.
    pub(crate) fn only_removes(&self) -> bool {
        !self.operations.iter().any(grows)
    }
}

/// Whether an operation may need room that was not needed before.
pub(crate) fn grows(operation: &Operation) -> bool {
    match operation.action {
        DocumentAction::Put { .. }
        | DocumentAction::Merge { .. }
        | DocumentAction::JsonPatch { .. } => true,
        DocumentAction::Delete | DocumentAction::Check => false,
    }
}

/// What a database declares of its tables.
pub trait Tables: Send + Sync + fmt::Debug {
    /// What the documents of a table must satisfy; `None` for one that is not known.
    fn rules(&self, table: TableId) -> Option<TableRules<'_>>;
}

/// What the documents of a table must satisfy.
#[derive(Clone, Copy, Debug)]
pub struct TableRules<'a> {
    /// The declared schema.
    pub schema: Option<&'a Schema>,
    /// Counts the schemas of the table; 0 as long as it has never had one.
    pub schema_version: u32,
}

/// Who has asked, and waits for the answer. The driver carries it and gives it back.
pub trait Caller {
    /// A write is begun now. `false`: the caller has withdrawn it, and was told that nothing was
    /// begun.
    fn begin(&self) -> bool;
}

/// A write that is committed, or one without an idempotency key that had nothing to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The transaction's place. Of a write that changed nothing: a place no earlier than the state
    /// it was evaluated against.
    pub scn: Scn,
    /// Its log time.
    pub time: WallMillis,
    /// The etag of every document it wrote; of none if it changed nothing.
    pub etag: Etag,
    /// One for each operation, in their order.
    pub results: Vec<Done>,
    /// The write had been done before, under its idempotency key: this is the first answer.
    pub repeated: bool,
}

/// Why a write is not done, and would not be if it came again to the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// One operation cannot be done in the state that it finds.
    Operation {
        /// Counted from 0.
        operation: usize,
        /// Why.
        refusal: Refusal,
    },
    /// The idempotency key belongs to another request of this resource.
    KeyReused,
    /// What the transaction writes exceeds what one record holds.
    TooLarge {
        /// What it would write.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// There is no room for what an operation of [`WriteMode::Each`] would write.
    NoRoom,
    /// The partition remembers as many answers as it may.
    Budget {
        /// When there is room again.
        retry_after_ms: u64,
    },
}

/// Why it is unknown whether a write was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownWhy {
    /// The replica was taken out of service while the write was on its way.
    LeaderLost,
    /// The log failed while the write was on its way.
    LogFailed,
}
