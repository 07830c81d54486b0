//! Numbers that can be repeated by their seed, for tests.

use cortado_model::{SPLIT_MIX_STEP, mixed};

/// A small generator (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number from 0 up to, not including, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(SPLIT_MIX_STEP);
        mixed(self.0) % end
    }
}
