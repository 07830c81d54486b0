//! A file that takes up room until there is none: then it goes, and the server can still do what it
//! must.
//!
//! On a full disk a node starts, partitions get leaders, and what frees space is written. Start
//! reading at [`look`]. Source: docs/operations/disk.md, "A full disk".

use crate::private_files;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
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
/// as the stores want to have free, so that it does not take the room away that has just come back.
const RESTORE_BYTES: u64 = 256 << 20;
const RESTORE_PART: u64 = 5;

/// What is to be done about the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Keep,
    Release,
    Make { bytes: u64 },
}

/// Releases the reserve of a data directory if its disk is full, or makes it if there is room.
pub(crate) fn look(directory: &Path) {
    let path = directory.join(RESERVE);
    // A file system that cannot tell how full it is gets no reserve.
    let Ok(found) = statvfs(directory) else { return };
    let [free, total] =
        [found.f_bavail, found.f_blocks].map(|blocks| blocks.saturating_mul(found.f_frsize));
    match step(free, total, fs::symlink_metadata(&path).is_ok()) {
        Step::Keep => {}
        Step::Release => match fs::remove_file(&path) {
            Ok(()) => warn!(free_bytes = free, "disk full: gave up the reserve; make room"),
            Err(error) => warn!(%error, "disk full, and the reserve cannot be given up"),
        },
        Step::Make { bytes } => match make(&path, bytes) {
            Ok(()) => info!(bytes, "reserved room on the disk"),
            Err(error) => {
                warn!(%error, "cannot reserve room on the disk");
                // Half of it is of no use.
                let _ = fs::remove_file(&path);
            }
        },
    }
}

fn step(free: u64, total: u64, exists: bool) -> Step {
    let bytes = BYTES.min(total / PART);
    if exists && free < RELEASE_BYTES.min(total / RELEASE_PART) {
        Step::Release
    } else if !exists && free >= bytes + RESTORE_BYTES.min(total / RESTORE_PART) && bytes > 0 {
        Step::Make { bytes }
    } else {
        Step::Keep
    }
}

fn make(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = private_files::create(path)?;
    if fallocate(&file, FallocateFlags::empty(), 0, bytes).is_ok() {
        return Ok(());
    }
    // Not every file system can reserve; each has room for zeros or says that it has not.
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
        assert_eq!(step(32 * MIB, large, true), Step::Keep);
        assert_eq!(step(32 * MIB - 1, large, true), Step::Release);
        assert_eq!(step(0, large, false), Step::Keep);
        assert_eq!(step(320 * MIB - 1, large, false), Step::Keep);
        assert_eq!(step(320 * MIB, large, false), Step::Make { bytes: 64 * MIB });
        let small = 320 * MIB;
        assert_eq!(step(16 * MIB, small, true), Step::Keep);
        assert_eq!(step(16 * MIB - 1, small, true), Step::Release);
        assert_eq!(step(96 * MIB - 1, small, false), Step::Keep);
        assert_eq!(step(96 * MIB, small, false), Step::Make { bytes: 32 * MIB });
        assert_eq!(step(0, 0, false), Step::Keep);
    }

    #[test]
    fn a_reserve_takes_up_its_room() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RESERVE);
        make(&path, 3 * MIB).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().blocks() * 512, 3 * MIB);
    }
}
