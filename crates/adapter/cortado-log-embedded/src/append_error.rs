//! Why the writer did not do what it was asked to, and what the port makes of it.

use cortado_log::{Cause, Outcome};
use std::io;

/// Why an append, a trim or a removal was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// Certainly not in the log, none of it. Retry after backing off.
    #[error("certainly not appended: {why}")]
    NotAppended {
        /// The cause: no space, queue full, log closed.
        why: String,
    },
    /// Perhaps in the log. Read back before saying anything about it.
    #[error("perhaps appended: {why}")]
    Unknown {
        /// The cause.
        why: String,
    },
    /// The log takes no appends any more until its process restarts; perhaps in the log.
    #[error("the log is unusable: {why}")]
    Unusable {
        /// The cause: a failed fsync, a damaged file.
        why: String,
    },
}

impl AppendError {
    /// What each record of the append hears.
    pub(crate) fn into_outcome(self) -> Outcome {
        match self {
            AppendError::NotAppended { why } => Outcome::NotAppended(Cause::refused(why)),
            AppendError::Unknown { why } => Outcome::Perhaps(Cause::failed(why)),
            AppendError::Unusable { why } => Outcome::Unusable(Cause::failed(why)),
        }
    }

    /// What a trim or a removal hears.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}
