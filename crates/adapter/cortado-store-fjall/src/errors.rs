//! What the engine's errors mean to who calls the store.

use cortado_store::StoreError;
use fjall::LsmError;
use std::io;

/// Whether the bytes are wrong, or the engine has failed.
///
/// After any error of a write fjall refuses every later one, a full disk included: so none of them
/// is [`StoreError::Full`], which promises more.
pub(crate) fn store_error(error: fjall::Error) -> StoreError {
    match io_error(&error) {
        Some(source) => StoreError::Failed { why: source.to_string() },
        None => match error {
            fjall::Error::Poisoned => {
                let why = "an earlier write failed, the engine refuses to go on";
                StoreError::Failed { why: String::from(why) }
            }
            fjall::Error::KeyspaceDeleted | fjall::Error::Locked => {
                StoreError::Failed { why: error.to_string() }
            }
            // The enum may grow; what is left today says that bytes could not be understood.
            _ => StoreError::Damaged { why: error.to_string() },
        },
    }
}

/// The operating system's part in an error; `None` if it has none.
///
/// A file that ends too early is damage, not a failure.
pub(crate) fn io_error(error: &fjall::Error) -> Option<&io::Error> {
    let source = match error {
        fjall::Error::Io(source) | fjall::Error::Storage(LsmError::Io(source)) => source,
        // Not our enum: everything else has no such part.
        _ => return None,
    };
    (source.kind() != io::ErrorKind::UnexpectedEof).then_some(source)
}
