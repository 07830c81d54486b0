//! Why the log has no segment to go on in.

use std::io;
use std::sync::Arc;

/// Why there is no next segment. Nothing is lost by asking again.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error("cannot prepare segment {segment}")]
    Io {
        segment: u64,
        #[source]
        source: Arc<io::Error>,
    },
    #[error("the log's maintenance thread has stopped")]
    Stopped,
}
