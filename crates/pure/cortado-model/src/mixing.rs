//! Numbers that look random and are not: for what must differ from one partition or try to the
//! next, and be the same whenever it is computed.

/// What a SplitMix64 generator adds to its state before each number, which is [`mixed`] of it.
pub const SPLIT_MIX_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number each of whose bits depends on all bits of `number`: neighbours come to lie far apart.
///
/// The finalizer of SplitMix64. Recorded seeds of simulations rest on it.
pub const fn mixed(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_0_gives_the_published_numbers() {
        let want = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        assert_eq!([1, 2, 3].map(|step: u64| mixed(step.wrapping_mul(SPLIT_MIX_STEP))), want);
    }
}
