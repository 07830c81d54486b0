//! Small files that are replaced as a whole, and survive a crash at any moment.

use crate::private_files;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// What the name of a file that is being written ends with; left by a crash, it means nothing.
pub(crate) const UNFINISHED: &str = ".tmp";

/// Replaces the file `name` in `folder`: a crash leaves the old text or the new one. What returns
/// is on the disk.
///
/// # Errors
/// The old text or the new one is there.
pub(crate) fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = folder.join(format!("{name}{UNFINISHED}"));
    let mut file = private_files::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(name))?;
    File::open(folder)?.sync_all()
}
