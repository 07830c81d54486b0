//! Stops writing before the disk is full, since the engine does not survive that it is.
//!
//! Start reading at [`FreeSpace::reserve`].

use cortado_store::StoreError;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How much is written between two looks at the file system.
const LOOK_EVERY_BYTES: u64 = 4 << 20;
/// What is kept free of everything: with less the engine fails.
const FREE_BYTES_MIN: u64 = 16 << 20;
/// On a small file system, this part of it.
const FREE_PART_MIN: u64 = 40;
/// With less than this the store asks for nothing more than what must be: memtables and their logs
/// are to be flushed, tables to be compacted, and several stores and a log may share the disk.
const ROOM_BYTES_MIN: u64 = 256 << 20;
/// On a small file system, this part of it.
const ROOM_PART_MIN: u64 = 5;
/// Once there is less, it asks for more only when so much more is free: writes would stop and go on
/// with every table that is merged.
const ROOM_BYTES_BACK: u64 = 64 << 20;
/// On a small file system, this part of it.
const ROOM_PART_BACK: u64 = 20;

/// The free space under one directory.
pub(crate) struct FreeSpace {
    directory: PathBuf,
    /// How much is kept free of a file system of so many bytes.
    kept_bytes: fn(total_bytes: u64) -> u64,
    unseen_bytes: AtomicU64,
    is_low: AtomicBool,
    /// Whether there was no room at the last look.
    lacks_room: AtomicBool,
}

impl FreeSpace {
    pub(crate) fn new(directory: &Path) -> FreeSpace {
        FreeSpace {
            directory: directory.to_owned(),
            kept_bytes: |total_bytes| FREE_BYTES_MIN.min(total_bytes / FREE_PART_MIN),
            // The first write looks.
            unseen_bytes: AtomicU64::new(LOOK_EVERY_BYTES),
            is_low: AtomicBool::new(false),
            lacks_room: AtomicBool::new(false),
        }
    }

    /// Keeps more free than any disk has.
    #[cfg(test)]
    pub(crate) fn always_low(directory: &Path) -> FreeSpace {
        FreeSpace { kept_bytes: |_| u64::MAX, ..FreeSpace::new(directory) }
    }

    /// Asks to write `size_bytes`.
    ///
    /// # Errors
    /// [`StoreError::Full`] while too little is free; each call looks again.
    pub(crate) fn reserve(&self, size_bytes: usize) -> Result<(), StoreError> {
        let unseen_bytes = self.unseen_bytes.fetch_add(size_bytes as u64, Ordering::Relaxed);
        if unseen_bytes < LOOK_EVERY_BYTES && !self.is_low.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.unseen_bytes.store(0, Ordering::Relaxed);
        // A file system that cannot tell is not full; the engine finds out what is wrong with it.
        let Some((free_bytes, total_bytes)) = self.measure() else { return Ok(()) };
        let kept_bytes = (self.kept_bytes)(total_bytes);
        let is_low = free_bytes < kept_bytes;
        self.is_low.store(is_low, Ordering::Relaxed);
        if !is_low {
            return Ok(());
        }
        let why = format!("{free_bytes} bytes are free, {kept_bytes} are kept free");
        Err(StoreError::Full { why })
    }

    /// Whether there is room for more than what must be written.
    pub(crate) fn has_room(&self) -> bool {
        let lacked = self.lacks_room.load(Ordering::Relaxed);
        let has = self.measure().is_none_or(|(free, total)| is_room(free, total, lacked));
        self.lacks_room.store(!has, Ordering::Relaxed);
        has
    }

    /// Whether `size_bytes` can be written and what is kept free is left.
    pub(crate) fn holds(&self, size_bytes: u64) -> bool {
        self.measure().is_none_or(|(free_bytes, total_bytes)| {
            free_bytes >= size_bytes.saturating_add((self.kept_bytes)(total_bytes))
        })
    }

    /// The bytes that are free, and all of them; `None` if the file system cannot tell.
    fn measure(&self) -> Option<(u64, u64)> {
        let found = rustix::fs::statvfs(&self.directory).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Some((bytes(found.f_bavail), bytes(found.f_blocks)))
    }
}

/// * `lacked`: there was no room before.
fn is_room(free_bytes: u64, total_bytes: u64, lacked: bool) -> bool {
    let wanted_bytes = ROOM_BYTES_MIN.min(total_bytes / ROOM_PART_MIN);
    let back_bytes = ROOM_BYTES_BACK.min(total_bytes / ROOM_PART_BACK);
    free_bytes >= wanted_bytes + if lacked { back_bytes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_back_when_there_is_more_than_was_missed() {
        const MIB: u64 = 1 << 20;
        for (total, stop, back) in
            [(1 << 40, 256 * MIB, 320 * MIB), (320 * MIB, 64 * MIB, 80 * MIB)]
        {
            assert!(is_room(stop, total, false));
            assert!(!is_room(stop - 1, total, false));
            assert!(!is_room(back - 1, total, true));
            assert!(is_room(back, total, true));
        }
        assert!(is_room(0, 0, true));
    }

    #[test]
    fn a_part_is_kept_free_but_no_more_than_a_bound() {
        let kept_bytes = FreeSpace::new(Path::new("/")).kept_bytes;
        assert_eq!(kept_bytes(1 << 40), 16 << 20);
        assert_eq!(kept_bytes(400 << 20), 10 << 20);
        assert_eq!(kept_bytes(0), 0);
    }

    #[test]
    fn while_it_is_low_every_write_looks() {
        let directory = tempfile::tempdir().unwrap();
        let mut space = FreeSpace::always_low(directory.path());
        for _ in 0..3 {
            assert!(matches!(space.reserve(1), Err(StoreError::Full { .. })));
        }
        space.kept_bytes = |_| 0;
        assert_eq!(space.reserve(1), Ok(()));
    }

    #[test]
    fn while_it_is_not_low_few_writes_look() {
        let directory = tempfile::tempdir().unwrap();
        let mut space = FreeSpace::new(directory.path());
        space.kept_bytes = |_| 0;
        assert_eq!(space.reserve(1), Ok(()));
        space.kept_bytes = |_| u64::MAX;
        let looked = (0..10).map(|_| space.reserve(1 << 20).is_err());
        let first = looked.into_iter().position(|is_full| is_full);
        assert_eq!(first, Some(4), "4 MiB go unseen");
    }

    #[test]
    fn an_unknown_file_system_is_not_full() {
        assert_eq!(FreeSpace::always_low(Path::new("/no such place")).reserve(1), Ok(()));
    }
}
