//! A read that goes to a second server, too, if the first takes long.
//!
//! Start reading at [`send_hedged`].

use crate::hedging::Hedging;
use crate::retry::FailedAttempt;
use crate::servers::{Asked, Servers};
use crate::transport::{Answer, Outgoing};
use std::pin::pin;
use tokio::time::{Instant, sleep};

/// Sends once, and to a second server once `hedging` says so; the first last word counts, and the
/// other request is given up.
///
/// # Errors
/// What the first server met. A second one that fails only leaves the first to be waited for.
pub(crate) async fn send_hedged(
    first: Asked<'_>,
    servers: &Servers,
    hedging: &Hedging,
    outgoing: &Outgoing,
    deadline: Instant,
) -> Result<Answer, FailedAttempt> {
    let begun = Instant::now();
    let server = first.server().clone();
    let delay = hedging.begin();
    let mut first = pin!(first.send(outgoing, deadline));
    let result = 'answered: {
        let Some(delay) = delay else { break 'answered first.await };
        tokio::select! {
            biased;
            result = &mut first => break 'answered result,
            () = sleep(delay) => {}
        }
        let second = servers.pick_other_healthy(&server).filter(|_| hedging.take());
        let Some(second) = second else { break 'answered first.await };
        let mut second = pin!(second.send(outgoing, deadline));
        tokio::select! {
            result = &mut first => match result {
                Err(failed) if failed.is_transient => second.await.or(Err(failed)),
                result => result,
            },
            result = &mut second => match result {
                Err(failed) if failed.is_transient => first.await,
                result => result,
            },
        }
    };
    if result.as_ref().map_or_else(|failed| !failed.is_transient, |_| true) {
        hedging.observe(begun.elapsed());
    }
    result
}
