//! Every endpoint.

use super::{Candidate, Subset, Subsetter, Widening};

/// Uses every endpoint, by weight.
///
/// Take it when clients × endpoints connections are affordable, up to some hundred endpoints, or
/// when one client makes most of the traffic. What tower's `p2c` does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Full;

impl Subsetter for Full {
    fn subset(&self, candidates: &[Candidate], _: Widening) -> Subset {
        Subset::by_weight(candidates, 0..candidates.len())
    }
}
