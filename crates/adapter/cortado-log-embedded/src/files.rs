//! What the log needs of a file system, as a seam: the real one here, a faulty one in tests.
//!
//! Knows nothing of segments or frames. Start reading at [`Files`].

#[cfg(test)]
pub(crate) mod faulty;

use rustix::fs::OFlags;
use std::fmt::Debug;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// One directory of files. Names are plain file names.
pub(crate) trait Files: Debug + Send + Sync + 'static {
    /// Names of everything in the directory, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A new, empty file under `name`; an old one of that name is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;
    /// The file that is there.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn LogFile>>;
    /// Gives a file another name; durable after [`sync_directory`](Self::sync_directory).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file; durable after [`sync_directory`](Self::sync_directory).
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_directory(&self) -> io::Result<()>;
    /// How much room is left; `None` where that cannot be told.
    fn free_bytes(&self) -> Option<u64>;
    /// Keeps other users out for as long as the guard lives; `None` if one is in.
    ///
    /// A reader keeps writers out, makes no file, and disturbs no other reader.
    fn lock(&self, access: Access) -> io::Result<Option<LockGuard>>;
}

/// One file, read and written at positions.
pub(crate) trait LogFile: Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes at `position`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes some of `bytes` at `position`; on an error none of them was taken.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize>;
    /// Makes everything written durable. After an error it is unknown what is.
    fn sync(&self) -> io::Result<()>;
    /// The length of the file.
    fn bytes(&self) -> io::Result<u64>;
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads only.
    Read,
    /// Reads and writes.
    Write,
}

/// Holds the directory; letting go of it lets others in.
pub(crate) type LockGuard = Box<dyn Debug + Send + Sync>;

/// Name of the file whose lock means that the directory is in use.
pub(crate) const LOCK_NAME: &str = "lock";

/// A directory of this machine.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
}

impl Files for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.path)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let path = self.path.join(name);
        // What has the name goes, not what a link of that name points to.
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Arc::new(private(Access::Write).create_new(true).open(path)?))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(private(access).open(self.path.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn lock(&self, access: Access) -> io::Result<Option<LockGuard>> {
        let path = self.path.join(LOCK_NAME);
        let (file, locked) = match access {
            Access::Write => {
                let file = private(Access::Write).create(true).truncate(false).open(path)?;
                let locked = file.try_lock();
                (file, locked)
            }
            Access::Read => {
                // Without a lock file no writer has ever been here.
                let Ok(file) = private(Access::Read).open(path) else {
                    return Ok(Some(Box::new(())));
                };
                let locked = file.try_lock_shared();
                (file, locked)
            }
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if access == Access::Write {
            // For the operator who looks for the process; nothing depends on it.
            let _ = file.set_len(0).and_then(|()| writeln!(&file, "{}", std::process::id()));
        }
        Ok(Some(Box::new(file)))
    }
}

/// Opens a file that is its owner's alone, and no link to another one.
fn private(access: Access) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(access == Access::Write).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

impl LogFile for File {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        loop {
            match FileExt::write_at(self, bytes, position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        // Metadata that is needed to read the bytes back, such as the length, is included.
        self.sync_data()
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// A write that took only the first `written` bytes.
#[derive(Debug)]
pub(crate) struct WriteFailed {
    pub(crate) written: u64,
    pub(crate) error: io::Error,
}

/// Writes all of `bytes` at `position`.
pub(crate) fn write_all(
    file: &dyn LogFile,
    bytes: &[u8],
    position: u64,
) -> Result<(), WriteFailed> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write_at(&bytes[written..], position + written as u64) {
            Ok(count) if count > 0 => written += count,
            Ok(_) => {
                let error = io::Error::from(io::ErrorKind::WriteZero);
                return Err(WriteFailed { written: written as u64, error });
            }
            Err(error) => return Err(WriteFailed { written: written as u64, error }),
        }
    }
    Ok(())
}

/// Whether `error` means that there is no room, which passes when room is made.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Whether a write that failed with `error` took nothing and may succeed later: there is no room,
/// on the disk or in the system's memory.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    is_no_space(error)
        || matches!(error.kind(), io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock)
}

/// Overwrites the bytes from `from` up to `upto` with zeros, durably.
pub(crate) fn wipe(file: &dyn LogFile, from: u64, upto: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES_MAX.min(usize::try_from(upto - from).unwrap_or(usize::MAX))];
    let mut at = from;
    while at < upto {
        let count = (upto - at).min(zeros.len() as u64) as usize;
        write_all(file, &zeros[..count], at).map_err(|failed| failed.error)?;
        at += count as u64;
    }
    file.sync()
}

/// Zeros that are written at once.
const ZEROS_BYTES_MAX: usize = 1 << 20;
