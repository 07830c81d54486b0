//! Why a declaration or an order was not carried out.

/// What clients are told when a declaration could not be written.
const RETRY_AFTER_MS: u64 = 1_000;

/// Why a declaration or an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// There is no database of that name.
    #[error("there is no such database")]
    NoSuchDatabase,
    /// There is no table of that name.
    #[error("there is no such table")]
    NoSuchTable,
    /// The partition number is not below the database's partition count.
    #[error("the database has no such partition")]
    NoSuchPartition,
    /// No such node, or it has no replica of the partition, or none that could lead now.
    #[error("no such node, or it cannot lead the partition now")]
    NoSuchNode,
    /// No node of that name has ever registered.
    #[error("no node of that name has ever registered")]
    NotRegistered,
    /// The node runs in this process.
    #[error("the node is running; stop it first")]
    NodeRuns,
    /// Not of the form `[a-z][a-z0-9_]{0,62}`; or a database of the system, which nobody declares.
    #[error("names must match [a-z][a-z0-9_]{{0,62}}; those that begin with _ are reserved")]
    BadName,
    /// The declaration contradicts itself or a limit.
    #[error("{why}")]
    Invalid {
        /// The reason, for messages.
        why: String,
    },
    /// It exists, and is something else.
    #[error("it already exists with a different declaration: {}", .reasons.join("; "))]
    Conflict {
        /// How it differs; at least one.
        reasons: Vec<String>,
    },
    /// Not done, now or later. Try again.
    #[error("not done: {why}")]
    NotDone {
        /// The reason, for messages.
        why: String,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// Perhaps done: look, or declare it again.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// The reason, for messages.
        why: String,
    },
}

pub(super) fn not_done(why: &str) -> AdminError {
    AdminError::NotDone { why: why.to_owned(), retry_after_ms: RETRY_AFTER_MS }
}
