//! Where an endpoint sorts on the ring.

/// A position in ring order; what it counts is only whether it is more or less than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u128);
