//! Random numbers for identities, drawn here and nowhere else in this crate.

use std::hash::{BuildHasher, RandomState};

/// A number that no other call, on any machine, will answer again.
///
/// Not secret: the standard library's hash keys come from the operating system, and each pair of
/// keys hashes nothing to 64 unpredictable bits.
pub fn random_u128() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(()));
    half() << 64 | half()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_number_comes_twice() {
        let numbers: BTreeSet<u128> = (0..10_000).map(|_| random_u128()).collect();
        assert_eq!(numbers.len(), 10_000);
        // Neither half is constant.
        let high: BTreeSet<u64> = numbers.iter().map(|number| (number >> 64) as u64).collect();
        let low: BTreeSet<u64> = numbers.iter().map(|number| *number as u64).collect();
        assert!(high.len() > 9_990 && low.len() > 9_990);
    }
}
