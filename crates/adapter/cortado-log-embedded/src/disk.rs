//! What the files of the log take up.
//!
//! Start reading at [`measure`].

use crate::files::{Access, Files};
use crate::segment::segment_number;
use cortado_log::LogDisk;
use std::io;

/// Adds up the files behind `files` as they are now; one that goes away meanwhile is gone.
///
/// # Errors
/// The directory or a file cannot be read.
pub(crate) fn measure(files: &dyn Files) -> io::Result<LogDisk> {
    let mut disk = LogDisk::default();
    for name in files.list()? {
        match files.open(&name, Access::Read).and_then(|file| file.bytes()) {
            Ok(bytes) => {
                disk.bytes += bytes;
                disk.segments += u64::from(segment_number(&name).is_some());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(disk)
}
