//! Whether this node should lead a partition now, later, or no longer.
//!
//! Decides from facts; claims nothing itself, and may be wrong: the log judges every claim.
//! Start reading at [`decide`]. Source: docs/protocols/failover.md, "Who claims, and when".

#[cfg(test)]
mod tests;

use crate::detector::{Death, Detector, Sickness, Standing};
use crate::explanation::{Alternative, Cause, Command, Explanation, NotChosen};
use crate::placement::Placement;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cortado_model::{Millis, NodeId, PartitionId, ReplicaIncarnation, doubled};

/// What a node knows about one partition of which it may hold a replica.
#[derive(Clone, Debug)]
pub struct PartitionFacts<'a> {
    /// The partition.
    pub partition: PartitionId,
    /// This node.
    pub me: NodeId,
    /// This life of its replica.
    pub incarnation: ReplicaIncarnation,
    /// Who holds replicas, in order of succession.
    pub placement: &'a Placement,
    /// Who leads, as far as this node has folded the log.
    pub leadership: Leadership,
    /// This node's replica is being built anew.
    pub restoring: bool,
    /// This node's store takes nothing more: what is there can be read, and new writes are refused.
    pub store_full: bool,
    /// Records in the log that this node has not applied yet, as far as it knows.
    pub lag_records: u64,
    /// When this node's own claims of this partition were accepted, oldest first; as far as it
    /// remembers. Only the last minutes matter, and more do no harm.
    pub own_claims: &'a [Millis],
    /// Those of them that took the leadership over from another node, unasked.
    pub takeovers: &'a [Takeover],
    /// For a leader: how far each follower is behind, as last reported, in records.
    pub follower_lags: &'a BTreeMap<NodeId, u64>,
    /// Whether this node is handing over any partition right now.
    pub hand_off_running: bool,
    /// When this node last handed over any partition because its preferred leader was back.
    pub last_hand_back_at: Option<Millis>,
}

/// A claim of this node's where another one led, or should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// When it was accepted.
    pub at: Millis,
    /// The other node.
    pub from: NodeId,
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// No node has ever led it.
    Never {
        /// When this node learned of the partition.
        since: Millis,
    },
    /// The last claim that was accepted.
    Claimed {
        /// Who claimed.
        node: NodeId,
        /// In which life; a replica that starts again never continues a generation.
        incarnation: ReplicaIncarnation,
        /// When this node folded the claim.
        at: Millis,
    },
    /// The leader has stepped down.
    SteppedDown {
        /// Who led.
        by: NodeId,
        /// The successor that it named, if any.
        to: Option<NodeId>,
        /// When this node folded it.
        at: Millis,
    },
}

impl Leadership {
    /// Who leads, or led last, and since when that is known here.
    pub(crate) fn leader(&self) -> Option<(NodeId, Millis)> {
        match self {
            Leadership::Never { .. } => None,
            Leadership::Claimed { node, at, .. } => Some((*node, *at)),
            Leadership::SteppedDown { by, at, .. } => Some((*by, *at)),
        }
    }

    /// The node that `me` would take it over from by claiming it: the one that leads, or that was
    /// to lead and did not claim. `None` if `me` was asked to, or no other node had a part in it.
    pub(crate) fn taken_from(&self, me: NodeId) -> Option<NodeId> {
        let other = match self {
            Leadership::Never { .. } => None,
            Leadership::Claimed { node, .. } => Some(*node),
            Leadership::SteppedDown { by, to, .. } => Some(to.unwrap_or(*by)),
        };
        other.filter(|other| *other != me)
    }
}

/// What to do about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Stay(StayReason),
    /// Claim, unless another node has by then; decide again before doing it.
    ClaimAt {
        /// The moment.
        at: Millis,
        /// Why.
        why: Explanation,
    },
    /// Claim now.
    Claim {
        /// Why.
        why: Explanation,
    },
    /// Step down in favour of a node.
    HandOff {
        /// The node.
        to: NodeId,
        /// Why.
        why: Explanation,
    },
}

/// Why there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StayReason {
    /// This node leads, and has no reason to hand over or no successor that could take over.
    Leading,
    /// The leader shows signs of life, or might.
    LeaderAlive {
        /// Who leads.
        leader: NodeId,
    },
    /// The leader has been silent, but not for long enough.
    LeaderSilent {
        /// Who leads.
        leader: NodeId,
        /// Its last sign of life.
        since: Millis,
    },
    /// This node holds no replica.
    NotPlaced,
    /// There is no leader, but this replica is being built anew.
    Restoring,
    /// There is no leader, but this node does not feel fit to lead.
    Sick(Sickness),
    /// The leader may be gone, but own beats do not come back: its silence means nothing.
    OwnBeatsSilent,
}

/// Own claims older than this are forgotten by the back-off.
const BACK_OFF_WINDOW_MS: u64 = 60 * 1_000;
/// The shortest time between two own claims of a partition; doubles with every further one.
const BACK_OFF_MS_MIN: u64 = 500;
/// The longest time between two own claims of a partition: if all other nodes are gone for good,
/// even a node that keeps failing serves again after this.
const BACK_OFF_MS_MAX: u64 = 10 * 1_000;
/// A candidate further behind than this goes last: it would have to catch up before it serves.
const CANDIDATE_LAG_RECORDS_MAX: u64 = 10_000;
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
    let vacancy = match vacancy(now, facts, detector) {
        Ok(vacancy) => vacancy,
        Err(reason) => return Decision::Stay(reason),
    };
    if let Some(reason) = unfit(facts, detector) {
        return Decision::Stay(reason);
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
        Leadership::Claimed { node, .. } => vacancy(now, facts, detector).err().map(|_| node),
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

/// For what a leader may hand over; the same for many partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    /// The preferred leader.
    pub(crate) preferred: NodeId,
    /// The leader's own node is drained.
    pub(crate) leaves: bool,
}

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

impl PartitionFacts<'_> {
    /// For what this node may hand over, if it leads.
    pub(crate) fn wanted(&self) -> Wanted {
        let preferred = self.placement.preferred();
        Wanted { preferred, leaves: self.placement.is_drained(self.me) }
    }

    /// Whether this life of this node's replica leads.
    pub(crate) fn leads(&self) -> bool {
        match self.leadership {
            Leadership::Claimed { node, incarnation, .. } => {
                node == self.me && incarnation == self.incarnation
            }
            Leadership::Never { .. } | Leadership::SteppedDown { .. } => false,
        }
    }
}

/// A vacant leadership, and how long its candidates wait.
struct Vacancy {
    cause: Cause,
    /// From when on the candidates wait, each for its rank.
    since: Millis,
    /// The named successor, which need not wait at all.
    named: Option<NodeId>,
    /// How much longer all other candidates wait.
    extra_ms: u64,
}

fn vacancy(
    now: Millis,
    facts: &PartitionFacts<'_>,
    detector: &Detector,
) -> Result<Vacancy, StayReason> {
    let plain = |cause, since| Vacancy { cause, since, named: None, extra_ms: 0 };
    match facts.leadership {
        Leadership::Never { since } => Ok(plain(Cause::NeverLed, since)),
        Leadership::SteppedDown { by, to, at } => {
            let cause = Cause::SteppedDown { by, to };
            let named = to.filter(|to| is_candidate(now, facts, detector, *to));
            // The named one claims at once; if it does not, it is as good as dead.
            let extra_ms = if named.is_some() { detector.settings().dead_after_ms } else { 0 };
            Ok(Vacancy { cause, since: at, named, extra_ms })
        }
        Leadership::Claimed { node, incarnation, .. } if node == facts.me => {
            // Not this life, or it would lead: an earlier one, and all others are over.
            let since = detector.lives_since().unwrap_or(now);
            let (old, new) = (incarnation.node, facts.incarnation.node);
            let cause = Cause::LeaderRestarted { leader: node, old, new };
            Ok(plain(cause, since))
        }
        Leadership::Claimed { node, incarnation, .. } => {
            if let Some((new, since)) = detector.incarnation(node)
                && new > incarnation.node
            {
                let old = incarnation.node;
                let cause = Cause::LeaderRestarted { leader: node, old, new };
                return Ok(plain(cause, since));
            }
            match detector.standing(now, node) {
                Standing::Alive => Err(StayReason::LeaderAlive { leader: node }),
                Standing::Unknown if detector.hears_itself(now) => {
                    Err(StayReason::LeaderAlive { leader: node })
                }
                Standing::Silent { since } if detector.hears_itself(now) => {
                    Err(StayReason::LeaderSilent { leader: node, since })
                }
                Standing::Unknown | Standing::Silent { .. } => Err(StayReason::OwnBeatsSilent),
                Standing::Dead(death) => {
                    let incarnation = incarnation.node;
                    Ok(plain(Cause::LeaderDead { leader: node, incarnation, death }, death.at))
                }
            }
        }
    }
}

/// Why this node must not lead, even where no other node does.
fn unfit(facts: &PartitionFacts<'_>, detector: &Detector) -> Option<StayReason> {
    if facts.restoring {
        return Some(StayReason::Restoring);
    }
    match detector.sickness() {
        // It may be the only node left.
        None | Some(Sickness::ClockOff) => None,
        Some(sickness) => Some(StayReason::Sick(sickness)),
    }
}

fn claim(
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
    let last = backed_off_until > vacancy.since || behind || facts.store_full;
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
    let gone = vacancy.cause.dead_leader();
    let others = facts.placement.nodes().iter().filter(|node| **node != facts.me);
    let alternatives = others.filter(|node| gone != Some(**node)).map(|node| {
        let standing = detector.standing(now, *node);
        let wait = candidates.iter().position(|candidate| candidate == node).map(rank_ms);
        let why = match standing {
            Standing::Dead(death) => NotChosen::Dead(death),
            Standing::Alive | Standing::Silent { .. } | Standing::Unknown => {
                NotChosen::Waits { wait_ms: wait.unwrap_or_default() }
            }
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
    if at > now { Decision::ClaimAt { at, why } } else { Decision::Claim { why } }
}

/// The nodes that may take over, in order of succession: all that are not dead.
fn candidates(now: Millis, facts: &PartitionFacts<'_>, detector: &Detector) -> Vec<NodeId> {
    let nodes = facts.placement.nodes().iter().copied();
    nodes.filter(|node| is_candidate(now, facts, detector, *node)).collect()
}

fn is_candidate(
    now: Millis,
    facts: &PartitionFacts<'_>,
    detector: &Detector,
    node: NodeId,
) -> bool {
    let dead = match detector.standing(now, node) {
        Standing::Dead(Death { .. }) => true,
        Standing::Alive | Standing::Silent { .. } | Standing::Unknown => false,
    };
    facts.placement.contains(node) && !dead
}

fn undo(facts: &PartitionFacts<'_>, cause: &Cause) -> Option<Command> {
    let before = match cause {
        Cause::NeverLed => None,
        Cause::LeaderDead { leader, .. } | Cause::LeaderRestarted { leader, .. } => Some(*leader),
        Cause::SteppedDown { by, .. } => Some(*by),
        Cause::Drained => return Some(Command::Resume { node: facts.me }),
        Cause::PreferredIsBack { .. } | Cause::PinnedIsBack { .. } | Cause::Sick(_) => {
            Some(facts.me)
        }
    };
    let other = before.filter(|before| *before != facts.me || !cause.is_claim());
    other.map(|to| Command::HandOff { partition: facts.partition, to })
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

/// What a leader does: hands over if it is sick or drained, or if the preferred leader is fit.
fn lead_on(now: Millis, facts: &PartitionFacts<'_>, detector: &Detector) -> Decision {
    if facts.hand_off_running {
        return Decision::Stay(StayReason::Leading);
    }
    let close = |node: &NodeId| {
        facts.follower_lags.get(node).is_some_and(|lag| *lag <= SUCCESSOR_LAG_RECORDS_MAX)
    };
    let hand_off = |to, cause| {
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
    };
    let Wanted { preferred, leaves } = facts.wanted();
    let must_leave = detector.failure().map(Cause::Sick).or(leaves.then_some(Cause::Drained));
    if let Some(cause) = must_leave {
        let mut others = facts.placement.nodes().iter().filter(|node| **node != facts.me);
        // Where this node's own beats do not come back, the silence of others is no evidence.
        let silent = |node: &NodeId| match detector.standing(now, *node) {
            Standing::Alive => false,
            Standing::Silent { .. } | Standing::Unknown => detector.hears_itself(now),
            Standing::Dead(_) => true,
        };
        // From one drained node to another nothing would be won.
        let in_vain = |node: &NodeId| cause == Cause::Drained && facts.placement.is_drained(*node);
        // A node that claims nothing gets nothing back.
        let ends_here = unfit(facts, detector).is_some();
        let trusted = |node: &NodeId| ends_here || is_trusted_again(now, facts, detector, *node);
        let could = |node: &NodeId| !silent(node) && !in_vain(node) && close(node);
        return match others.find(|node| could(node) && trusted(node)) {
            Some(to) => hand_off(*to, cause),
            None => Decision::Stay(StayReason::Leading),
        };
    }
    let paced = is_paced(now, facts.last_hand_back_at);
    match detector.alive_since(now, preferred) {
        Some(since)
            if preferred != facts.me
                && paced
                && close(&preferred)
                && now >= hand_back_at(now, facts, preferred, since) =>
        {
            let alive_ms = now.since(since);
            let cause = if facts.placement.is_pinned() {
                Cause::PinnedIsBack { alive_ms }
            } else {
                Cause::PreferredIsBack { alive_ms }
            };
            hand_off(preferred, cause)
        }
        Some(_) | None => Decision::Stay(StayReason::Leading),
    }
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
