//! The batches of a partition that readers may have seen, as who sees everything knows them.

use std::collections::VecDeque;

/// The batches of a partition that were below a high watermark.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommittedLog {
    pub(crate) end: u64,
    /// Base and leader of each, oldest first.
    pub(crate) batches: VecDeque<(u64, u32)>,
}
