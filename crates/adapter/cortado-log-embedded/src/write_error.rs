//! Why a request was not written, and what its caller may conclude.
//!
//! Start reading at [`Failure`].

use crate::append_error::AppendError;
use crate::prepare_error::PrepareError;
use cortado_log::Cause;
use cortado_model::LogOffset;
use std::io;
use std::sync::Arc;

/// What is known after a failure. All requests of a group share one.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Certainly not written, now or later.
    NotWritten(Arc<WriteError>),
    /// The medium holds all of it, some, or nothing. No more can be written.
    Unusable(Arc<WriteError>),
}

/// The operation that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// There is no next segment to write to.
    #[error("no next segment")]
    NoSegment(#[source] PrepareError),
    #[error("cannot write {file}")]
    Write {
        file: String,
        #[source]
        source: io::Error,
    },
    /// A part of a write that found no space could not be overwritten again.
    #[error("cannot undo a partial write to {file}")]
    Undo {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot sync {file}")]
    Sync {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("the log's writer thread panicked")]
    WriterPanicked,
    /// Of an append whose records span segments.
    #[error("only the records before {end} were written")]
    Partial {
        end: LogOffset,
        #[source]
        source: Arc<WriteError>,
    },
}

impl Failure {
    /// The answer to a request of which nothing was written.
    pub(crate) fn into_error(self) -> AppendError {
        match self {
            Failure::NotWritten(error) => AppendError::NotAppended(Cause::refused(error)),
            Failure::Unusable(error) => AppendError::Unusable(Cause::failed(error)),
        }
    }

    /// The answer to an append whose records before `end` are in the log.
    pub(crate) fn into_partial_error(self, end: LogOffset) -> AppendError {
        let cause = |source| Cause::failed(WriteError::Partial { end, source });
        match self {
            Failure::NotWritten(error) => AppendError::Unknown(cause(error)),
            Failure::Unusable(error) => AppendError::Unusable(cause(error)),
        }
    }
}
