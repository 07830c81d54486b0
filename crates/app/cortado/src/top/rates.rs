//! Transactions a second, told by how positions grow between two looks.
//!
//! Start reading at [`Rates::add`].

use cortado_wire::ClusterAnswer;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A database and the number of a partition.
type Place = (String, u32);
/// What a partition has applied: generation and sequence.
type Applied = (u32, u64);
/// What was seen at one look.
type Positions = BTreeMap<Place, Applied>;

/// The rate of each partition, by database and number.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    last: Option<(Positions, Instant)>,
    per_second: BTreeMap<Place, f64>,
}

impl Rates {
    /// One more look. The rates are those since the one before.
    pub(crate) fn add(&mut self, cluster: &ClusterAnswer, now: Instant) {
        let mut applied = Positions::new();
        for database in &cluster.databases {
            for partition in &database.partitions {
                if let Some(position) = partition.applied {
                    let scn = (position.scn.generation.0, position.scn.sequence.0);
                    applied.insert((database.name.clone(), partition.partition), scn);
                }
            }
        }
        if let Some((before, then)) = &self.last {
            let elapsed = now.duration_since(*then).max(Duration::from_millis(1)).as_secs_f64();
            let rate = |(place, new): (&Place, &Applied)| {
                let grown = growth(*before.get(place)?, *new);
                Some((place.clone(), grown as f64 / elapsed))
            };
            self.per_second = applied.iter().filter_map(rate).collect();
        }
        self.last = Some((applied, now));
    }

    /// Of one partition; `None` until it was seen twice.
    pub(crate) fn of(&self, database: &str, partition: u32) -> Option<f64> {
        self.per_second.get(&(database.to_owned(), partition)).copied()
    }

    /// The sums of each database.
    pub(crate) fn by_database(&self) -> BTreeMap<&str, f64> {
        let mut sums = BTreeMap::new();
        for ((database, _), rate) in &self.per_second {
            *sums.entry(database.as_str()).or_default() += rate;
        }
        sums
    }

    /// Whether there are rates: a second look has been taken.
    pub(crate) fn are_known(&self) -> bool {
        !self.per_second.is_empty()
    }
}

/// How many transactions came between. A generation counts from 1; how far the one before got is
/// not known, so what came at its end is left out. One that went back gives none.
fn growth(old: Applied, new: Applied) -> u64 {
    if new.0 > old.0 { new.1 } else { new.1.saturating_sub(old.1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_survives_a_new_generation() {
        assert_eq!(growth((3, 10), (3, 25)), 15);
        assert_eq!(growth((3, 10), (4, 7)), 7);
        assert_eq!(growth((3, 10), (3, 8)), 0);
    }
}
