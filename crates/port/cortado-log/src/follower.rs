//! Following a partition: records come by themselves, as fast as they are taken.
//!
//! Start reading at [`Follower`].

use crate::{LogPage, LogReadError};
use cortado_model::{LogOffset, LogPosition};
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Follows one partition from a position on.
///
/// Holds a bounded number of bytes that have not been taken. After an error it stays where it was.
pub trait Follower: Send {
    /// Ready when a page or an error is there to be taken, however small.
    ///
    /// A reader that wants many records at once waits a little between this and
    /// [`poll_page`](Self::poll_page).
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Takes what has come, up to about `bytes_max` bytes, and moves behind it; pending while there
    /// is nothing.
    fn poll_page(
        &mut self,
        context: &mut Context<'_>,
        bytes_max: usize,
    ) -> Poll<Result<LogPage, LogReadError>>;

    /// Goes on at `to` instead, at or beyond where it stands: what lies between is not told.
    fn seek(&mut self, to: LogPosition);

    /// The partition's end as this follower knows it. May lag, never runs ahead.
    fn known_end(&mut self) -> LogOffset;
}

/// Awaits that `follower` has something to take; dropping the future loses nothing.
pub async fn ready_of(follower: &mut dyn Follower) {
    poll_fn(|context| follower.poll_ready(context)).await;
}

/// Awaits a page of `follower`; dropping the future loses nothing.
///
/// # Errors
/// See [`LogReadError`].
pub async fn page_of(
    follower: &mut dyn Follower,
    bytes_max: usize,
) -> Result<LogPage, LogReadError> {
    poll_fn(|context| follower.poll_page(context, bytes_max)).await
}
