//! Random numbers from a seed, and mixing of bits.
//!
//! Sources: for draws wyrand, of Wang Yi (public domain), which is one multiplication; for mixing
//! SplitMix64, of Steele, Lea and Flood, "Fast splittable pseudorandom number generators".

use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of random numbers that its seed decides.
///
/// Draws through `&self` and never waits. Two threads that draw from one stream at the same moment
/// may draw the same number, which is as good as any; give each its own by cloning.
#[derive(Debug)]
pub struct Random {
    state: AtomicU64,
}

impl Random {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Random {
        Random { state: AtomicU64::new(seed) }
    }

    /// The next number, each of the 2⁶⁴ as likely as any other.
    #[inline]
    pub fn draw(&self) -> u64 {
        // A load and a store cost less than an addition that other threads must see at once.
        let next = self.state.load(Ordering::Relaxed).wrapping_add(STEP);
        self.state.store(next, Ordering::Relaxed);
        let product = u128::from(next) * u128::from(next ^ TURN);
        (product >> 64) as u64 ^ product as u64
    }
}

impl Clone for Random {
    /// A stream of its own, which this one decides.
    fn clone(&self) -> Random {
        // Mixed twice, or it would be the same stream a few numbers on.
        Random::new(mix(self.draw()))
    }
}

/// The constants of wyrand.
const STEP: u64 = 0xA076_1D64_78BD_642F;
const TURN: u64 = 0xE703_7ED1_A0B4_28DB;
/// 2⁶⁴ divided by the golden ratio, made odd.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Spreads every bit over all others.
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// A hash of `place` that `seed` decides.
pub(crate) fn hash_of(place: u128, seed: u64) -> u64 {
    let high = mix((place >> 64) as u64 ^ mix(seed.wrapping_add(GOLDEN)));
    mix(high ^ place as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_a_clone_goes_its_own_way() {
        let [first, second] = [7, 7].map(Random::new);
        let draws = |random: &Random| (0..4).map(|_| random.draw()).collect::<Vec<_>>();
        assert_eq!(draws(&first), draws(&second));
        let clone = first.clone();
        assert_ne!(draws(&clone), draws(&first));
    }

    #[test]
    fn every_bit_is_set_half_of_the_time() {
        let random = Random::new(0);
        let mut counts = [0_u32; 64];
        for _ in 0..10_000 {
            let draw = random.draw();
            counts
                .iter_mut()
                .enumerate()
                .for_each(|(bit, count)| *count += (draw >> bit) as u32 & 1);
        }
        assert!(counts.iter().all(|count| count.abs_diff(5_000) < 250), "{counts:?}");
    }
}
