//! How much of the traffic an endpoint should get, relative to the others.

/// The weight of an endpoint: twice the weight, twice the traffic; 0 is none at all.
///
/// Whole numbers, so that all peers agree about every boundary on the ring. Only relations count:
/// to give an endpoint half of what the others get, give it 1 and the others 2. A negative weight,
/// an infinite one or one that is no number has no spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(pub u32);

impl Weight {
    /// What an endpoint has unless it is set.
    pub const ONE: Weight = Weight(1);
    /// No traffic, unless every endpoint has it.
    pub const ZERO: Weight = Weight(0);
}

impl Default for Weight {
    fn default() -> Weight {
        Weight::ONE
    }
}
