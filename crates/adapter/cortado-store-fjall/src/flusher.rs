//! Turns the engine's full memtable into a table, and readies the disk for it.
//!
//! The engine would do it by itself: every batch behind the size it is given sends a message to
//! its worker. But a single worker does nothing else while it compacts, for seconds; the messages
//! fill its queue; and when it then has to send one itself, it waits for room for ever. (Of two
//! workers, one spins while the other compacts.) So the engine is given no size, and a thread of
//! ours does it, beside the compactions. Start reading at [`Flusher`].

use crate::priority::give_way;
use fjall::{AbstractTree, Database, Keyspace, PersistMode};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// When the memtable becomes a table. Five may be in memory before batches have to wait, and three
/// stores in one process should not need gigabytes.
pub(crate) const MEMTABLE_BYTES_MAX: u64 = 32 << 20;
/// The one that is written to, and four full ones: then the engine lets batches wait.
pub(crate) const MEMTABLES_MAX: u64 = 5;
/// How much is written between two looks. At each, the engine's log goes to the disk: before a
/// flush the engine syncs it under the lock that every batch needs, and what is dirty by then makes
/// all batches wait, tens of milliseconds if it is a whole memtable.
const LOOK_EVERY_BYTES: u64 = 4 << 20;

/// A thread that syncs the engine's log without the engine's lock, and flushes a full memtable.
///
/// Errors that it meets, the engine meets too when it tries the same, and refuses the next batch.
pub(crate) struct Flusher {
    pending_bytes: AtomicU64,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    pub(crate) fn start(
        directory: &Path,
        database: Database,
        entries: Keyspace,
    ) -> io::Result<Flusher> {
        // One wake is enough: the thread sees all that is there when it gets to it.
        let (wake, woken) = sync_channel(1);
        let directory = directory.to_owned();
        let thread = std::thread::Builder::new()
            .name(String::from("store-flusher"))
            .spawn(move || run(&directory, &database, &entries, &woken))?;
        // What was read back from the engine's log may be a full memtable already.
        let pending_bytes = AtomicU64::new(LOOK_EVERY_BYTES);
        Ok(Flusher { pending_bytes, wake: Some(wake), thread: Some(thread) })
    }

    /// Tells that `size_bytes` were written.
    pub(crate) fn written(&self, size_bytes: usize) {
        let size_bytes = size_bytes as u64;
        let pending_bytes = self.pending_bytes.fetch_add(size_bytes, Ordering::Relaxed);
        if pending_bytes + size_bytes < LOOK_EVERY_BYTES {
            return;
        }
        self.pending_bytes.store(0, Ordering::Relaxed);
        if let Some(wake) = &self.wake {
            // Full: it has been woken and has not come to it yet.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, the engine is at the end as well and says so.
            let _ = thread.join();
        }
    }
}

fn run(directory: &Path, database: &Database, entries: &Keyspace, woken: &Receiver<()>) {
    give_way();
    while woken.recv().is_ok() {
        if let Ok(Some((_, path))) = newest_log(directory) {
            let _ = File::open(path).and_then(|log| log.sync_data());
        }
        if entries.tree.active_memtable().size() >= MEMTABLE_BYTES_MAX {
            let _ = flush(database, entries);
        }
    }
}

/// Makes the memtable a table.
fn flush(database: &Database, entries: &Keyspace) -> fjall::Result<()> {
    // Asks the engine to flush as well: it finds nothing left to do but the care for its logs.
    entries.rotate_memtable()?;
    // As the engine does it: no table is ahead of the engine's log.
    database.persist(PersistMode::SyncData)?;
    let seen_by_nobody = database.supervisor.snapshot_tracker.get_seqno_safe_to_gc();
    let lock = entries.tree.get_flush_lock();
    entries.tree.flush(&lock, seen_by_nobody)?;
    Ok(())
}

/// The log that the engine writes to: the one with the highest number.
fn newest_log(directory: &Path) -> io::Result<Option<(u64, PathBuf)>> {
    let mut newest = None;
    for found in fs::read_dir(directory)? {
        let path = found?.path();
        let is_log = path.extension().is_some_and(|extension| extension == "jnl");
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let Some(number) = stem.filter(|_| is_log).and_then(|stem| stem.parse().ok()) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_log_has_the_highest_number() {
        let directory = tempfile::tempdir().unwrap();
        let newest = || newest_log(directory.path()).unwrap().map(|(number, _)| number);
        assert_eq!(newest(), None);
        for name in ["9.jnl", "10.jnl", "11", "12.txt", "x.jnl"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(newest(), Some(10));
    }
}
