//! A node that has died while it led, in worlds that are about that.
//!
//! Decides nothing: the world kills it. Start reading at [`DeadLeader`].

use crate::kernel::time::Moment;
use std::collections::BTreeSet;

/// Who it is, and what others have not served since.
#[derive(Clone, Debug)]
pub(crate) struct DeadLeader {
    pub(crate) node: usize,
    /// When it died.
    pub(crate) since: Moment,
    /// From then on this takes too long.
    pub(crate) bound_us: u64,
    /// What it led, and where no write has been served since.
    pub(crate) unserved: BTreeSet<usize>,
}
