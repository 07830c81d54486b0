//! Partitions of many databases, in few words: `geo/0-15 shop/2,7`.
//!
//! Start reading at [`Ranges`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Some partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    by_database: BTreeMap<String, BTreeSet<u32>>,
}

impl Ranges {
    /// One more.
    pub(crate) fn add(&mut self, database: &str, partition: u32) {
        self.by_database.entry(database.to_owned()).or_default().insert(partition);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.by_database.values().map(|partitions| partitions.len() as u64).sum()
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (database, partitions)) in self.by_database.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{database}/{}", listed(partitions))?;
        }
        Ok(())
    }
}

/// `0-3,7`: neighbours together.
fn listed(numbers: &BTreeSet<u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            Some(_) | None => runs.push((*number, *number)),
        }
    }
    let run = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    runs.iter().map(run).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_stand_together() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.to_string(), "");
        for partition in [3, 0, 1, 2, 7, 9, 10] {
            ranges.add("geo", partition);
        }
        ranges.add("a", 4);
        assert_eq!((ranges.to_string().as_str(), ranges.count()), ("a/4 geo/0-3,7,9-10", 8));
    }
}
