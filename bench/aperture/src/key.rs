//! What identifies a simulated endpoint.

use cortado_aperture::RingKey;

/// An endpoint: its number, and which start of it this is.
///
/// A restarted endpoint has another address, and with it another place on the ring, but the same
/// number, as members of a stateful set do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// From 0, without holes.
    pub number: u32,
    /// How often it has been restarted.
    pub life: u32,
}

impl Key {
    /// The first start of endpoint `number`.
    pub const fn first(number: u32) -> Key {
        Key { number, life: 0 }
    }
}

impl RingKey for Key {
    fn identity(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.life.to_be_bytes());
    }

    fn ordinal(&self) -> Option<u32> {
        Some(self.number)
    }
}
