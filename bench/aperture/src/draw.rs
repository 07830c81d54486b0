//! Random numbers of many shapes, by comparing and adding only.
//!
//! No logarithm is taken: its last bit differs between platforms, and one bit would change the
//! whole history. And the stream is this program's own: if that of the crate becomes another one,
//! what happens to clients stays the same.
//!
//! Source: SplitMix64, of Steele, Lea and Flood, "Fast splittable pseudorandom number generators".

use std::cell::Cell;

/// A stream of draws.
#[derive(Debug)]
pub(crate) struct Draw(Cell<u64>);

impl Draw {
    /// The stream of this seed and this purpose; two purposes have nothing in common.
    pub(crate) fn new(seed: u64, purpose: &str) -> Draw {
        Draw(Cell::new(seed_of(seed, purpose)))
    }

    /// A number of 64 bits.
    fn draw(&self) -> u64 {
        let mut state = self.0.get();
        let number = next(&mut state);
        self.0.set(state);
        number
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        let product = u128::from(self.draw()) * u128::from(limit);
        (product >> 64) as u64
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A time between two arrivals that know nothing of each other, in units of their mean.
    ///
    /// Source: J. von Neumann, "Various techniques used in connection with random digits".
    pub(crate) fn exponential(&self) -> f64 {
        let mut whole = 0.0;
        loop {
            let first = self.unit();
            let mut last = first;
            let mut is_odd = true;
            loop {
                let next = self.unit();
                if next >= last {
                    break;
                }
                last = next;
                is_odd = !is_odd;
            }
            if is_odd {
                return whole + first;
            }
            whole += 1.0;
        }
    }

    /// `count` of the numbers below `limit`, in no order.
    pub(crate) fn choose(&self, count: usize, limit: u32) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..limit).collect();
        for at in 0..count.min(numbers.len()) {
            let other = at + self.below((numbers.len() - at) as u64) as usize;
            numbers.swap(at, other);
        }
        numbers.truncate(count);
        numbers
    }
}

/// A seed for one purpose out of the seed of the whole.
pub(crate) fn seed_of(seed: u64, purpose: &str) -> u64 {
    purpose.bytes().fold(seed, |seed, byte| next(&mut (seed ^ u64::from(byte))))
}

/// The number that follows on `state`.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_draws_have_their_mean_and_their_spread() {
        let draw = Draw::new(7, "test");
        let draws: Vec<f64> = (0..100_000).map(|_| draw.exponential()).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let square = draws.iter().map(|draw| draw * draw).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.02 && (square - 2.0).abs() < 0.1, "{mean} {square}");
    }

    #[test]
    fn choices_are_distinct() {
        let mut chosen = Draw::new(7, "test").choose(40, 50);
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 40);
    }
}
