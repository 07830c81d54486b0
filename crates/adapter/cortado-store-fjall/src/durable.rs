//! Making what was written durable, and what follows when the disk does not take it.
//!
//! A system that cannot write what it holds says so to one sync, forgets it, and takes it for
//! written from then on: the next sync succeeds, and a middle is missing. So a store whose log was
//! not synced is never opened again. Start reading at [`sync_log`].

use crate::errors::write_error;
use crate::open::condemn;
use cortado_store::StoreError;
use fjall::{Database, PersistMode};
use rustix::io::Errno;
use std::path::Path;

/// With these the system says that it has perhaps forgotten what it held.
const LOST: [Errno; 3] = [Errno::IO, Errno::NOSPC, Errno::DQUOT];

/// Makes the engine's log durable.
///
/// # Errors
/// [`StoreError::Failed`]; see [`not_synced`].
pub(crate) fn sync_log(directory: &Path, database: &Database) -> Result<(), StoreError> {
    // What cannot even be written, as on a full disk, the engine knows to be missing.
    database.persist(PersistMode::Buffer).map_err(write_error)?;
    database.persist(PersistMode::SyncData).map_err(|error| not_synced(directory, error))
}

/// What a failed sync of the log means: if something may be lost, the store is marked, and whoever
/// opens it next is told why.
pub(crate) fn not_synced(directory: &Path, error: impl Into<fjall::Error>) -> StoreError {
    let error = error.into();
    let loses = |code: i32| LOST.iter().any(|errno| errno.raw_os_error() == code);
    match &error {
        fjall::Error::Io(source) if source.raw_os_error().is_some_and(loses) => {
            let why = format!("the disk has not taken what was to be made durable: {source}");
            condemn(directory, &why);
            StoreError::Failed { why }
        }
        // Not our enum: with everything else, all that was written is where it was.
        _ => write_error(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FjallStore, OpenError, Settings};
    use std::io;

    #[test]
    fn a_store_is_marked_when_a_sync_may_have_lost_something_and_not_otherwise() {
        let is_marked_after = |errno: Errno| {
            let directory = tempfile::tempdir().unwrap();
            let error = not_synced(directory.path(), io::Error::from(errno));
            assert!(matches!(error, StoreError::Failed { .. }), "{error}");
            let opened = FjallStore::open(&Settings::new(directory.path()));
            matches!(opened, Err(OpenError::Marked { .. }))
        };
        assert!([Errno::IO, Errno::NOSPC, Errno::DQUOT].into_iter().all(is_marked_after));
        // A file system that knows no such sync.
        assert!(![Errno::INVAL, Errno::NOSYS, Errno::ROFS].into_iter().any(is_marked_after));
    }
}
