//! Turns the engine's full memtable into a table, and readies the disk for it.
//!
//! The engine would do it by itself: every batch behind the size it is given sends a message to
//! its worker. But a single worker does nothing else while it compacts, for seconds; the messages
//! fill its queue; and when it then has to send one itself, it waits for room for ever. (Of two
//! workers, one spins while the other compacts.) So the engine is given no size, and a thread of
//! ours does it, beside the compactions. Never holds a lock of the engine while it frees memory.
//! Start reading at [`Flusher`].

use crate::durable::{not_synced, sync_log};
use crate::errors::write_error;
use crate::memtables::MEMTABLE_BYTES_MAX;
use crate::open::condemn;
use crate::priority::give_way;
use crate::room::Room;
use crate::space::FreeSpace;
use cortado_store::StoreError;
use fjall::{AbstractTree, Database, Keyspace};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A thread that syncs the engine's log without the engine's lock, and flushes a full memtable.
///
/// It looks whenever a part of a memtable was written. Before a flush the engine syncs its log
/// under the lock that every batch needs, and what is dirty by then makes all batches wait, tens
/// of milliseconds if it is a whole memtable; so the log goes to the disk at every look.
///
/// It ends with the first table that it cannot write, or the first sync that fails; from then on
/// every batch is refused.
pub(crate) struct Flusher {
    room: Arc<Room>,
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
        let room = Arc::new(Room::new());
        let ends = Ends(Arc::clone(&room));
        let thread =
            std::thread::Builder::new().name(String::from("store-flusher")).spawn(move || {
                if let Err(error) = run(&directory, &database, &entries, &ends.0, &woken) {
                    if let StoreError::Damaged { why } = &error {
                        condemn(&directory, why);
                    }
                    ends.0.end(error);
                }
            })?;
        Ok(Flusher { room, wake: Some(wake), thread: Some(thread) })
    }

    /// Waits for room in memory, if the flusher has been outrun. Comes before a batch is written.
    ///
    /// # Errors
    /// See [`Room::wait`]; nothing was written.
    pub(crate) fn wait_for_room(&self) -> Result<(), StoreError> {
        self.room.wait()
    }

    /// Refuses every batch from now on, for this reason.
    pub(crate) fn refuse(&self, why: StoreError) {
        self.room.end(why);
    }

    /// Tells that `size_bytes` were written.
    pub(crate) fn written(&self, size_bytes: usize) {
        if self.room.written(size_bytes as u64)
            && let Some(wake) = &self.wake
        {
            // Full: it has been woken and has not come to it yet.
            let _ = wake.try_send(());
        }
    }

    /// Lets the thread finish what it is at, and waits for its end.
    pub(crate) fn end(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, the engine is at the end as well and says so.
            let _ = thread.join();
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.end();
    }
}

/// Says that the flusher has ended, on whatever way it does, a panic among them.
struct Ends(Arc<Room>);

impl Drop for Ends {
    fn drop(&mut self) {
        let why = String::from("the thread that writes its tables has ended");
        self.0.end(StoreError::Failed { why });
    }
}

/// Looks whenever it is woken, until the store is dropped.
fn run(
    directory: &Path,
    database: &Database,
    entries: &Keyspace,
    room: &Room,
    woken: &Receiver<()>,
) -> Result<(), StoreError> {
    give_way();
    let space = FreeSpace::new(directory);
    // Memtables that have become tables. The engine lets go of them under a lock that every batch
    // and every read needs, and to free one takes tens of milliseconds: it is done here.
    let mut flushed = Vec::new();
    while woken.recv().is_ok() {
        room.look();
        flushed.retain(|memtable| Arc::strong_count(memtable) > 1);
        if let Ok(Some((_, path))) = newest_log(directory)
            && let Ok(log) = File::open(path)
        {
            log.sync_data().map_err(|error| not_synced(directory, error))?;
        }
        let memtable = entries.tree.active_memtable();
        // A table for which there is no room would be the end of the engine; its log has what is in
        // it, and little is written as long as the disk is full.
        if memtable.size() >= MEMTABLE_BYTES_MAX && space.holds(memtable.size()) {
            flushed.push(memtable);
            flush(directory, database, entries)?;
        }
    }
    Ok(())
}

/// Makes the memtable a table.
fn flush(directory: &Path, database: &Database, entries: &Keyspace) -> Result<(), StoreError> {
    // Asks the engine to flush as well: it finds nothing left to do but the care for its logs.
    entries.rotate_memtable().map_err(write_error)?;
    // As the engine does it: no table is ahead of the engine's log.
    sync_log(directory, database)?;
    let unseen_below = database.supervisor.snapshot_tracker.get_seqno_safe_to_gc();
    let lock = entries.tree.get_flush_lock();
    // A table that is not durable is none: the log has what was to be in it.
    entries.tree.flush(&lock, unseen_below).map_err(|error| write_error(error.into()))?;
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
