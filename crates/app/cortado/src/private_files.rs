//! Files and folders that are their owner's alone, and are no links to something else.
//!
//! What another user has put in their place is refused, never followed. Start reading at
//! [`options`].

use rustix::fs::{Mode, OFlags};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Makes whatever this process makes from now on its owner's alone, the files of libraries
/// included.
pub(crate) fn keep_others_out() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// How such a file is opened: for reading, until more is asked for.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // A named pipe does not make the opening wait.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).mode(FILE_MODE).custom_flags(flags.bits().cast_signed());
    options
}

/// Opens a file that is there, to read it.
///
/// # Errors
/// It is not there, is a link, or cannot be read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    options().open(path)
}

/// Makes a new file in the place of whatever has its name.
///
/// # Errors
/// There is no room or no permission.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    options().write(true).create_new(true).open(path)
}

/// Makes a folder, and those above it, unless it is there.
///
/// # Errors
/// There is no room or no permission.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Shuts others out of a folder that is there.
///
/// # Errors
/// It is not this user's.
pub(crate) fn shut(folder: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(folder)?.permissions().mode() & 0o777;
    if mode == FOLDER_MODE {
        return Ok(());
    }
    std::fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
}
