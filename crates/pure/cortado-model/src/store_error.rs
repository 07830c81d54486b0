//! What goes wrong in a store, told apart by what its caller may do next.

use alloc::string::String;

/// Why the store did not do it. Nothing of the operation is visible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space: reads go on, writes may be tried again when there is space.
    #[error("the store is full: {why}")]
    Full {
        /// The cause, as text.
        why: String,
    },
    /// The stored bytes are not what was written: the replica must be built anew.
    #[error("the store is damaged: {why}")]
    Damaged {
        /// File or key, as text.
        why: String,
    },
    /// The store has failed and must be dropped and opened again.
    #[error("the store has failed: {why}")]
    Failed {
        /// The cause, as text.
        why: String,
    },
}
