//! What a leader does: hands over if it is sick, drained or about to move away, or if the preferred
//! leader is fit.
//!
//! Start reading at [`lead_on`]. Source: docs/protocols/failover.md, "Handing back".

use super::claiming::unfit;
use super::facts::{Decision, PartitionFacts, StayReason, Wanted};
use super::undo::undo;
use crate::detector::{Detector, NodeVerdict};
use crate::explanation::{Cause, Command, Explanation};
use alloc::vec::Vec;
use cortado_model::{Millis, NodeId, doubled};

/// Takeovers older than this no longer make the preferred leader wait.
const HAND_BACK_WINDOW_MS: u64 = 10 * 60 * 1_000;
/// How long the preferred leader must have been alive before it gets its leadership back.
const HAND_BACK_ALIVE_MS: u64 = 10 * 1_000;
/// The longest that a preferred leader waits for its leadership, however often it was lost.
const HAND_BACK_ALIVE_MS_MAX: u64 = 5 * 60 * 1_000;
/// How close behind a successor must be: catching up this many records takes a moment.
const SUCCESSOR_LAG_RECORDS_MAX: u64 = 100;
/// Time between two leaderships handed back by one node, so that they do not move all at once.
const HAND_BACK_PACE_MS: u64 = 200;

/// Whether `me` may have a reason to hand over what it leads where `wanted` is wanted.
///
/// `false` means that [`decide`] would stay, whatever else is known of the partition.
pub(crate) fn may_hand_over(
    now: Millis,
    me: NodeId,
    wanted: Wanted,
    last_hand_back_at: Option<Millis>,
    detector: &Detector,
) -> bool {
    let Wanted { preferred, leaves } = wanted;
    let back = detector.alive_since(now, preferred).filter(|_| preferred != me);
    let back = back.is_some_and(|since| now.since(since) >= HAND_BACK_ALIVE_MS);
    detector.failure().is_some() || leaves || (back && is_paced(now, last_hand_back_at))
}

/// What the leader of a partition does.
pub(super) fn lead_on(now: Millis, facts: &PartitionFacts<'_>, detector: &Detector) -> Decision {
    if facts.hand_off_running {
        return Decision::Stay(StayReason::Leading);
    }
    let Wanted { preferred, leaves } = facts.wanted();
    let moves_away = facts.placement.is_leaving(facts.me);
    let left = if moves_away { Cause::MovesAway } else { Cause::Drained };
    let must_leave = detector.failure().map(Cause::Sick).or(leaves.then_some(left));
    if let Some(cause) = must_leave {
        return match successor(now, facts, detector, &cause) {
            Some(to) => hand_off(facts, to, cause),
            None => Decision::Stay(StayReason::Leading),
        };
    }
    let paced = is_paced(now, facts.last_hand_back_at);
    match detector.alive_since(now, preferred) {
        Some(since)
            if preferred != facts.me
                && facts.is_eligible(preferred)
                && detector.cut_off_since(preferred, facts.partition).is_none()
                && paced
                && is_close(facts, preferred)
                && now >= hand_back_at(now, facts, preferred, since) =>
        {
            let alive_ms = now.since(since);
            let cause = if facts.placement.is_pinned() {
                Cause::PinnedIsBack { alive_ms }
            } else {
                Cause::PreferredIsBack { alive_ms }
            };
            hand_off(facts, preferred, cause)
        }
        Some(_) | None => Decision::Stay(StayReason::Leading),
    }
}

/// The first node that could take over from a leader that must not lead on because of `cause`.
fn successor(
    now: Millis,
    facts: &PartitionFacts<'_>,
    detector: &Detector,
    cause: &Cause,
) -> Option<NodeId> {
    // Where this node's own beats do not come back, the silence of others is no evidence.
    let silent = |node: &NodeId| match detector.verdict(now, *node) {
        NodeVerdict::Present | NodeVerdict::Unjudged => false,
        NodeVerdict::Silent { .. }
        | NodeVerdict::Unknown
        | NodeVerdict::Gone(_)
        | NodeVerdict::Gray(_) => true,
    };
    // From one drained node to another, or to one that is about to leave, nothing would be won;
    // nor from a node that the log does not let claim, or that does not reach it.
    let in_vain = |node: &NodeId| {
        let placement = facts.placement;
        let drained = placement.is_drained(*node) || placement.is_leaving(*node);
        let cut_off = detector.cut_off_since(*node, facts.partition).is_some();
        (*cause == Cause::Drained && drained) || !facts.is_eligible(*node) || cut_off
    };
    // A node that claims nothing gets nothing back.
    let ends_here = unfit(facts, detector).is_some();
    let trusted = |node: &NodeId| ends_here || is_trusted_again(now, facts, detector, *node);
    let could = |node: &NodeId| !silent(node) && !in_vain(node) && is_close(facts, *node);
    let mut others = facts.placement.nodes().iter().filter(|node| **node != facts.me);
    others.find(|node| could(node) && trusted(node)).copied()
}

fn is_close(facts: &PartitionFacts<'_>, node: NodeId) -> bool {
    facts.follower_lags.get(&node).is_some_and(|lag| *lag <= SUCCESSOR_LAG_RECORDS_MAX)
}

fn hand_off(facts: &PartitionFacts<'_>, to: NodeId, cause: Cause) -> Decision {
    let why = Explanation {
        partition: facts.partition,
        node: facts.me,
        waited_ms: 0,
        alternatives: Vec::new(),
        by_hand: if cause == Cause::Drained {
            Command::Drain { node: facts.me }
        } else {
            Command::HandOff { partition: facts.partition, to }
        },
        undo: undo(facts, &cause),
        cause,
    };
    Decision::HandOff { to, why }
}

/// Whether the last leadership that was handed back is long enough ago.
fn is_paced(now: Millis, last_hand_back_at: Option<Millis>) -> bool {
    last_hand_back_at.is_none_or(|at| now.since(at) >= HAND_BACK_PACE_MS)
}

/// Whether a drained or wrong leader may give to `to`: at once, unless it had to take over from it
/// lately.
fn is_trusted_again(
    now: Millis,
    facts: &PartitionFacts<'_>,
    detector: &Detector,
    to: NodeId,
) -> bool {
    if recent_takeovers(now, facts, to).next().is_none() {
        return true;
    }
    let since = detector.alive_since(now, to).unwrap_or_default();
    is_paced(now, facts.last_hand_back_at) && now >= hand_back_at(now, facts, to, since)
}

/// When `to` may get a leadership back: later, the more often this node had to take over from it
/// lately. Counts from then, too: a node that lives and claims nothing has been alive all the time.
///
/// * `alive_since`: since when `to` has been alive.
fn hand_back_at(
    now: Millis,
    facts: &PartitionFacts<'_>,
    to: NodeId,
    alive_since: Millis,
) -> Millis {
    let recent = recent_takeovers(now, facts, to);
    let (count, since) = recent.fold((0_u32, alive_since), |(n, since), at| (n + 1, since.max(at)));
    since.plus(doubled(HAND_BACK_ALIVE_MS, count.saturating_sub(1), HAND_BACK_ALIVE_MS_MAX))
}

fn recent_takeovers(
    now: Millis,
    facts: &PartitionFacts<'_>,
    from: NodeId,
) -> impl Iterator<Item = Millis> {
    let taken = facts.takeovers.iter().filter(move |taken| taken.from == from);
    taken.map(|taken| taken.at).filter(move |at| now.since(*at) < HAND_BACK_WINDOW_MS)
}
