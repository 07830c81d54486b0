//! Whether a partition has no leader, since when, and what makes this node think so.
//!
//! Start reading at [`Vacancy::of`]. Source: docs/protocols/failover.md, "Three layers".

use super::facts::{Leadership, PartitionFacts, StayReason};
use crate::detector::{Detector, GrayFailure, NodeVerdict};
use crate::explanation::Cause;
use cortado_model::{Millis, NodeId};

/// A vacant leadership, and how long its candidates wait.
pub(super) struct Vacancy {
    pub(super) cause: Cause,
    /// From when on the candidates wait, each for its rank; may lie ahead.
    pub(super) since: Millis,
    /// The named successor, which need not wait at all.
    pub(super) named: Option<NodeId>,
    /// How much longer all other candidates wait.
    pub(super) extra_ms: u64,
}

impl Vacancy {
    /// The vacancy of a partition that this node does not lead.
    ///
    /// # Errors
    /// It has a leader, as far as can be told.
    pub(super) fn of(
        now: Millis,
        facts: &PartitionFacts<'_>,
        detector: &Detector,
    ) -> Result<Vacancy, StayReason> {
        match facts.leadership {
            Leadership::Never { since } => Ok(Vacancy::plain(Cause::NeverLed, since)),
            Leadership::SteppedDown { by, to, at } => {
                let cause = Cause::SteppedDown { by, to };
                let named = to.filter(|to| is_candidate(now, facts, detector, *to));
                // The named one claims at once; if it does not, it is as good as dead.
                let extra_ms = if named.is_some() { detector.settings().dead_after_ms } else { 0 };
                Ok(Vacancy { cause, since: at, named, extra_ms })
            }
            // Not this life, or it would lead.
            Leadership::Claimed { node, incarnation, .. }
                if node == facts.me && incarnation > facts.incarnation =>
            {
                // A copy of the data directory runs, too. One of both ends when the other one has
                // registered; if each took the leadership from the other, neither ever would.
                Err(StayReason::LeaderAlive { leader: node })
            }
            Leadership::Claimed { node, incarnation, .. } if node == facts.me => {
                // An earlier one, and all others are over.
                let since = detector.lives_since().unwrap_or(now);
                let (old, new) = (incarnation.node, facts.incarnation.node);
                let cause = Cause::LeaderRestarted { leader: node, old, new };
                Ok(Vacancy::plain(cause, since))
            }
            Leadership::Claimed { node, incarnation, at } => {
                if let Some((new, since)) = detector.incarnation(node)
                    && new > incarnation.node
                {
                    let old = incarnation.node;
                    let cause = Cause::LeaderRestarted { leader: node, old, new };
                    return Ok(Vacancy::plain(cause, since));
                }
                let incarnation = incarnation.node;
                match detector.verdict(now, node) {
                    NodeVerdict::Present
                        if let Some(since) =
                            detector.cut_off_from(now, node, facts.partition, at) =>
                    {
                        let said_ms = now.since(since);
                        let cause = Cause::LeaderCutOff { leader: node, incarnation, said_ms };
                        Ok(Vacancy::plain(cause, since))
                    }
                    NodeVerdict::Present | NodeVerdict::Unknown => {
                        Err(StayReason::LeaderAlive { leader: node })
                    }
                    NodeVerdict::Silent { since } => {
                        Err(StayReason::LeaderSilent { leader: node, since })
                    }
                    NodeVerdict::Unjudged => Err(StayReason::OwnBeatsSilent { leader: node }),
                    NodeVerdict::Gone(death) => {
                        let cause = Cause::LeaderDead { leader: node, incarnation, death };
                        Ok(Vacancy::plain(cause, death.at))
                    }
                    NodeVerdict::Gray(gray) => {
                        let cause = Cause::LeaderGray { leader: node, incarnation, gray };
                        Ok(Vacancy::plain(cause, grace_ends(gray, detector)))
                    }
                }
            }
        }
    }

    fn plain(cause: Cause, since: Millis) -> Vacancy {
        Vacancy { cause, since, named: None, extra_ms: 0 }
    }
}

/// Whether `node` may take over, as far as can be told.
pub(super) fn is_candidate(
    now: Millis,
    facts: &PartitionFacts<'_>,
    detector: &Detector,
    node: NodeId,
) -> bool {
    let could = match detector.verdict(now, node) {
        // One that only some nodes reach, or that does not reach the log, would be no better.
        NodeVerdict::Gone(_) | NodeVerdict::Gray(_) => false,
        NodeVerdict::Present
        | NodeVerdict::Silent { .. }
        | NodeVerdict::Unknown
        | NodeVerdict::Unjudged => true,
    };
    // Nor one that has told that it does not reach the log of this partition.
    let reaches = detector.cut_off_since(node, facts.partition).is_none();
    facts.placement.contains(node) && facts.is_eligible(node) && could && reaches
}

/// When a leader that only one layer misses is replaced, although it has not stepped down.
fn grace_ends(gray: GrayFailure, detector: &Detector) -> Millis {
    gray.since.plus(detector.gray_grace_ms())
}
