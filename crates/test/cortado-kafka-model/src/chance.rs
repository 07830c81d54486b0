//! Numbers that a seed decides: what the cluster leaves to chance.

use cortado_model::{SPLIT_MIX_STEP, mixed};

/// A stream of numbers: SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(SPLIT_MIX_STEP);
        mixed(self.0)
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// A duration around `mean`: from a tenth of it to nearly twice as much.
    pub(crate) fn around(&mut self, mean: u64) -> u64 {
        (mean / 10 + self.below(mean.max(1) * 9 / 5 + 1)).max(1)
    }
}
