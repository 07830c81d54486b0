//! Random numbers that a seed decides: the same on every machine and in every release.
//!
//! Never asks the operating system. Start reading at [`Random`].

use cortado_model::{SPLIT_MIX_STEP, mixed};

/// A stream of numbers: xoshiro256++, filled by SplitMix64.
///
/// Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators".
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream that belongs to `seed`.
    pub fn of(seed: u64) -> Random {
        let mut filler = seed;
        Random { state: std::array::from_fn(|_| split_mix(&mut filler)) }
    }

    /// The next number, any of 2^64.
    pub fn draw(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply and shift; the bias is below 2^-32 for every bound that the simulator uses.
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// An index below `len`, which is at least 1.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `chance` times in a million.
    pub fn happens(&mut self, chance: PerMillion) -> bool {
        chance.0 > 0 && self.below(1_000_000) < u64::from(chance.0)
    }

    /// True as often as not.
    pub fn coin(&mut self) -> bool {
        self.draw() >> 63 == 1
    }

    /// One of `choices`, which are not empty.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// A duration around `mean`, from a fortieth of it to four times as much, mostly short.
    pub fn around(&mut self, mean: u64) -> u64 {
        // The product of two uniform numbers leans towards short ones; 4 restores the mean.
        let part = (self.below(1_000) * self.below(1_000)) / 1_000;
        (mean * 4 * part / 1_000).max(mean / 40).max(1)
    }
}

/// How often something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerMillion(pub u32);

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(SPLIT_MIX_STEP);
    mixed(*state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_for_ever() {
        // Computed once; a change here changes what every recorded seed means.
        let mut random = Random::of(7);
        let first: [u64; 3] = std::array::from_fn(|_| random.draw());
        let want =
            [1_021_219_803_524_665_661, 3_174_977_118_032_272_916, 13_236_943_193_235_544_178];
        assert_eq!(first, want);
        assert_ne!(first[0], Random::of(8).draw());
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // From the reference implementation in C, for the state 1, 2, 3, 4.
        let mut random = Random { state: [1, 2, 3, 4] };
        let first: [u64; 4] = std::array::from_fn(|_| random.draw());
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn numbers_stay_in_their_bounds() {
        let mut random = Random::of(1);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[random.index(10)] += 1;
            assert!((3..=5).contains(&random.between(3, 5)));
            let duration = random.around(400);
            assert!((10..=1_600).contains(&duration), "{duration}");
        }
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
        assert!(!random.happens(PerMillion(0)) && random.happens(PerMillion(1_000_000)));
    }
}
