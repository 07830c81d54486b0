//! The ring of endpoints and the sectors that peers cover of it, in whole numbers.
//!
//! Every length is a count of *units*, of which a sector says how many the whole ring has. No
//! floating point: an endpoint is in a sector or it is not, and what all peers cover adds up
//! exactly. Start reading at [`Ring::shares`].

use crate::weight::Weight;

/// Endpoints in ring order, each on an arc as long as its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Where the arc of each endpoint ends, in reduced weights. Empty if there is no endpoint.
    ends: Vec<u64>,
}

impl Ring {
    /// Lays endpoints of these weights side by side, from the start of the ring on.
    ///
    /// Only the relations between weights count. If all are zero, all count alike.
    pub fn new(weights: impl IntoIterator<Item = Weight>) -> Ring {
        let mut arcs: Vec<u64> = weights.into_iter().map(|weight| u64::from(weight.0)).collect();
        let divisor = arcs.iter().fold(0, |divisor, arc| gcd(divisor, u128::from(*arc)));
        let divisor = u64::try_from(divisor).expect("divides a weight");
        let is_all_zero = divisor == 0;
        let mut end = 0;
        for arc in &mut arcs {
            end += if is_all_zero { 1 } else { *arc / divisor };
            *arc = end;
        }
        Ring { ends: arcs }
    }

    /// How many endpoints there are, those of weight zero included.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no endpoint.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The sum of all weights, after division by their greatest common divisor.
    pub fn total(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// How many units the ring has for a sector whose fractions are of `parts`.
    pub fn units(&self, parts: u64) -> u128 {
        u128::from(self.total()) * u128::from(parts)
    }

    /// The length of an endpoint's arc, in units of a ring of `parts`; `None` if there is none.
    pub fn arc(&self, index: usize, parts: u64) -> Option<u128> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(u128::from(end - start) * u128::from(parts))
    }

    /// The endpoint on whose arc the sector begins; `None` on an empty ring.
    pub fn index_at(&self, sector: &Sector) -> Option<usize> {
        let position = self.start_of(sector);
        let parts = u128::from(sector.parts);
        let index = self.ends.partition_point(|end| u128::from(*end) * parts <= position);
        (index < self.len()).then_some(index)
    }

    /// What of each endpoint's arc lies in `sector`, in ring order from the sector's start.
    ///
    /// Appends to `shares`. An endpoint is listed once, and only if something of it lies inside.
    /// The units of all shares add up to the sector's width: `width * total()`.
    pub fn shares(&self, sector: &Sector, shares: &mut Vec<Share>) {
        let Some(first) = self.index_at(sector) else { return };
        let parts = u128::from(sector.parts);
        let mut rest = u128::from(sector.width) * u128::from(self.total());
        let mut position = self.start_of(sector);
        let mut index = first;
        let begin = shares.len();
        while rest > 0 {
            let end = u128::from(self.ends[index]) * parts;
            let units = (end - position).min(rest);
            rest -= units;
            position = end;
            // The sector may come back to the endpoint on which it has begun.
            match shares.get_mut(begin) {
                Some(share) if share.index == index => share.units += units,
                _ if units > 0 => shares.push(Share { index, units }),
                _ => {}
            }
            index += 1;
            if index == self.ends.len() {
                (index, position) = (0, 0);
            }
        }
    }

    fn start_of(&self, sector: &Sector) -> u128 {
        u128::from(sector.offset) * u128::from(self.total())
    }
}

/// A part of the ring: from `offset / parts`, as long as `width / parts`, perhaps past its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sector {
    offset: u64,
    width: u64,
    parts: u64,
}

impl Sector {
    /// The whole ring.
    pub const FULL: Sector = Sector { offset: 0, width: 1, parts: 1 };

    /// A sector from fractions of one denominator.
    ///
    /// * `offset`: where it begins; less than `parts`.
    /// * `width`: its length; at most `parts`, which is the whole ring.
    ///
    /// # Errors
    /// A fraction that is out of its range, or no parts.
    pub fn new(offset: u64, width: u64, parts: u64) -> Result<Sector, SectorError> {
        match parts {
            0 => Err(SectorError::NoParts),
            _ if offset >= parts => Err(SectorError::OffsetTooLarge { offset, parts }),
            _ if width > parts => Err(SectorError::WidthTooLarge { width, parts }),
            _ => Ok(Sector { offset, width, parts }),
        }
    }

    /// Where it begins, in parts.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its length, in parts.
    pub fn width(&self) -> u64 {
        self.width
    }

    /// Into how many parts it divides the ring.
    pub fn parts(&self) -> u64 {
        self.parts
    }
}

/// How much of one endpoint a sector covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Of the endpoint in ring order, from 0.
    pub index: usize,
    /// Length of its arc inside the sector; never 0.
    pub units: u128,
}

/// Why fractions make no sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectorError {
    /// A ring of zero parts.
    NoParts,
    /// The sector would begin past the end of the ring.
    OffsetTooLarge {
        /// As given.
        offset: u64,
        /// As given.
        parts: u64,
    },
    /// The sector would cover more than the ring.
    WidthTooLarge {
        /// As given.
        width: u64,
        /// As given.
        parts: u64,
    },
}

impl std::fmt::Display for SectorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SectorError::NoParts => f.write_str("a ring has at least one part"),
            SectorError::OffsetTooLarge { offset, parts } => {
                write!(f, "offset {offset}/{parts} is not on the ring, which ends before 1")
            }
            SectorError::WidthTooLarge { width, parts } => {
                write!(f, "width {width}/{parts} is more than the whole ring")
            }
        }
    }
}

impl std::error::Error for SectorError {}

/// The greatest common divisor; `gcd(0, n)` is `n`.
pub(crate) fn gcd(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests;
