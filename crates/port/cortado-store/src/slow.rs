//! Any store, far away: each call takes its time. For tests of who calls stores.
//!
//! Really lets its callers wait: a runtime thread that calls it is found out. Start reading at
//! [`Slow`].

use crate::random::Random;
use crate::{EntryIterator, Installer, Store, StoreError, StoreTraits, StoreUsage, View};
use bytes::Bytes;
use cortado_model::{
    Batch, DocumentKey, Entry, EntryRange, Findings, PartitionId, Remembered, RememberedKey, Scn,
    StoredDocument, TableId, WallMillis,
};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

/// How many entries of a range, or of a snapshot, come and go with one call.
const ENTRIES_PER_CALL: usize = 100;

/// A store whose calls take 1 to 20 ms each, those of its views included.
pub struct Slow {
    store: Arc<dyn Store>,
    pace: Arc<Pace>,
}

impl Slow {
    /// Lets the calls of `store` take 1 to 20 ms, as `seed` has it.
    pub fn new(store: Arc<dyn Store>, seed: u64) -> Slow {
        Slow::with_pauses(store, seed, 1_000..=20_000)
    }

    /// Lets the calls of `store` take longer by some number of microseconds.
    pub fn with_pauses(store: Arc<dyn Store>, seed: u64, pause_us: RangeInclusive<u64>) -> Slow {
        Slow { store, pace: Arc::new(Pace { random: Mutex::new(Random(seed)), pause_us }) }
    }
}

/// How long calls take.
struct Pace {
    random: Mutex<Random>,
    pause_us: RangeInclusive<u64>,
}

impl Pace {
    fn wait(&self) {
        sleep(self.draw());
    }

    fn draw(&self) -> Duration {
        let (least_us, most_us) = (*self.pause_us.start(), *self.pause_us.end());
        // A number is drawn in one piece.
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_micros(least_us + random.below(most_us - least_us + 1))
    }

    /// Lets entries take as long as the calls that bring them.
    fn in_calls<I: Iterator>(&self, entries: I) -> impl Iterator<Item = I::Item> {
        entries.enumerate().map(|(place, entry)| {
            if place.is_multiple_of(ENTRIES_PER_CALL) {
                self.wait();
            }
            entry
        })
    }
}

impl Store for Slow {
    fn traits(&self) -> StoreTraits {
        StoreTraits { reads_inline: false, ..self.store.traits() }
    }

    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError> {
        self.pace.wait();
        self.store.partitions()
    }

    fn apply(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        self.pace.wait();
        self.store.apply(batches)
    }

    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError> {
        self.pace.wait();
        let view = self.store.view(partition)?;
        Ok(Box::new(SlowView { view, pace: Arc::clone(&self.pace) }))
    }

    fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        self.pace.wait();
        self.store.get(partition, table, key)
    }

    fn find(
        &self,
        partition: PartitionId,
        keys: &[(TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Result<Findings, StoreError> {
        self.pace.wait();
        self.store.find(partition, keys, names)
    }

    fn remove(&self, partition: PartitionId) -> Result<(), StoreError> {
        self.pace.wait();
        self.store.remove(partition)
    }

    fn install(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError> {
        self.pace.wait();
        self.store.install(partition, &mut self.pace.in_calls(entries), checkpoint)
    }

    fn installer<'a>(
        &'a self,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<Box<dyn Installer + 'a>, StoreError> {
        self.pace.wait();
        let installer = self.store.installer(partition, name)?;
        Ok(Box::new(SlowInstaller { installer, pace: &self.pace, put: 0 }))
    }

    fn has_room(&self) -> bool {
        self.store.has_room()
    }

    fn check_space(&self) -> Result<(), StoreError> {
        self.store.check_space()
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.pace.wait();
        self.store.sync()
    }

    fn usage(&self) -> StoreUsage {
        self.store.usage()
    }
}

struct SlowInstaller<'a> {
    installer: Box<dyn Installer + 'a>,
    pace: &'a Pace,
    /// How many entries were put.
    put: usize,
}

impl Installer for SlowInstaller<'_> {
    fn after(&self) -> Option<&[u8]> {
        self.installer.after()
    }

    fn put(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.put += 1;
        if self.put.is_multiple_of(ENTRIES_PER_CALL) {
            self.pace.wait();
        }
        self.installer.put(entry)
    }

    fn finish(self: Box<Self>, checkpoint: Bytes) -> Result<(), StoreError> {
        self.pace.wait();
        self.installer.finish(checkpoint)
    }
}

struct SlowView {
    view: Box<dyn View>,
    pace: Arc<Pace>,
}

impl View for SlowView {
    fn checkpoint(&self) -> Result<Option<Bytes>, StoreError> {
        self.pace.wait();
        self.view.checkpoint()
    }

    fn get(&self, table: TableId, key: &DocumentKey) -> Result<Option<StoredDocument>, StoreError> {
        self.pace.wait();
        self.view.get(table, key)
    }

    fn scan<'a>(&'a self, range: &EntryRange) -> EntryIterator<'a> {
        Box::new(self.pace.in_calls(self.view.scan(range)))
    }

    fn remembered(&self, key: &RememberedKey) -> Result<Option<Remembered>, StoreError> {
        self.pace.wait();
        self.view.remembered(key)
    }

    fn remembered_bytes(&self) -> Result<u64, StoreError> {
        self.pace.wait();
        self.view.remembered_bytes()
    }

    fn first_expiry(&self) -> Result<Option<WallMillis>, StoreError> {
        self.pace.wait();
        self.view.first_expiry()
    }

    fn find(
        &self,
        keys: &[(TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Result<Findings, StoreError> {
        self.pace.wait();
        self.view.find(keys, names)
    }

    fn documents_of(
        &self,
        keys: &[(TableId, DocumentKey)],
        bytes_max: usize,
    ) -> Result<Vec<Option<StoredDocument>>, StoreError> {
        self.pace.wait();
        self.view.documents_of(keys, bytes_max)
    }

    fn bookmark(&self, scn: Scn) -> Result<Option<(Scn, Bytes)>, StoreError> {
        self.pace.wait();
        self.view.bookmark(scn)
    }

    fn entries<'a>(&'a self, after: Option<&[u8]>) -> EntryIterator<'a> {
        Box::new(self.pace.in_calls(self.view.entries(after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use crate::conformance::Subject;

    struct SlowMemory {
        memory: Arc<MemoryStore>,
        slow: Slow,
    }

    impl SlowMemory {
        /// Fast for a slow one: the suite makes thousands of calls.
        fn new() -> SlowMemory {
            let memory = Arc::new(MemoryStore::new());
            let slow = Slow::with_pauses(Arc::clone(&memory) as Arc<dyn Store>, 1, 1..=20);
            SlowMemory { memory, slow }
        }
    }

    impl Subject for SlowMemory {
        fn store(&self) -> &dyn Store {
            &self.slow
        }

        fn reopen(&mut self) {
            self.memory.crash(|_, _| 0);
        }

        fn after_crash(&self) -> Option<Box<dyn Store>> {
            None
        }
    }

    crate::conformance!(SlowMemory::new());

    /// The first pauses of a slow store, in microseconds.
    fn pauses(seed: u64) -> Vec<u128> {
        let slow = Slow::new(Arc::new(MemoryStore::new()), seed);
        (0..1_000).map(|_| slow.pace.draw().as_micros()).collect()
    }

    #[test]
    fn the_seed_says_how_long_calls_take() {
        assert_eq!(pauses(7), pauses(7));
        assert_ne!(pauses(7), pauses(8));
        let [least, most] = [pauses(7).into_iter().min(), pauses(7).into_iter().max()];
        assert!(least >= Some(1_000) && least < Some(2_000), "{least:?}");
        assert!(most <= Some(20_000) && most > Some(19_000), "{most:?}");
    }

    #[test]
    fn a_slow_store_is_not_read_inline() {
        let slow = Slow::new(Arc::new(MemoryStore::new()), 7);
        assert_eq!(slow.traits(), StoreTraits { reads_inline: false, lanes: 1 });
    }
}
