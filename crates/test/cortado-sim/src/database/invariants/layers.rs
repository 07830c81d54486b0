//! No node takes the word of one layer alone for another node's end: what gossip says is known to
//! who sees everything, and so is when a node was last heard of in beats and records.

use crate::database::observer::Gossiped;
use crate::kernel::violation::Violation;
use cortado_cluster::PeerOpinion;
use cortado_model::{Millis, NodeId};

const NAME: &str = "layers";

/// A node claims at once since it takes `leader` for dead.
///
/// * `gossip`: what that says of the leader, unless it reaches nobody.
///
/// # Errors
/// Some member reaches the leader.
pub(crate) fn check_dead(leader: NodeId, gossip: Option<Gossiped>) -> Result<(), Violation> {
    match gossip {
        Some(known) if known.opinion == PeerOpinion::Alive => {
            let details = format!("claimed for the death of {leader}, which peers reach");
            Err(Violation::new(NAME, details))
        }
        Some(_) | None => Ok(()),
    }
}

/// A node claims at `now` since `leader` has said itself, at `said`, that it does not reach the
/// log.
///
/// # Errors
/// It has not, or not lately.
pub(crate) fn check_said(
    now: Millis,
    leader: NodeId,
    said: Option<Millis>,
    lately_ms: u64,
) -> Result<(), Violation> {
    // Forgotten at an own timer, a little later.
    if said.is_some_and(|said| now.since(said) <= 2 * lately_ms) {
        return Ok(());
    }
    let details = format!("claimed at {now:?} on the word of {leader}, which said so at {said:?}");
    Err(Violation::new(NAME, details))
}

/// A node claims at `now` since no peer reaches `leader`.
///
/// # Errors
/// That is not so, or not for as long as a leader is borne with.
pub(crate) fn check_unreachable(
    now: Millis,
    leader: NodeId,
    gossip: Option<Gossiped>,
    grace_ms: u64,
) -> Result<(), Violation> {
    let is_true = |known: Gossiped| match known.opinion {
        PeerOpinion::Down => now.since(known.since) >= grace_ms,
        // Who claims at the moment at which that changes has not heard of it.
        PeerOpinion::Alive | PeerOpinion::Suspect => known.since == now,
    };
    if gossip.is_some_and(is_true) {
        return Ok(());
    }
    let details = format!("claimed at {now:?} since no peer reaches {leader}: {gossip:?}");
    Err(Violation::new(NAME, details))
}

/// A node claims at `now` since `leader` is silent in the log, although peers reach it.
///
/// * `sign`: when it was last heard of there; `None` if never.
///
/// # Errors
/// It has not been silent for as long as a leader is borne with.
pub(crate) fn check_silent(
    now: Millis,
    leader: NodeId,
    sign: Option<Millis>,
    silent_ms: u64,
) -> Result<(), Violation> {
    if sign.is_none_or(|sign| now.since(sign) >= silent_ms) {
        return Ok(());
    }
    let details =
        format!("claimed at {now:?} since {leader} was silent, and had shown at {sign:?}");
    Err(Violation::new(NAME, details))
}
