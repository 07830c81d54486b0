//! Temporary data directories of processes that were killed.
//!
//! Never touches one that is in use, that was named by a person, or that is another user's. Start
//! reading at [`remove_all`].

use super::names::{LOCK, TEMPORARY, TEMPORARY_PREFIX};
use crate::private_files;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tracing::{info, warn};

/// Removes those in `folder`.
pub(super) fn remove_all(folder: &Path) {
    // A folder that cannot be read has none to remove.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            continue;
        }
        match remove(&entry.path()) {
            Ok(true) => info!(path = %entry.path().display(), "removed what a dead server left"),
            Ok(false) => {}
            Err(error) => {
                let path = entry.path();
                warn!(path = %path.display(), %error, "cannot remove what a dead server left");
            }
        }
    }
}

/// Removes a directory if it was left; answers whether it was.
fn remove(path: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(path)?;
    let own = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
    if !own {
        return Ok(false);
    }
    let Ok(lock) = private_files::options().write(true).open(path.join(LOCK)) else {
        return Ok(false);
    };
    // It is marked as temporary after it was locked: a lock that can be had is a dead process'. Who
    // wanted to keep it has taken the mark away under the lock, perhaps a moment ago.
    if lock.try_lock().is_err() || fs::symlink_metadata(path.join(TEMPORARY)).is_err() {
        return Ok(false);
    }
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(true),
        // Another process has had the same idea.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
