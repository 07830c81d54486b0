//! Opening a directory: what may stand in the way, and what a crash may have left half made.
//!
//! Start reading at [`open`].

use crate::errors::{io_error, store_error};
use crate::priority::give_way;
use cortado_store::StoreError;
use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use rustix::fs::OFlags;
use std::any::Any;
use std::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::ScopedJoinHandle;

/// Where a store is and what it may use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Holds this store and nothing else; made if it is not there.
    pub directory: PathBuf,
    /// Bytes of table blocks kept in memory, beside one to five memtables of 32 MiB.
    pub cache_bytes: u64,
    /// Tables that are held open, 10 or more; others are opened for each read.
    pub tables_max: usize,
    /// Opens the store even if it is [marked](OpenError::Marked): the partitions that cannot be
    /// removed from it stay as they are.
    pub despite_mark: bool,
}

impl Settings {
    /// A store in `directory` with a cache of 64 MiB.
    pub fn new(directory: impl Into<PathBuf>) -> Settings {
        Settings {
            directory: directory.into(),
            cache_bytes: 64 << 20,
            tables_max: 512,
            despite_mark: false,
        }
    }
}

/// Why a store could not be opened. What it holds was not changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open, or this one has: its store, or a view of it, still lives.
    #[error("the store in {} is already open, here or in another process", directory.display())]
    InUse {
        /// The store's directory.
        directory: PathBuf,
    },
    /// The directory or a file in it cannot be written.
    #[error("the store in {} is not writable; change permissions or mount", directory.display())]
    ReadOnly {
        /// The store's directory.
        directory: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The stored bytes are not what was written. Delete the directory: the node builds its
    /// replicas anew.
    #[error("the store in {} is damaged", directory.display())]
    Damaged {
        /// The store's directory.
        directory: PathBuf,
        /// What was found.
        #[source]
        source: Cause,
    },
    /// Damage was met while it was open, so that some partition can neither be read nor removed.
    /// The others may be whole.
    #[error(
        "the store in {} was found damaged, as the file {CONDEMNED} in it says",
        directory.display()
    )]
    Marked {
        /// The store's directory.
        directory: PathBuf,
        /// What was found.
        #[source]
        source: Cause,
    },
    /// Something else is wrong: no space, no directory, no file handles. It may work later.
    #[error("the store in {} cannot be opened", directory.display())]
    Failed {
        /// The store's directory.
        directory: PathBuf,
        /// What the operating system or the engine says.
        #[source]
        source: Cause,
    },
}

/// An error of the operating system, or one that the engine has told in words.
pub type Cause = Box<dyn Error + Send + Sync>;

/// The file that says that the store was found damaged while it was open.
const CONDEMNED: &str = "damaged";

/// Notes in the store's directory that it must not be opened again, and why.
pub(crate) fn condemn(directory: &Path, why: &str) {
    let mut options = not_followed();
    let opened = options.write(true).create(true).truncate(true).open(directory.join(CONDEMNED));
    // Where this cannot be written, the next life finds the damage as this one has.
    let _ = opened.and_then(|mut mark| mark.write_all(why.as_bytes()));
}

/// How the files that are not the engine's are opened: no links to something else.
fn not_followed() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// The only keyspace.
const KEYSPACE: &str = "entries";
/// The engine's threads. With a second one, the first would spin while that compacts.
const WORKER_THREADS: usize = 1;
/// Flushed memtables that are compacted at once. Each time, they are merged with all of the level
/// below, so that waiting for twice as many as the engine would saves a third of the work; reads
/// have to look into no more than so many tables, and mostly into their filters only.
const TABLES_BEFORE_COMPACTION: u8 = 8;

/// Opens the engine and its keyspace, or makes them.
pub(crate) fn open(settings: &Settings) -> Result<(Database, Keyspace), OpenError> {
    let directory = &settings.directory;
    prepare(directory, settings.despite_mark)?;
    let open = || {
        let database = Database::builder(directory)
            .cache_size(settings.cache_bytes)
            .worker_threads(WORKER_THREADS)
            .max_cached_files(Some(settings.tables_max))
            .open()?;
        let entries = database.keyspace(KEYSPACE, keyspace_options)?;
        Ok((database, entries))
    };
    // On a thread of its own: the engine's threads inherit that it gives way.
    let opened = std::thread::scope(|scope| {
        let opening = std::thread::Builder::new().name(String::from("store-opening"));
        let opening = opening.spawn_scoped(scope, || {
            give_way();
            open()
        });
        opening.map(ScopedJoinHandle::join)
    });
    // The engine answers some kinds of damage with a panic.
    match opened.map_err(|error| OpenError::of_system(directory, error))? {
        Ok(result) => result.map_err(|error| OpenError::of_engine(directory, error)),
        Err(panic) => Err(OpenError::of_panic(directory, panic.as_ref())),
    }
}

fn keyspace_options() -> KeyspaceCreateOptions {
    let compaction = Leveled::default().with_l0_threshold(TABLES_BEFORE_COMPACTION);
    KeyspaceCreateOptions::default()
        // `Flusher` decides when it is full.
        .max_memtable_size(u64::MAX)
        .compaction_strategy(Arc::new(compaction))
}

/// Makes the directory, checks that no other process has it, and clears away what a crash left of a
/// store that was never whole.
fn prepare(directory: &Path, despite_mark: bool) -> Result<(), OpenError> {
    let failed = |error| OpenError::of_system(directory, error);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let path = directory.join("lock");
    let mut options = not_followed();
    let lock = options.read(true).write(true).create(true).truncate(false).open(path);
    let lock = lock.map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse { directory: directory.to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    match fs::read_to_string(directory.join(CONDEMNED)) {
        Ok(_) if despite_mark => {}
        Ok(why) => {
            let directory = directory.to_owned();
            return Err(OpenError::Marked { directory, source: why.into() });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    clear_unborn(directory, &lock)
}

/// Removes what there is of a store whose making was interrupted.
///
/// The engine writes its version last; without that there never was an entry.
fn clear_unborn(directory: &Path, _lock: &File) -> Result<(), OpenError> {
    let failed = |error| OpenError::of_system(directory, error);
    let version = directory.join("version");
    let keyspaces = directory.join("keyspaces");
    match fs::metadata(&version) {
        // Three letters and a number.
        Ok(found) if found.len() >= 4 => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    match fs::read_dir(&keyspaces) {
        Ok(mut found) => {
            if found.next().is_some() {
                return Err(OpenError::damaged(directory, "it has tables but no version"));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    for name in ["version", "0.jnl"] {
        match fs::remove_file(directory.join(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

impl OpenError {
    fn damaged(directory: &Path, source: impl Into<Cause>) -> OpenError {
        OpenError::Damaged { directory: directory.to_owned(), source: source.into() }
    }

    /// The engine panics at some kinds of damage, and where the system refuses it a thread.
    fn of_panic(directory: &Path, panic: &(dyn Any + Send)) -> OpenError {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let source: Cause = format!("the engine panicked: {text}").into();
        let directory = directory.to_owned();
        // How an error of the system shows itself in the message.
        let is_of_system = text.contains("Os { code:");
        // What another thread's panic has left behind is not what was read.
        if is_of_system || text.to_lowercase().contains("poison") {
            OpenError::Failed { directory, source }
        } else {
            OpenError::Damaged { directory, source }
        }
    }

    /// What an error of the operating system means while a store is being opened.
    pub(crate) fn of_system(directory: &Path, source: io::Error) -> OpenError {
        let directory = directory.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                OpenError::ReadOnly { directory, source }
            }
            // Not our enum, and nothing else has an outcome of its own.
            _ => OpenError::Failed { directory, source: source.into() },
        }
    }

    fn of_engine(directory: &Path, error: fjall::Error) -> OpenError {
        if matches!(error, fjall::Error::Locked) {
            return OpenError::InUse { directory: directory.to_owned() };
        }
        match io_error(error) {
            // A file that should be there is not, or one that should not be there is.
            Ok(source)
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
                ) =>
            {
                OpenError::damaged(directory, source)
            }
            Ok(source) => OpenError::of_system(directory, source),
            Err(error) => OpenError::of_store(directory, store_error(error)),
        }
    }

    /// What an error of the open store means while it is being opened.
    pub(crate) fn of_store(directory: &Path, error: StoreError) -> OpenError {
        let directory = directory.to_owned();
        match error {
            StoreError::Damaged { why } => OpenError::Damaged { directory, source: why.into() },
            StoreError::Full { why } | StoreError::Failed { why } => {
                OpenError::Failed { directory, source: why.into() }
            }
        }
    }
}

#[cfg(test)]
mod tests;
