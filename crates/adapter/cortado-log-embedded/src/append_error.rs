//! Why the writer did not do what it was asked to, and what the port makes of it.

use cortado_log::{AppendOutcome, Cause};
use std::io;

/// Why an append, a trim or a removal was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// Certainly not in the log, none of it. Retry after backing off.
    ///
    /// No space, the queue is full, or the log closed.
    #[error("certainly not appended")]
    NotAppended(#[source] Cause),
    /// Perhaps in the log. Read back before saying anything about it.
    #[error("perhaps appended")]
    Unknown(#[source] Cause),
    /// The log takes no appends any more until its process restarts; perhaps in the log.
    ///
    /// A failed fsync, or a damaged file.
    #[error("the log is unusable")]
    Unusable(#[source] Cause),
}

impl AppendError {
    /// What each record of the append hears.
    pub(crate) fn into_outcome(self) -> AppendOutcome {
        match self {
            AppendError::NotAppended(cause) => AppendOutcome::NotAppended(cause),
            AppendError::Unknown(cause) => AppendOutcome::Perhaps(cause),
            AppendError::Unusable(cause) => AppendOutcome::Unusable(cause),
        }
    }

    /// What a trim or a removal hears.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}
