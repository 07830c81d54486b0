//! What is there without waiting.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Polls once: what `future` gives, if it is there.
pub(super) async fn already<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}
