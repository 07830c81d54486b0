//! Few connections change whoever comes or goes: both sides stand where their number puts them.
//!
//! Source: the binary van der Corput order of "Ringsteady", as described in public summaries of
//! ACM Queue 20(5), 2022; restated, and measured by the tests of this crate.

use super::{Candidate, Position, Subset, Subsetter, Widening, van_der_corput};
use crate::coordinate::Coordinate;
use std::num::NonZeroU32;

/// Uses the `size` endpoints that follow this client's point on a ring of numbers.
///
/// Clients and endpoints stand at the van der Corput point of their number, which no other number
/// moves: one client more opens only its own connections, one endpoint more changes one connection
/// of `size/S` of the clients (1 % at 100 × 100).
///
/// Take it when clients are resized all the time and endpoints are numbered without holes
/// ([`Candidate::ordinal`]). Balance is exact for as many clients as endpoints, good for many more
/// clients (1.04 times the mean at 1000 × 100), and poor for fewer: at 100 × 1000 the most loaded
/// endpoint gets 1.7 times the mean and some get nothing. If an endpoint has no number, all stand
/// where their hash puts them, which is as steady and much less even. A client that does not know
/// its number uses every endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Ringsteady {
    size: NonZeroU32,
    position: Position,
}

impl Ringsteady {
    /// A subset of `size` endpoints, for a client that does not know its number yet.
    pub fn new(size: NonZeroU32) -> Ringsteady {
        Ringsteady { size, position: Position::Unknown }
    }

    /// The same for a client that knows its number.
    pub fn at(size: NonZeroU32, coordinate: Coordinate) -> Ringsteady {
        Ringsteady { size, position: Position::Settled(coordinate) }
    }
}

impl Subsetter for Ringsteady {
    fn subset(&self, candidates: &[Candidate], widening: Widening) -> Subset {
        let Some(id) = self.position.id() else {
            return Subset::by_weight(candidates, 0..candidates.len());
        };
        let points = points(candidates);
        let start = points.partition_point(|(point, _)| *point < van_der_corput(id));
        let size = widening.of(self.size.get() as usize).min(points.len());
        let following = points.iter().cycle().skip(start).take(size);
        Subset::by_weight(candidates, following.map(|(_, index)| *index))
    }

    /// The number of peers does not matter, nor whether they have agreed about it.
    fn on_position(&mut self, position: Position) -> bool {
        std::mem::replace(&mut self.position, position).id() != position.id()
    }
}

/// Where each candidate that takes traffic stands, and its index, in the order of the ring.
fn points(candidates: &[Candidate]) -> Vec<(u32, usize)> {
    let is_all_zero = candidates.iter().all(|candidate| candidate.weight.0 == 0);
    let is_numbered = candidates.iter().all(|candidate| candidate.ordinal.is_some());
    let point = |candidate: &Candidate| match candidate.ordinal {
        Some(ordinal) if is_numbered => van_der_corput(ordinal),
        Some(_) | None => (candidate.place.0 >> 96) as u32,
    };
    let all = candidates.iter().enumerate();
    let taking_part = all.filter(|(_, candidate)| is_all_zero || candidate.weight.0 > 0);
    let mut points: Vec<_> = taking_part.map(|(index, each)| (point(each), index)).collect();
    points.sort_unstable();
    points
}
