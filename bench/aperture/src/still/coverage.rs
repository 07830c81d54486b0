//! What peers cover of the endpoints, and the loads that follow from it.
//!
//! Start reading at [`Coverage`].

use crate::key::Key;
use cortado_aperture::Candidate;
use std::collections::BTreeMap;

/// What all peers cover together.
#[derive(Clone, Debug)]
pub struct Coverage {
    pub(super) covers: Vec<Cover>,
}

impl Coverage {
    /// The load of every endpoint in `view` or covered, if peer `id` sends `traffic(id)`.
    ///
    /// Whole numbers if all peers send alike and divide it by one measure, so that equal loads are
    /// equal to the last bit.
    pub fn loads(&self, view: &View, traffic: impl Fn(usize) -> f64) -> BTreeMap<Key, f64> {
        let mut totals = self.covers.iter().map(Cover::units);
        let first = totals.next().unwrap_or(1);
        let is_alike = totals.all(|total| total == first)
            && (0..self.covers.len()).all(|id| traffic(id) == traffic(0));
        let mut loads: BTreeMap<Key, f64> = view.keys.iter().map(|key| (*key, 0.0)).collect();
        for (id, cover) in self.covers.iter().enumerate() {
            let total = if is_alike { 1.0 } else { cover.units() as f64 };
            let scale = if is_alike { 1.0 } else { traffic(id) };
            for (key, units) in &cover.shares {
                *loads.entry(*key).or_insert(0.0) += *units as f64 * scale / total;
            }
        }
        loads
    }

    /// Connections of the mean peer and of the one with most.
    pub fn connections(&self) -> (f64, f64) {
        let counts = || self.covers.iter().map(|cover| cover.connections() as f64);
        let mean = counts().sum::<f64>() / self.covers.len().max(1) as f64;
        (mean, counts().fold(0.0, f64::max))
    }
}

/// The endpoints of one peer, with their units of its traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    pub(super) shares: Vec<(Key, u128)>,
}

impl Cover {
    /// How many endpoints it has to connect to.
    pub fn connections(&self) -> usize {
        self.shares.len()
    }

    fn units(&self) -> u128 {
        self.shares.iter().map(|(_, units)| units).sum()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.shares.iter().map(|(key, _)| key)
    }
}

/// The endpoints in ring order.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) candidates: Vec<Candidate>,
    pub(super) keys: Vec<Key>,
}
