//! What picks see: an aperture that does not change any more, and the choice between two.
//!
//! Start reading at [`Snapshot::pick`].
//!
//! Source: weighted power of two choices, as in Twitter Finagle, with weights compared relatively.

use crate::alias::{self, AliasTable};
use crate::endpoint::{Permit, SharedEndpoint};
use crate::health::Status;
use crate::load::LoadMetric;
use crate::random::Random;
use crate::time::Nanos;

/// The endpoints of an aperture, drawn by their shares.
#[derive(Debug)]
pub(crate) struct Snapshot<K, T, M: LoadMetric> {
    seats: Box<[Seat<K, T, M>]>,
}

/// An endpoint in the alias table.
#[derive(Debug)]
struct Seat<K, T, M: LoadMetric> {
    slot: alias::Slot,
    /// Its share, in units of which only the relations count.
    weight: f64,
    endpoint: SharedEndpoint<K, T, M>,
}

impl<K, T, M: LoadMetric> Seat<K, T, M> {
    #[inline]
    fn contender(&self, now: Nanos) -> Contender {
        Contender {
            status: self.endpoint.status(now),
            load: self.endpoint.load(now),
            weight: self.weight,
        }
    }
}

/// Pairs that are drawn until one of them holds an endpoint that may be used. With a part p of the
/// aperture down, p⁸ of the picks find none.
const TRIES: u32 = 4;
/// Draws after which an endpoint is compared with itself, if one has nearly all of the weight.
const REDRAWS: u32 = 5;

impl<K, T, M: LoadMetric> Snapshot<K, T, M> {
    pub(crate) fn new(shares: Vec<(SharedEndpoint<K, T, M>, u128)>) -> Self {
        let units: Vec<u128> = shares.iter().map(|(_, units)| *units).collect();
        let table = AliasTable::new(&units);
        let seats = shares.into_iter().zip(table.slots());
        let seats = seats.map(|((endpoint, units), slot)| Seat {
            slot: *slot,
            weight: units as f64,
            endpoint,
        });
        Snapshot { seats: seats.collect() }
    }

    /// How many endpoints it has.
    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    /// Each endpoint with its part of the traffic.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&SharedEndpoint<K, T, M>, f64)> {
        let total: f64 = self.seats.iter().map(|seat| seat.weight).sum();
        self.seats.iter().map(move |seat| (&seat.endpoint, seat.weight / total))
    }

    /// Picks the better one of two that are drawn by their shares.
    ///
    /// If four pairs hold none that may be used, the next pair gives one anyway: spreading over
    /// endpoints that seem to be down is better than piling on the last that is not, or refusing.
    /// `None` only if there are no endpoints.
    #[inline]
    pub(crate) fn pick(&self, now: Nanos, random: &Random) -> Option<Picked<'_, K, T, M>> {
        if self.seats.is_empty() {
            return None;
        }
        for _ in 0..TRIES {
            let endpoint = self.better_of_two(now, random);
            if let Some(permit) = endpoint.admit(now) {
                return Some(Picked { endpoint, permit, is_panic: false });
            }
        }
        let endpoint = self.better_of_two(now, random);
        let permit = endpoint.admit_anyway(now);
        Some(Picked { endpoint, permit, is_panic: true })
    }

    /// Picks the best of all but those of which `is_spent` says true: alive, healthy, with little
    /// load for its share, in this order. `None` if there are no others.
    pub(crate) fn pick_other(
        &self,
        now: Nanos,
        random: &Random,
        is_spent: impl Fn(&K) -> bool,
    ) -> Option<Picked<'_, K, T, M>> {
        // Begins anywhere, or ties would always go to the first on the ring.
        let start = random.draw().checked_rem(self.seats.len() as u64)? as usize;
        let turned = self.seats[start..].iter().chain(&self.seats[..start]);
        let others = turned.filter(|seat| !is_spent(seat.endpoint.key()));
        let better = |best: &Seat<K, T, M>, next: &Seat<K, T, M>| match (
            best.endpoint.is_alive(),
            next.endpoint.is_alive(),
        ) {
            (false, true) => true,
            (true, false) => false,
            _ => is_better(&next.contender(now), &best.contender(now)),
        };
        let best = others.reduce(|best, next| if better(best, next) { next } else { best })?;
        let endpoint = &best.endpoint;
        let admitted = endpoint.admit(now);
        let is_panic = admitted.is_none();
        let permit = admitted.unwrap_or_else(|| endpoint.admit_in_spite(now));
        Some(Picked { endpoint, permit, is_panic })
    }

    #[inline]
    fn better_of_two(&self, now: Nanos, random: &Random) -> &SharedEndpoint<K, T, M> {
        let first = self.draw(random);
        let mut second = first;
        // With one endpoint there is nothing to draw.
        for _ in 0..REDRAWS * u32::from(self.seats.len() > 1) {
            second = self.draw(random);
            if second != first {
                break;
            }
        }
        let (first, second) = (&self.seats[first], &self.seats[second]);
        if is_better(&second.contender(now), &first.contender(now)) {
            &second.endpoint
        } else {
            &first.endpoint
        }
    }

    #[inline]
    fn draw(&self, random: &Random) -> usize {
        alias::draw(random.draw(), self.seats.len(), |index| self.seats[index].slot)
    }
}

/// An endpoint and the right to use it once.
pub(crate) struct Picked<'a, K, T, M: LoadMetric> {
    pub(crate) endpoint: &'a SharedEndpoint<K, T, M>,
    pub(crate) permit: Permit<M>,
    /// Nothing that was looked at may be used; this is used all the same.
    pub(crate) is_panic: bool,
}

/// One of the two that were drawn.
#[derive(Clone, Copy, Debug)]
struct Contender {
    status: Status,
    load: f64,
    weight: f64,
}

/// Whether `second` should be taken rather than `first`: it is healthier, or as healthy and less
/// loaded for its weight.
///
/// A tie goes to the one that was drawn first, so that idle endpoints are used by their shares.
#[inline]
fn is_better(second: &Contender, first: &Contender) -> bool {
    if second.status != first.status {
        return second.status > first.status;
    }
    let is_alike = |a: f64, b: f64| a == b || (a - b).abs() <= ALIKE * a.max(b);
    if is_alike(second.weight, first.weight) {
        return second.load < first.load;
    }
    // A weight of 0 stands for 1, as where all weights are 0.
    let weight =
        |contender: &Contender| if contender.weight == 0.0 { 1.0 } else { contender.weight };
    second.load * weight(first) < first.load * weight(second)
}

/// Weights that differ by less are equal but for rounding. Relative: an absolute limit would make
/// all weights equal on a ring of many endpoints.
const ALIKE: f64 = 1e-9;

#[cfg(test)]
mod tests;
