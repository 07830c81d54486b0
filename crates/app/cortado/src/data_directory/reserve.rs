//! A file that takes up room until there is none: then it goes, and the server can still do what it
//! must.
//!
//! On a full disk a node starts, partitions get leaders, and what frees space is written. Start
//! reading at [`Reserve::look`]. Source: docs/operations/disk.md, "A full disk".

use crate::private_files;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::{Errno, retry_on_intr};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The file.
const RESERVE: &str = "reserve";
/// How long it is.
const BYTES: u64 = 64 << 20;
/// On a small file system, this part of it.
const PART: u64 = 10;
/// With less than this free, and on a small file system less than this part of it, it goes.
const RELEASE_BYTES: u64 = 32 << 20;
const RELEASE_PART: u64 = 20;
/// With this much free beside it, and on a small file system this part of it, it is made: as much
/// as lets stores write again that had no room, so that it does not take away what has just come
/// back.
const RESTORE_BYTES: u64 = 320 << 20;
const RESTORE_PART: u64 = 4;
/// After it could not be made, the first pause; doubled up to the last one. A quota or a disk that
/// fails shows in no measure of what is free.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_LAST: Duration = Duration::from_secs(600);

/// The reserve of one data directory.
pub(crate) struct Reserve {
    directory: PathBuf,
    /// Since it could not be made: when it is tried again, and the pause before that.
    failed: Option<(Instant, Duration)>,
    /// Whether it was told that it cannot be given up.
    is_stuck: bool,
}

/// What is to be done about the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Keep,
    Release,
    Make { bytes: u64 },
}

impl Reserve {
    pub(crate) fn of(directory: &Path) -> Reserve {
        Reserve { directory: directory.to_owned(), failed: None, is_stuck: false }
    }

    /// Releases the reserve if the disk is full, or makes it if there is room.
    ///
    /// * `now`: after a failure nothing is made for a while.
    pub(crate) fn look(&mut self, now: Instant) {
        let path = self.directory.join(RESERVE);
        // A file system that cannot tell how full it is gets no reserve.
        let Ok(found) = statvfs(&self.directory) else { return };
        let [free, total] =
            [found.f_bavail, found.f_blocks].map(|blocks| blocks.saturating_mul(found.f_frsize));
        let held = fs::symlink_metadata(&path).ok().map(|metadata| metadata.len());
        match step(free, total, held) {
            Step::Keep => {}
            Step::Release => self.release(&path, free),
            Step::Make { .. } if self.failed.is_some_and(|(again, _)| now < again) => {}
            Step::Make { bytes } => self.restore(&path, bytes, now),
        }
    }

    fn release(&mut self, path: &Path, free_bytes: u64) {
        match fs::remove_file(path) {
            Ok(()) => warn!(free_bytes, "disk full: gave up the reserve; make room"),
            Err(_) if self.is_stuck => return,
            Err(error) => warn!(%error, "disk full, and the reserve cannot be given up"),
        }
        self.is_stuck = path.exists();
    }

    fn restore(&mut self, path: &Path, bytes: u64, now: Instant) {
        match make(path, bytes) {
            Ok(()) => {
                info!(bytes, "reserved room on the disk");
                self.failed = None;
            }
            Err(error) => {
                // Half of it is of no use.
                let _ = fs::remove_file(path);
                if self.failed.is_none() {
                    warn!(%error, "cannot reserve room on the disk; it is tried again");
                }
                let pause = self.failed.map_or(PAUSE_FIRST, |(_, pause)| PAUSE_LAST.min(2 * pause));
                self.failed = Some((now + pause, pause));
            }
        }
    }
}

/// * `held`: how long the reserve is, if there is one: a process that was killed while it made it
///   leaves one that is too short.
fn step(free: u64, total: u64, held: Option<u64>) -> Step {
    let bytes = BYTES.min(total / PART);
    let has = held.unwrap_or(0);
    if held.is_some() && free < RELEASE_BYTES.min(total / RELEASE_PART) {
        Step::Release
    } else if has < bytes
        && free.saturating_add(has) >= bytes + RESTORE_BYTES.min(total / RESTORE_PART)
    {
        Step::Make { bytes }
    } else {
        Step::Keep
    }
}

fn make(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = private_files::create(path)?;
    if allocate(&file, bytes)? { Ok(()) } else { fill(&mut file, bytes) }
}

/// Reserves blocks that are not written; answers whether the file system can do that at all.
fn allocate(file: &File, bytes: u64) -> io::Result<bool> {
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, bytes)) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Each file system has room for zeros, or says that it has not.
fn fill(file: &mut File, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut left = bytes as usize;
    while left > 0 {
        let count = left.min(zeros.len());
        file.write_all(&zeros[..count])?;
        left -= count;
    }
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_reserve_goes_when_the_disk_is_full_and_comes_back_with_room() {
        let large = 1 << 40;
        let whole = Some(64 * MIB);
        assert_eq!(step(32 * MIB, large, whole), Step::Keep);
        assert_eq!(step(32 * MIB - 1, large, whole), Step::Release);
        assert_eq!(step(0, large, None), Step::Keep);
        assert_eq!(step(384 * MIB - 1, large, None), Step::Keep);
        assert_eq!(step(384 * MIB, large, None), Step::Make { bytes: 64 * MIB });
        let small = 320 * MIB;
        assert_eq!(step(16 * MIB, small, Some(32 * MIB)), Step::Keep);
        assert_eq!(step(16 * MIB - 1, small, Some(32 * MIB)), Step::Release);
        assert_eq!(step(112 * MIB - 1, small, None), Step::Keep);
        assert_eq!(step(112 * MIB, small, None), Step::Make { bytes: 32 * MIB });
        assert_eq!(step(0, 0, None), Step::Keep);
    }

    #[test]
    fn a_reserve_that_is_too_short_is_made_anew() {
        let (large, short) = (1 << 40, Some(24 * MIB));
        assert_eq!(step(360 * MIB - 1, large, short), Step::Keep);
        assert_eq!(step(360 * MIB, large, short), Step::Make { bytes: 64 * MIB });
        assert_eq!(step(0, large, short), Step::Release);
    }

    #[test]
    fn what_cannot_be_reserved_is_tried_again_ever_later() {
        let folder = tempfile::tempdir().unwrap();
        // A folder in its place: neither made nor removed.
        fs::create_dir(folder.path().join(RESERVE)).unwrap();
        let mut reserve = Reserve::of(folder.path());
        let start = Instant::now();
        let mut pauses = Vec::new();
        let mut now = start;
        for _ in 0..9 {
            reserve.restore(&folder.path().join(RESERVE), MIB, now);
            let (again, pause) = reserve.failed.unwrap();
            assert_eq!(again, now + pause);
            pauses.push(pause.as_secs());
            now = again;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
    }

    #[test]
    fn a_disk_without_room_is_not_filled_with_zeros() {
        let file = tempfile::tempfile().unwrap();
        // Where nothing can be reserved, writing zeros is the only way to find out.
        if allocate(&file, 1).unwrap() {
            // No file may be so long.
            assert!(allocate(&file, i64::MAX as u64).is_err());
            assert_eq!(file.metadata().unwrap().len(), 1);
        }
    }

    #[test]
    fn a_reserve_takes_up_its_room() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RESERVE);
        make(&path, 3 * MIB).unwrap();
        // Some file systems count what they need to find the blocks, too.
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 3 * MIB);
    }
}
