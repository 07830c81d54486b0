//! Which idempotency keys a database may remember: "no" is certain, "perhaps" is looked up.
//!
//! Nearly every key is new, and to find that out in the store of every partition would cost more
//! than the write. Holds no keys, only marks. Start reading at [`KeyFilter::may_hold`].

use cortado_model::WallMillis;
use cortado_model::limits::IDEMPOTENCY_RETENTION_MS;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use xxhash_rust::xxh3::xxh3_128;

/// A Bloom filter that grows by layers, each four times as large as the one before, and forgets
/// whole layers when their newest key is forgotten everywhere.
#[derive(Debug, Default)]
pub(crate) struct KeyFilter {
    /// The last one takes new keys. Empty before the first key.
    layers: RwLock<Vec<Layer>>,
}

#[derive(Debug)]
struct Layer {
    marks: Box<[AtomicU64]>,
    keys: AtomicU64,
    keys_max: u64,
    /// Log time of its newest key.
    newest: AtomicU64,
}

/// Bits for each key, and marks among them: one "perhaps" in some 2,000 new keys for each layer.
const BITS_PER_KEY: u64 = 16;
const MARKS_PER_KEY: u64 = 8;
/// Keys of the first layer: 8 KiB.
const FIRST_KEYS_MAX: u64 = 1 << 12;
/// Keys of the largest layers: 8 MiB each.
const LAYER_KEYS_MAX: u64 = 1 << 22;
/// Layers of one database, some 80 MiB. Beyond, every key is looked up until a layer is forgotten.
const LAYERS_MAX: usize = 16;

impl KeyFilter {
    /// Whether a key may be remembered. `false` is certain for all keys that were
    /// [added](Self::add) within the retention.
    pub(crate) fn may_hold(&self, key: &[u8]) -> bool {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        let hash = xxh3_128(key);
        // A full last layer among the most there may be takes no keys: nothing is certain then.
        let overflown = layers.len() == LAYERS_MAX && layers.last().is_some_and(Layer::is_full);
        overflown || layers.iter().any(|layer| layer.holds(hash))
    }

    /// A key is remembered, from log time `time` on.
    pub(crate) fn add(&self, key: &[u8], time: WallMillis) {
        let hash = xxh3_128(key);
        {
            let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
            // Every replica of the partition adds it.
            if let Some(layer) = layers.iter().find(|layer| layer.holds(hash)) {
                layer.newest.fetch_max(time.0, Ordering::AcqRel);
                return;
            }
            if let Some(last) = layers.last().filter(|last| !last.is_full()) {
                return last.mark(hash, time);
            }
        }
        let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
        if layers.last().is_none_or(Layer::is_full) {
            let forgotten = time.0.saturating_sub(IDEMPOTENCY_RETENTION_MS);
            layers.retain(|layer| layer.newest.load(Ordering::Acquire) >= forgotten);
            if layers.len() == LAYERS_MAX {
                return;
            }
            let keys_max = layers.last().map_or(FIRST_KEYS_MAX, |last| 4 * last.keys_max);
            layers.push(Layer::new(keys_max.min(LAYER_KEYS_MAX)));
        }
        if let Some(last) = layers.last() {
            last.mark(hash, time);
        }
    }
}

impl Layer {
    /// * `keys_max`: a power of two.
    fn new(keys_max: u64) -> Layer {
        let words = keys_max * BITS_PER_KEY / 64;
        let marks = (0..words).map(|_| AtomicU64::new(0)).collect();
        Layer { marks, keys: AtomicU64::new(0), keys_max, newest: AtomicU64::new(0) }
    }

    fn is_full(&self) -> bool {
        self.keys.load(Ordering::Acquire) >= self.keys_max
    }

    fn holds(&self, hash: u128) -> bool {
        self.places(hash).all(|(word, bit)| {
            self.marks.get(word).is_some_and(|mark| mark.load(Ordering::Acquire) & bit != 0)
        })
    }

    fn mark(&self, hash: u128, time: WallMillis) {
        self.newest.fetch_max(time.0, Ordering::AcqRel);
        self.keys.fetch_add(1, Ordering::AcqRel);
        for (word, bit) in self.places(hash) {
            if let Some(mark) = self.marks.get(word) {
                mark.fetch_or(bit, Ordering::AcqRel);
            }
        }
    }

    /// Word and bit of each mark. The two halves of the hash are as good as eight hashes.
    fn places(&self, hash: u128) -> impl Iterator<Item = (usize, u64)> {
        let (first, step) = (hash as u64, (hash >> 64) as u64 | 1);
        let bits = self.keys_max * BITS_PER_KEY;
        (0..MARKS_PER_KEY).map(move |number| {
            let place = first.wrapping_add(step.wrapping_mul(number)) % bits;
            ((place / 64) as usize, 1 << (place % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = IDEMPOTENCY_RETENTION_MS;

    fn key(number: u64) -> [u8; 8] {
        number.to_le_bytes()
    }

    #[test]
    fn no_added_key_is_denied_and_few_others_are_not() {
        let filter = KeyFilter::default();
        assert!(!filter.may_hold(&key(0)));
        for number in 0..100_000 {
            filter.add(&key(number), WallMillis(1));
            // The other replicas of the partition.
            filter.add(&key(number), WallMillis(1));
        }
        assert!((0..100_000).all(|number| filter.may_hold(&key(number))));
        let wrong = (1_000_000..1_100_000).filter(|number| filter.may_hold(&key(*number)));
        assert!(wrong.count() < 1_000, "less than one in a hundred");
    }

    #[test]
    fn a_layer_is_forgotten_when_its_newest_key_is() {
        let filter = KeyFilter::default();
        let full = || filter.layers.read().unwrap().last().is_some_and(Layer::is_full);
        let fill = |from: u64, time: u64| {
            // A key that looks like an older one would keep that one's layer.
            let mut new = (from..).filter(|number| !filter.may_hold(&key(*number)));
            filter.add(&key(new.next().unwrap()), WallMillis(time));
            while !full() {
                filter.add(&key(new.next().unwrap()), WallMillis(time));
            }
        };
        fill(0, 1);
        fill(10_000_000, DAY);
        assert!(filter.may_hold(&key(1)) && filter.may_hold(&key(10_000_000)));
        // The next layer comes a day and a bit after the first one's last key.
        filter.add(&key(20_000_000), WallMillis(DAY + 3));
        assert_eq!(filter.layers.read().unwrap().len(), 2);
        assert!(filter.may_hold(&key(10_000_000)) && filter.may_hold(&key(20_000_000)));
    }

    #[test]
    fn more_keys_than_there_is_room_for_are_all_possible() {
        let filter = KeyFilter::default();
        filter.layers.write().unwrap().extend((0..LAYERS_MAX).map(|_| {
            let layer = Layer::new(64);
            layer.keys.store(64, Ordering::Release);
            layer.newest.store(DAY, Ordering::Release);
            layer
        }));
        filter.add(&key(1), WallMillis(DAY));
        assert!(filter.may_hold(&key(1)) && filter.may_hold(&key(2)));
        // A day later there is room again, and new keys are certain.
        filter.add(&key(3), WallMillis(2 * DAY + 1));
        assert!(filter.may_hold(&key(3)) && !filter.may_hold(&key(2)));
    }
}
