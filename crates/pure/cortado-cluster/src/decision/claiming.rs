//! When a node claims a vacant leadership: its place among the candidates, and its back-off.
//!
//! Start reading at [`claim`]. Source: docs/protocols/failover.md, "Who claims, and when".

use super::facts::{Decision, PartitionFacts, StayReason};
use super::undo::undo;
use super::vacancy::{Vacancy, is_candidate};
use crate::detector::{Detector, NodeVerdict, Sickness};
use crate::explanation::{Alternative, Cause, Command, Explanation, NotChosen};
use alloc::vec::Vec;
use cortado_model::{Millis, NodeId, doubled};

/// Own claims older than this are forgotten by the back-off.
pub(super) const BACK_OFF_WINDOW_MS: u64 = 60 * 1_000;
/// The shortest time between two own claims of a partition; doubles with every further one.
const BACK_OFF_MS_MIN: u64 = 500;
/// The longest time between two own claims of a partition: if all other nodes are gone for good,
/// even a node that keeps failing serves again after this.
const BACK_OFF_MS_MAX: u64 = 10 * 1_000;
/// A candidate further behind than this goes last: it would have to catch up before it serves.
pub(super) const CANDIDATE_LAG_RECORDS_MAX: u64 = 10_000;

/// Why this node must not lead, even where no other node does.
pub(super) fn unfit(facts: &PartitionFacts<'_>, detector: &Detector) -> Option<StayReason> {
    if !facts.is_eligible(facts.me) {
        return Some(StayReason::NotEligible);
    }
    if facts.restoring {
        return Some(StayReason::Restoring);
    }
    match detector.sickness() {
        // It may be the only node left.
        None | Some(Sickness::ClockOff) => None,
        Some(sickness) => Some(StayReason::Sick(sickness)),
    }
}

/// Claims, now or when it is this node's turn; asks a leader that only some can reach before.
pub(super) fn claim(
    now: Millis,
    facts: &PartitionFacts<'_>,
    detector: &Detector,
    vacancy: Vacancy,
) -> Decision {
    let stagger_ms = detector.settings().stagger_ms;
    let candidates = candidates(now, facts, detector);
    let place = candidates.iter().position(|node| *node == facts.me).unwrap_or(candidates.len());
    let rank_ms = |rank: usize| stagger_ms.saturating_mul(rank as u64);
    let backed_off_until = backed_off_until(now, facts.own_claims);
    // A node that claims too often, is far behind or has no room goes last, and still claims: what
    // can be read needs a leader, even if all stores are full.
    let behind = facts.lag_records > CANDIDATE_LAG_RECORDS_MAX;
    // So does one that no peer reaches: it would serve no one.
    let cut_off = detector.is_cut_off();
    let last = backed_off_until > vacancy.since || behind || facts.store_full || cut_off;
    let rank = if last { candidates.len() + place } else { place };
    let turn = vacancy.since.plus(vacancy.extra_ms).plus(rank_ms(rank));
    let at = if vacancy.named == Some(facts.me) {
        // A planned handoff, perhaps one of many in succession: no waiting at all, room or not.
        // The leader that named it had looked; if its store is full by now, perhaps all are.
        vacancy.since
    } else if vacancy.cause.is_certain() {
        turn
    } else {
        turn.max(backed_off_until)
    };
    let gone = vacancy.cause.gone_leader();
    let others = facts.placement.nodes().iter().filter(|node| **node != facts.me);
    let alternatives = others.filter(|node| gone != Some(**node)).map(|node| {
        let wait = candidates.iter().position(|candidate| candidate == node).map(rank_ms);
        let why = match detector.verdict(now, *node) {
            NodeVerdict::Gone(death) => NotChosen::Dead(death),
            NodeVerdict::Gray(gray) => NotChosen::Gray(gray),
            NodeVerdict::Present
            | NodeVerdict::Silent { .. }
            | NodeVerdict::Unknown
            | NodeVerdict::Unjudged => match wait {
                Some(wait_ms) => NotChosen::Waits { wait_ms },
                None if detector.cut_off_since(*node, facts.partition).is_some() => {
                    NotChosen::CutOff
                }
                None => NotChosen::NotEligible,
            },
        };
        Alternative { node: *node, why }
    });
    let why = Explanation {
        partition: facts.partition,
        node: facts.me,
        waited_ms: at.since(vacancy.since),
        alternatives: alternatives.collect(),
        by_hand: Command::HandOff { partition: facts.partition, to: facts.me },
        undo: undo(facts, &vacancy.cause),
        cause: vacancy.cause,
    };
    match vacancy.cause {
        // One node asks it, the one that would lead next.
        Cause::LeaderGray { leader, .. } if at > now && place == 0 => {
            Decision::AskToStepDown { leader, claim_at: at, why }
        }
        _ if at > now => Decision::ClaimAt { at, why },
        _ => Decision::Claim { why },
    }
}

/// The nodes that may take over, in order of succession: all that are not dead.
fn candidates(now: Millis, facts: &PartitionFacts<'_>, detector: &Detector) -> Vec<NodeId> {
    let nodes = facts.placement.nodes().iter().copied();
    nodes.filter(|node| is_candidate(now, facts, detector, *node)).collect()
}

/// Until when claims wait that follow one another too fast.
fn backed_off_until(now: Millis, own_claims: &[Millis]) -> Millis {
    let recent = own_claims.iter().filter(|at| now.since(**at) < BACK_OFF_WINDOW_MS);
    let (count, last) = recent.fold((0_u32, None), |(count, _), at| (count + 1, Some(*at)));
    let Some(last) = last else {
        return Millis(0);
    };
    last.plus(doubled(BACK_OFF_MS_MIN, count - 1, BACK_OFF_MS_MAX))
}
