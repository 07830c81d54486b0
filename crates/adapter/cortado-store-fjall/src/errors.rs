//! What the engine's errors mean to callers of the store.

use cortado_model::with_causes;
use cortado_store::StoreError;
use fjall::LsmError;
use std::io;

/// Whether the bytes are wrong, or the engine has failed.
///
/// After any error of a write fjall refuses every later one, a full disk included: so none of them
/// is [`StoreError::Full`], which promises more.
pub(crate) fn store_error(error: fjall::Error) -> StoreError {
    match io_error(error) {
        Ok(source) => StoreError::Failed { why: source.to_string() },
        Err(fjall::Error::Poisoned) => {
            let why = "an earlier write failed, the engine refuses to go on";
            StoreError::Failed { why: String::from(why) }
        }
        Err(error @ (fjall::Error::KeyspaceDeleted | fjall::Error::Locked)) => {
            StoreError::Failed { why: error.to_string() }
        }
        // The enum may grow; what is left today says that bytes could not be understood.
        Err(error) => StoreError::Damaged { why: with_causes(&error) },
    }
}

/// As [`store_error`], of a write or a sync: what the system calls invalid there is no byte that
/// was read.
pub(crate) fn write_error(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(source) | fjall::Error::Storage(LsmError::Io(source))
            if source.kind() == io::ErrorKind::InvalidInput =>
        {
            StoreError::Failed { why: source.to_string() }
        }
        // Not our enum: everything else means what it means for a read.
        error => store_error(error),
    }
}

/// The operating system's part in an error.
///
/// A file that ends too early is damage, and so are bytes that make no sense: places that no file
/// has are what the system calls an invalid argument.
///
/// # Errors
/// The error itself, if it has no such part.
pub(crate) fn io_error(error: fjall::Error) -> Result<io::Error, fjall::Error> {
    match error {
        fjall::Error::Io(source) | fjall::Error::Storage(LsmError::Io(source))
            if !matches!(
                source.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(source)
        }
        // Not our enum: everything else has no such part.
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_write_finds_invalid_is_no_damage() {
        // EINVAL, as from a file system that cannot write or sync in the way it is asked to.
        let invalid = || fjall::Error::Io(io::Error::from_raw_os_error(22));
        assert!(matches!(write_error(invalid()), StoreError::Failed { .. }));
        assert!(matches!(store_error(invalid()), StoreError::Damaged { .. }));
        let cut = || fjall::Error::Io(io::ErrorKind::UnexpectedEof.into());
        assert!(matches!(write_error(cut()), StoreError::Damaged { .. }));
    }
}
