//! Random numbers of many shapes, by comparing and adding only.
//!
//! No logarithm is taken: its last bit differs between platforms, and one bit would change the
//! whole history.

use cortado_aperture::Random;

/// A stream of draws.
#[derive(Debug)]
pub(crate) struct Draw(Random);

impl Draw {
    /// The stream of this seed and this purpose; two purposes have nothing in common.
    pub(crate) fn new(seed: u64, purpose: &str) -> Draw {
        Draw(Random::new(seed_of(seed, purpose)))
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        let product = u128::from(self.0.draw()) * u128::from(limit);
        (product >> 64) as u64
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&self) -> f64 {
        (self.0.draw() >> 11) as f64 / (1_u64 << 53) as f64
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
    purpose.bytes().fold(seed, |seed, byte| Random::new(seed ^ u64::from(byte)).draw())
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
