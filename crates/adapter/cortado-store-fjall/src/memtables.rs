//! What is in memory before it is in a table, and how much of it there may be.

/// When the memtable becomes a table. Five may be in memory before batches have to wait (see
/// `room.rs`), and three stores in one process should not need gigabytes.
pub(crate) const MEMTABLE_BYTES_MAX: u64 = 32 << 20;
/// The one that is written to, and four full ones: then batches wait.
pub(crate) const MEMTABLES_MAX: u64 = 5;
/// What an entry weighs in the memtable beside its bytes.
pub(crate) const ENTRY_BYTES: usize = 64;
