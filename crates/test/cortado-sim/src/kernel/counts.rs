//! How often each of a closed set of things has happened: the stuff that coverage is made of.
//!
//! Start reading at [`Counts`].

use std::collections::BTreeMap;
use std::fmt;

/// How often each thing happened.
#[derive(Clone, PartialEq, Eq)]
pub struct Counts<K>(BTreeMap<K, u64>);

impl<K: Ord + Copy> Counts<K> {
    /// It happened once more.
    pub fn count(&mut self, kind: K) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// Whether it has ever happened.
    pub fn has(&self, kind: K) -> bool {
        self.0.contains_key(&kind)
    }

    /// Adds what another run has counted.
    pub fn add(&mut self, other: &Counts<K>) {
        for (kind, count) in &other.0 {
            *self.0.entry(*kind).or_default() += count;
        }
    }

    /// Everything that has happened, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &u64)> {
        self.0.iter()
    }
}

impl<K: Ord + Copy + fmt::Debug> Counts<K> {
    /// The names of those of `all` that have never happened.
    pub fn missing(&self, all: &[K]) -> Vec<String> {
        all.iter().filter(|kind| !self.has(**kind)).map(|kind| format!("{kind:?}")).collect()
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Counts<K> {
        Counts(BTreeMap::new())
    }
}

impl<K: fmt::Debug> fmt::Debug for Counts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_counted_is_missing() {
        let mut counts = Counts::default();
        counts.count('a');
        let mut sum = counts.clone();
        sum.add(&counts);
        assert_eq!(format!("{sum:?}"), "{'a': 2}");
        assert_eq!(sum.missing(&['a', 'b']), ["'b'"]);
    }
}
