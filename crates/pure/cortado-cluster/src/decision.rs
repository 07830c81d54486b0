//! Whether this node should lead a partition now, later, or no longer.
//!
//! Decides from facts; claims nothing itself, and may be wrong: the log judges every claim.
//! Start reading at [`decide`]. Source: docs/protocols/failover.md, "Who claims, and when".

mod claiming;
mod facts;
mod leading;
#[cfg(test)]
mod tests;
mod undo;
mod vacancy;

pub(crate) use facts::Wanted;
pub use facts::{Decision, Leadership, PartitionFacts, StayReason, Takeover};
pub(crate) use leading::may_hand_over;

use crate::detector::Detector;
use claiming::{BACK_OFF_WINDOW_MS, CANDIDATE_LAG_RECORDS_MAX, claim, unfit};
use cortado_model::{Millis, NodeId};
use leading::lead_on;
use vacancy::Vacancy;

/// Decides about one partition.
///
/// Total, and without memory: the same facts give the same decision. `now` is the detector's clock.
pub fn decide(now: Millis, facts: &PartitionFacts<'_>, detector: &Detector) -> Decision {
    if facts.leads() {
        return lead_on(now, facts, detector);
    }
    if !facts.placement.contains(facts.me) {
        return Decision::Stay(StayReason::NotPlaced);
    }
    let vacancy = match Vacancy::of(now, facts, detector) {
        Ok(vacancy) => vacancy,
        Err(reason) => return Decision::Stay(reason),
    };
    if let Some(reason) = unfit(facts, detector) {
        return Decision::Stay(reason);
    }
    if vacancy.cause.may_be_over() && facts.lag_records > 0 {
        return Decision::Stay(StayReason::ReadsLog);
    }
    claim(now, facts, detector, vacancy)
}

/// The leader whose death, or restart, would make the partition vacant; `None` if it is vacant.
///
/// Until then nothing else changes the decision of a node that does not lead the partition.
pub(crate) fn leader_awaited(
    now: Millis,
    facts: &PartitionFacts<'_>,
    detector: &Detector,
) -> Option<NodeId> {
    match facts.leadership {
        Leadership::Claimed { node, .. } => Vacancy::of(now, facts, detector).err().map(|_| node),
        Leadership::Never { .. } | Leadership::SteppedDown { .. } => None,
    }
}

/// When a claim that waits until `claim_at`, as [`decide`] has answered at `now`, has to be decided
/// about again, although nothing has happened.
///
/// * `next_look`: when to see how far replicas have come, which is no event.
pub(crate) fn decide_again_at(
    now: Millis,
    facts: &PartitionFacts<'_>,
    claim_at: Millis,
    next_look: Millis,
) -> Millis {
    // What is forgotten makes the back-off shorter; who catches up need not go last any longer.
    let forgotten = facts.own_claims.iter().map(|at| at.plus(BACK_OFF_WINDOW_MS));
    let behind = facts.lag_records > CANDIDATE_LAG_RECORDS_MAX;
    let sooner = forgotten.filter(|at| *at > now).chain(behind.then_some(next_look));
    sooner.fold(claim_at, Millis::min)
}
