//! Chance for foca: whom to probe, and whom to tell.

use rand::TryRng;
use std::convert::Infallible;

/// Not secret: nothing that is proven rests on it.
pub(crate) struct Chance(fastrand::Rng);

impl Chance {
    pub(crate) fn new() -> Chance {
        Chance(fastrand::Rng::new())
    }
}

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.u32(..))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.u64(..))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}
