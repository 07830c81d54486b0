//! fjall, as `cortado-store-fjall` uses it: a thread of ours flushes full memtables.

use crate::engine::{CACHE_BYTES, Engine, SYNC_EVERY_BYTES};
use fjall::compaction::Leveled;
use fjall::{
    AbstractTree, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

pub struct Fjall {
    entries: Keyspace,
    database: Database,
    written_bytes: usize,
    flush: SyncSender<()>,
    flusher: JoinHandle<()>,
}

impl Fjall {
    pub fn open(directory: &Path) -> Fjall {
        let database = Database::builder(directory)
            .cache_size(CACHE_BYTES as u64)
            .worker_threads(1)
            .open()
            .expect("fjall opens");
        let compaction = Leveled::default().with_l0_threshold(8);
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(u64::MAX)
                .compaction_strategy(Arc::new(compaction))
        };
        let entries = database.keyspace("entries", options).expect("fjall has its keyspace");
        let (flush, wake) = sync_channel(1);
        let (same_database, same_entries) = (database.clone(), entries.clone());
        let flusher = std::thread::spawn(move || run_flusher(&same_database, &same_entries, &wake));
        Fjall { entries, database, written_bytes: 0, flush, flusher }
    }
}

fn run_flusher(database: &Database, entries: &Keyspace, wake: &Receiver<()>) {
    while wake.recv().is_ok() {
        entries.rotate_memtable().expect("fjall rotates");
        database.persist(PersistMode::SyncData).expect("fjall syncs");
        let seen_by_nobody = database.supervisor.snapshot_tracker.get_seqno_safe_to_gc();
        let lock = entries.tree.get_flush_lock();
        entries.tree.flush(&lock, seen_by_nobody).expect("fjall flushes");
    }
}

impl Engine for Fjall {
    fn apply(&mut self, writes: &[(Vec<u8>, Vec<u8>)], position: (&[u8], &[u8])) {
        let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), writes.len() + 1);
        for (key, value) in writes {
            self.written_bytes += key.len() + value.len();
            batch.insert(&self.entries, &key[..], &value[..]);
        }
        batch.insert(&self.entries, position.0, position.1);
        batch.commit().expect("fjall commits");
        if self.written_bytes >= SYNC_EVERY_BYTES {
            self.written_bytes = 0;
            let _ = self.flush.try_send(());
        }
    }

    fn get(&self, key: &[u8]) -> Option<usize> {
        let found = self.database.snapshot().get(&self.entries, key).expect("fjall reads");
        found.map(|value| value.len())
    }

    fn get_value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(key).expect("fjall reads").map(|value| value.to_vec())
    }

    fn scan(&self, key: &[u8], count: usize) -> usize {
        let found = self.database.snapshot().range(&self.entries, key..).take(count);
        found.map(|guard| guard.into_inner().expect("fjall reads").1.len().min(1)).sum()
    }

    fn close(self: Box<Self>) {
        let Fjall { database, flush, flusher, .. } = *self;
        drop(flush);
        flusher.join().expect("the flusher ends");
        database.persist(PersistMode::SyncAll).expect("fjall syncs");
    }
}
