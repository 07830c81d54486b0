//! Writers wait while more is in memory than the flusher has seen.
//!
//! Never waits for ever: a flusher that has ended, or stands still, is an error. Start reading at
//! [`Room`].

use crate::memtables::MEMTABLE_BYTES_MAX;
use cortado_store::StoreError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much is written before the flusher is to look again.
const LOOK_EVERY_BYTES: u64 = 4 << 20;
/// How much may be written between two looks before batches wait.
///
/// Two memtables: writers go on while one is flushed, and in memory are five at most. What is being
/// flushed held less than one when it was last looked at, and then grew by two until the look that
/// found it full; behind it stand two more.
const UNSEEN_BYTES_MAX: u64 = 2 * MEMTABLE_BYTES_MAX;
/// How long a batch waits for the flusher. In this time a disk writes what is in memory even if it
/// manages no more than one MiB in a second.
const WAIT_MAX: Duration = Duration::from_secs(180);

/// What was written since the flusher last looked, and what became of the flusher.
pub(crate) struct Room {
    unseen_bytes: AtomicU64,
    wait_max: Duration,
    /// Why the flusher looks no more.
    ended: Mutex<Option<StoreError>>,
    looked: Condvar,
}

impl Room {
    /// Little is in memory, but perhaps a full memtable: the first batch wakes the flusher.
    pub(crate) fn new() -> Room {
        Room {
            unseen_bytes: AtomicU64::new(LOOK_EVERY_BYTES - 1),
            wait_max: WAIT_MAX,
            ended: Mutex::default(),
            looked: Condvar::new(),
        }
    }

    /// Counts `size_bytes` that were written; answers whether the flusher is to look.
    pub(crate) fn written(&self, size_bytes: u64) -> bool {
        let before = self.unseen_bytes.fetch_add(size_bytes, Ordering::Relaxed);
        before / LOOK_EVERY_BYTES != (before + size_bytes) / LOOK_EVERY_BYTES
    }

    /// Waits until the flusher has seen enough of what was written.
    ///
    /// # Errors
    /// Why the flusher has ended, or [`StoreError::Failed`] when it does not look for too long.
    pub(crate) fn wait(&self) -> Result<(), StoreError> {
        if !self.is_used_up() {
            return Ok(());
        }
        let waits = |ended: &mut Option<StoreError>| ended.is_none() && self.is_used_up();
        let waited = self.looked.wait_timeout_while(self.ended(), self.wait_max, waits);
        let (ended, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        match &*ended {
            Some(why) => Err(why.clone()),
            // Not whether it is used up now: others may have written since the look.
            None if waited.timed_out() => {
                let seconds = self.wait_max.as_secs();
                let why = format!("memory is full and no table was written for {seconds} s");
                Err(StoreError::Failed { why })
            }
            None => Ok(()),
        }
    }

    /// The flusher looks: what was written up to now is seen.
    pub(crate) fn look(&self) {
        let ended = self.ended();
        if ended.is_none() {
            self.unseen_bytes.store(0, Ordering::Relaxed);
        }
        drop(ended);
        self.looked.notify_all();
    }

    /// The flusher has ended: whoever writes from now on is told why.
    pub(crate) fn end(&self, why: StoreError) {
        let mut ended = self.ended();
        ended.get_or_insert(why);
        self.unseen_bytes.store(UNSEEN_BYTES_MAX, Ordering::Relaxed);
        drop(ended);
        self.looked.notify_all();
    }

    fn is_used_up(&self) -> bool {
        self.unseen_bytes.load(Ordering::Relaxed) >= UNSEEN_BYTES_MAX
    }

    fn ended(&self) -> MutexGuard<'_, Option<StoreError>> {
        // What it guards is set in one piece.
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn used_up(wait_max: Duration) -> Room {
        let room = Room { wait_max, ..Room::new() };
        room.written(UNSEEN_BYTES_MAX);
        room
    }

    fn failed(result: Result<(), StoreError>) -> String {
        match result {
            Err(StoreError::Failed { why }) => why,
            Ok(()) | Err(StoreError::Full { .. } | StoreError::Damaged { .. }) => {
                panic!("not a failure: {result:?}")
            }
        }
    }

    #[test]
    fn the_flusher_is_woken_every_4_mib() {
        let room = Room::new();
        assert!(room.written(1), "what was read back may be a full memtable");
        room.look();
        let woken: Vec<_> = (1..=12).filter(|_| room.written(1 << 20)).collect();
        assert_eq!(woken.len(), 3);
        assert!(room.written(100 << 20));
    }

    #[test]
    fn a_batch_waits_only_while_two_memtables_are_unseen() {
        let room = Room { wait_max: Duration::ZERO, ..Room::new() };
        room.look();
        room.written(UNSEEN_BYTES_MAX - 1);
        assert_eq!(room.wait(), Ok(()));
        room.written(1);
        assert!(failed(room.wait()).starts_with("memory is full"));
        room.look();
        assert_eq!(room.wait(), Ok(()));
    }

    #[test]
    fn a_look_lets_all_go_on_who_wait() {
        let room = used_up(WAIT_MAX);
        let (wake, woken) = channel();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (room, wake) = (&room, wake.clone());
                scope.spawn(move || {
                    for _ in 0..200 {
                        room.wait().expect("it is looked at");
                        room.written(UNSEEN_BYTES_MAX);
                        wake.send(()).expect("the other side waits");
                    }
                });
            }
            drop(wake);
            room.look();
            woken.iter().for_each(|()| room.look());
        });
    }

    #[test]
    fn nothing_is_written_after_the_flusher_has_ended() {
        let room = Room::new();
        assert_eq!(room.wait(), Ok(()));
        room.end(StoreError::Failed { why: "first".to_owned() });
        room.look();
        assert_eq!(failed(room.wait()), "first");
    }

    #[test]
    fn a_writer_that_waits_for_a_flusher_is_told_why_it_ends() {
        let room = used_up(WAIT_MAX);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| room.wait());
            room.end(StoreError::Failed { why: "first".to_owned() });
            assert_eq!(failed(waiting.join().unwrap()), "first");
        });
        room.end(StoreError::Failed { why: "second".to_owned() });
        assert_eq!(failed(room.wait()), "first");
    }
}
