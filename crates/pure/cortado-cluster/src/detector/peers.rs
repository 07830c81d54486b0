//! The second layer of detection: what gossip says of other nodes, and what routers report.
//!
//! Optional: where there is no gossip, it has no opinion of any node. Start reading at
//! [`PeerLayer::sight`]. Source: docs/protocols/failover.md, "Three layers".

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use cortado_model::{Millis, NodeId, NodeIncarnation, PartitionId};

/// What gossip says of a node, after direct probes and those through others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerOpinion {
    /// It has answered a probe lately, or told some member that it lives.
    Alive,
    /// It has not, and may still object.
    Suspect,
    /// It has had its time to object.
    Down,
}

/// What the second layer knows.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerLayer {
    opinions: BTreeMap<NodeId, Opinion>,
    /// Requests that did not reach a node, by that.
    failures: BTreeMap<NodeId, Failures>,
    /// When a node has told this one something last, on the way that requests take.
    heard: BTreeMap<NodeId, Millis>,
    /// Nodes that have told last that they do not reach the log.
    lost_log: BTreeMap<NodeId, LostLog>,
    /// The same of single partitions that they lead, by node and partition.
    lost_logs_of: BTreeMap<(NodeId, PartitionId), LostLog>,
    /// Nodes that do not run, as their machines say, and since when.
    refused: BTreeMap<NodeId, Millis>,
    /// Since when no member has answered this node, although there are two at least.
    cut_off_since: Option<Millis>,
    /// That has lasted.
    cut_off: bool,
}

#[derive(Clone, Copy, Debug)]
struct Opinion {
    incarnation: NodeIncarnation,
    said: PeerOpinion,
    since: Millis,
}

/// Requests that did not reach a node since one last did.
#[derive(Clone, Debug)]
struct Failures {
    since: Millis,
    last_at: Millis,
    /// Whose routers say so.
    reporters: BTreeSet<NodeId>,
}

/// A node does not reach the log, or that of a partition, as it says itself.
#[derive(Clone, Copy, Debug)]
struct LostLog {
    since: Millis,
    last_at: Millis,
}

/// How a node looks to its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerSight {
    /// There is no gossip, it has not heard of the node, or it hears nothing at all.
    Unknown,
    /// Some member reaches it.
    Reached,
    /// Some member does not, and it may still object. Beside a silence in the log that is enough.
    Suspected(PeerLoss),
    /// No member does.
    Gone(PeerLoss),
}

/// Why peers count a node as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLoss {
    /// Since when.
    pub since: Millis,
    /// What it rests on.
    pub by: PeerWitness,
}

/// Whose word it is that a node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerWitness {
    /// Gossip's.
    Gossip,
    /// That of gossip, which only suspects it.
    Suspicion,
    /// That of gossip, which only suspects it, and of a router.
    SuspicionAndRouter,
    /// That of several routers.
    Routers {
        /// How many.
        routers: u32,
    },
    /// The node's own: it lives, and says that it does not reach the log.
    Itself,
    /// That of its machine: nothing listens where it did.
    Machine,
}

/// Reports that are older say nothing of now.
const REPORT_LIMITS_MAX: u64 = 2;
/// Two routers that fail alike are hardly both wrong: of one alone, the way to it may be broken.
const ROUTERS_MIN: usize = 2;
/// With fewer other members, it cannot be told who is cut off.
const MEMBERS_MIN: u32 = 2;

impl PeerLayer {
    /// Gossip says something of `node`. What it says of an older life is passed over.
    pub(super) fn hear(
        &mut self,
        now: Millis,
        node: NodeId,
        incarnation: NodeIncarnation,
        said: PeerOpinion,
    ) {
        let opinion = Opinion { incarnation, said, since: now };
        let known = self.opinions.entry(node).or_insert(opinion);
        if incarnation > known.incarnation
            || (incarnation == known.incarnation && said != known.said)
        {
            *known = opinion;
        }
    }

    /// So many of the other members have answered this node lately.
    pub(super) fn measure(&mut self, now: Millis, answering: u32, members: u32) {
        let cut_off = answering == 0 && members >= MEMBERS_MIN;
        self.cut_off_since = cut_off.then(|| self.cut_off_since.unwrap_or(now));
        self.cut_off &= cut_off;
    }

    /// Time has passed.
    ///
    /// * `limit_ms`: silence after which a node counts as dead in the log; also here.
    pub(super) fn tick(&mut self, now: Millis, limit_ms: u64) {
        self.cut_off = self.cut_off_since.is_some_and(|since| now.since(since) >= limit_ms);
        self.lost_log.retain(|_, lost| now.since(lost.last_at) <= limit_ms);
        self.lost_logs_of.retain(|_, lost| now.since(lost.last_at) <= limit_ms);
    }

    /// A router of `by` could not reach `node`.
    pub(super) fn fail(&mut self, now: Millis, node: NodeId, by: NodeId, limit_ms: u64) {
        let new = || Failures { since: now, last_at: now, reporters: BTreeSet::new() };
        let failures = self.failures.entry(node).or_insert_with(new);
        if now.since(failures.last_at) > memory_ms(limit_ms) {
            *failures = new();
        }
        failures.last_at = now;
        failures.reporters.insert(by);
    }

    /// `node` has told this one something.
    pub(super) fn hear_from(&mut self, now: Millis, node: NodeId) {
        self.heard.insert(node, now);
    }

    /// `node` has told whether it reaches the log.
    pub(super) fn hear_of_log(&mut self, now: Millis, node: NodeId, reaches: bool) {
        note_lost(&mut self.lost_log, now, node, reaches);
    }

    /// A node has told whether it reaches the log of a partition that it leads.
    pub(super) fn hear_of_log_of(&mut self, now: Millis, of: (NodeId, PartitionId), reaches: bool) {
        note_lost(&mut self.lost_logs_of, now, of, reaches);
    }

    /// Since when `node` has told that it does not reach the log of `partition`.
    pub(super) fn lost_log_of(&self, node: NodeId, partition: PartitionId) -> Option<Millis> {
        self.lost_logs_of.get(&(node, partition)).map(|lost| lost.since)
    }

    /// All of that which has been told.
    pub(super) fn lost_logs_of(&self) -> impl Iterator<Item = ((NodeId, PartitionId), Millis)> {
        self.lost_logs_of.iter().map(|(of, lost)| (*of, lost.since))
    }

    /// The machine of `node` says that nothing listens there, or no longer so.
    pub(super) fn is_refused(&mut self, now: Millis, node: NodeId, refuses: bool) {
        if refuses {
            self.refused.entry(node).or_insert(now);
        } else {
            self.refused.remove(&node);
        }
    }

    /// Why `node` can neither write nor step down, if that is known from itself or its machine.
    pub(super) fn certain(&self, node: NodeId) -> Option<PeerLoss> {
        if let Some(since) = self.refused.get(&node).copied() {
            return Some(PeerLoss { since, by: PeerWitness::Machine });
        }
        let since = self.lost_log.get(&node)?.since;
        Some(PeerLoss { since, by: PeerWitness::Itself })
    }

    /// What gossip says of `node`, if it counts it as gone and is wrong: this node hears from it,
    /// and requests reach it.
    ///
    /// * `life`, `limit_ms`: as in [`sight`](Self::sight).
    pub(super) fn overruled(
        &self,
        now: Millis,
        node: NodeId,
        life: Option<NodeIncarnation>,
        limit_ms: u64,
    ) -> Option<PeerLoss> {
        let Opinion { said, since, .. } = self.opinion(node, life)?;
        let is_down = *said == PeerOpinion::Down;
        let is_reached = self.sight(now, node, life, limit_ms) == PeerSight::Reached;
        (is_down && is_reached).then_some(PeerLoss { since: *since, by: PeerWitness::Gossip })
    }

    fn opinion(&self, node: NodeId, life: Option<NodeIncarnation>) -> Option<&Opinion> {
        let opinion = self.opinions.get(&node);
        opinion.filter(|opinion| life.is_none_or(|life| life <= opinion.incarnation))
    }

    /// A router has reached `node`.
    pub(super) fn reach(&mut self, node: NodeId) {
        self.failures.remove(&node);
    }

    /// Whether no member answers this node, and has not for long.
    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// How `node` looks to its peers.
    ///
    /// * `life`: the newest that is known of it; what was said of an older one counts for nothing.
    /// * `limit_ms`: as in [`tick`](Self::tick).
    pub(super) fn sight(
        &self,
        now: Millis,
        node: NodeId,
        life: Option<NodeIncarnation>,
        limit_ms: u64,
    ) -> PeerSight {
        if self.cut_off_since.is_some() {
            return PeerSight::Unknown;
        }
        let failures = self.failures.get(&node);
        let failures = failures.filter(|failures| {
            let lasting = now.since(failures.since) >= limit_ms;
            lasting && now.since(failures.last_at) <= memory_ms(limit_ms)
        });
        let gone = |since, by| PeerSight::Gone(PeerLoss { since, by });
        let heard_until = self.heard.get(&node).map_or(Millis(0), |at| at.plus(limit_ms));
        let heard = now < heard_until;
        let opinion = self.opinion(node, life);
        let Some(Opinion { said, since, .. }) = opinion else { return PeerSight::Unknown };
        match (said, failures) {
            // Gossip goes by a way of its own, which may be cut alone.
            (PeerOpinion::Down | PeerOpinion::Suspect, None) if heard => PeerSight::Reached,
            (PeerOpinion::Down, Some(failures)) if heard => {
                gone((*since).max(failures.since.plus(limit_ms)), PeerWitness::Gossip)
            }
            // Until then it was not.
            (PeerOpinion::Down, _) => gone((*since).max(heard_until), PeerWitness::Gossip),
            (PeerOpinion::Suspect, None) => {
                let since = (*since).max(heard_until);
                PeerSight::Suspected(PeerLoss { since, by: PeerWitness::Suspicion })
            }
            (PeerOpinion::Suspect, Some(failures)) => {
                let since = (*since).max(failures.since.plus(limit_ms));
                gone(since, PeerWitness::SuspicionAndRouter)
            }
            (PeerOpinion::Alive, Some(failures)) if failures.reporters.len() >= ROUTERS_MIN => {
                let routers = failures.reporters.len() as u32;
                gone(failures.since.plus(limit_ms), PeerWitness::Routers { routers })
            }
            (PeerOpinion::Alive, _) => PeerSight::Reached,
        }
    }
}

/// It has been told of `of` whether the log is reached.
fn note_lost<K: Ord>(lost: &mut BTreeMap<K, LostLog>, now: Millis, of: K, reaches: bool) {
    if reaches {
        lost.remove(&of);
    } else {
        lost.entry(of).or_insert(LostLog { since: now, last_at: now }).last_at = now;
    }
}

fn memory_ms(limit_ms: u64) -> u64 {
    REPORT_LIMITS_MAX.saturating_mul(limit_ms)
}

impl fmt::Display for PeerLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            PeerWitness::Gossip => f.write_str("gossip says that it is down"),
            PeerWitness::Suspicion => f.write_str("gossip suspects it"),
            PeerWitness::SuspicionAndRouter => {
                f.write_str("gossip suspects it, and a router does not reach it")
            }
            PeerWitness::Routers { routers } => write!(f, "{routers} routers do not reach it"),
            PeerWitness::Itself => f.write_str("it says that it does not reach the log"),
            PeerWitness::Machine => f.write_str("its machine refuses connections"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::DatabaseId;

    const LIMIT_MS: u64 = 1_000;
    const NODE: NodeId = NodeId(1);
    const LIFE: NodeIncarnation = NodeIncarnation(3);

    fn said(opinion: PeerOpinion) -> PeerLayer {
        let mut layer = PeerLayer::default();
        layer.hear(Millis(100), NODE, LIFE, opinion);
        layer
    }

    #[track_caller]
    fn check(layer: &PeerLayer, now: u64, want: Option<(u64, PeerWitness)>) {
        let want = want.map(|(since, by)| PeerLoss { since: Millis(since), by });
        let want = want.map_or(PeerSight::Reached, PeerSight::Gone);
        assert_eq!(layer.sight(Millis(now), NODE, Some(LIFE), LIMIT_MS), want, "at {now}");
    }

    #[test]
    fn gossip_is_believed_as_far_as_it_goes() {
        check(&said(PeerOpinion::Alive), 200, None);
        let suspected = said(PeerOpinion::Suspect).sight(Millis(200), NODE, Some(LIFE), LIMIT_MS);
        let by = PeerWitness::Suspicion;
        assert_eq!(suspected, PeerSight::Suspected(PeerLoss { since: Millis(100), by }));
        check(&said(PeerOpinion::Down), 200, Some((100, PeerWitness::Gossip)));
        let silent = PeerLayer::default();
        assert_eq!(silent.sight(Millis(200), NODE, None, LIMIT_MS), PeerSight::Unknown);
    }

    #[test]
    fn an_older_life_says_nothing_and_a_newer_one_everything() {
        let mut layer = said(PeerOpinion::Down);
        layer.hear(Millis(200), NODE, NodeIncarnation(2), PeerOpinion::Alive);
        check(&layer, 300, Some((100, PeerWitness::Gossip)));
        layer.hear(Millis(200), NODE, NodeIncarnation(4), PeerOpinion::Alive);
        check(&layer, 300, None);
        // One that beats already, and that gossip has not heard of.
        let newer = Some(NodeIncarnation(5));
        assert_eq!(layer.sight(Millis(300), NODE, newer, LIMIT_MS), PeerSight::Unknown);
    }

    #[test]
    fn one_router_alone_is_no_witness() {
        let mut layer = said(PeerOpinion::Alive);
        for at in (200..=1_400).step_by(200) {
            layer.fail(Millis(at), NODE, NodeId(7), LIMIT_MS);
        }
        check(&layer, 1_400, None);
        layer.fail(Millis(1_400), NODE, NodeId(8), LIMIT_MS);
        check(&layer, 1_400, Some((1_200, PeerWitness::Routers { routers: 2 })));
        layer.reach(NODE);
        check(&layer, 1_400, None);
    }

    #[test]
    fn a_suspicion_and_a_router_are_two_witnesses() {
        let mut layer = said(PeerOpinion::Suspect);
        layer.fail(Millis(200), NODE, NodeId(7), LIMIT_MS);
        let is_gone = |now| {
            let sight = layer.sight(Millis(now), NODE, Some(LIFE), LIMIT_MS);
            matches!(sight, PeerSight::Gone(_))
        };
        assert!(!is_gone(1_100), "a moment may be over soon");
        check(&layer, 1_200, Some((1_200, PeerWitness::SuspicionAndRouter)));
        assert!(!is_gone(2_201), "nothing was reported any more");
    }

    #[test]
    fn what_is_heard_of_a_node_itself_outweighs_gossip_and_no_router() {
        let mut layer = said(PeerOpinion::Down);
        let overruled = |layer: &PeerLayer, now| {
            layer.overruled(Millis(now), NODE, Some(LIFE), LIMIT_MS).map(|loss| loss.since)
        };
        assert_eq!(overruled(&layer, 200), None, "nothing speaks against it");
        layer.hear_from(Millis(300), NODE);
        check(&layer, 1_299, None);
        assert_eq!(overruled(&layer, 1_299), Some(Millis(100)));
        check(&layer, 1_300, Some((1_300, PeerWitness::Gossip)));
        // It speaks, and is not reached.
        layer.fail(Millis(1_400), NODE, NodeId(7), LIMIT_MS);
        layer.hear_from(Millis(2_400), NODE);
        check(&layer, 2_400, Some((2_400, PeerWitness::Gossip)));
        assert_eq!(overruled(&layer, 2_400), None);
    }

    #[test]
    fn who_says_that_it_does_not_reach_the_log_is_believed_while_it_says_so() {
        let mut layer = PeerLayer::default();
        assert_eq!(layer.certain(NODE), None);
        layer.hear_of_log(Millis(100), NODE, false);
        layer.hear_of_log(Millis(350), NODE, false);
        let loss = PeerLoss { since: Millis(100), by: PeerWitness::Itself };
        layer.tick(Millis(1_350), LIMIT_MS);
        assert_eq!(layer.certain(NODE), Some(loss));
        layer.tick(Millis(1_351), LIMIT_MS);
        assert_eq!(layer.certain(NODE), None, "it may have found its way back, or be gone");
        layer.hear_of_log(Millis(1_400), NODE, false);
        layer.hear_of_log(Millis(1_500), NODE, true);
        assert_eq!(layer.certain(NODE), None);
    }

    #[test]
    fn of_single_partitions_it_is_believed_likewise() {
        let mut layer = PeerLayer::default();
        let partition = PartitionId { database: DatabaseId(1), number: 3 };
        let of = (NODE, partition);
        layer.hear_of_log_of(Millis(100), of, false);
        layer.hear_of_log_of(Millis(350), of, false);
        layer.tick(Millis(1_350), LIMIT_MS);
        assert_eq!(layer.lost_log_of(NODE, partition), Some(Millis(100)));
        assert_eq!(layer.certain(NODE), None, "it reaches those of others");
        layer.tick(Millis(1_351), LIMIT_MS);
        assert_eq!(layer.lost_log_of(NODE, partition), None);
        layer.hear_of_log_of(Millis(1_400), of, false);
        layer.hear_of_log_of(Millis(1_500), of, true);
        assert_eq!(layer.lost_log_of(NODE, partition), None);
    }

    #[test]
    fn a_refusal_counts_from_the_first_until_the_node_is_reached() {
        let mut layer = said(PeerOpinion::Alive);
        layer.is_refused(Millis(200), NODE, true);
        layer.is_refused(Millis(260), NODE, true);
        let loss = PeerLoss { since: Millis(200), by: PeerWitness::Machine };
        assert_eq!(layer.certain(NODE), Some(loss));
        layer.is_refused(Millis(320), NODE, false);
        assert_eq!(layer.certain(NODE), None);
    }

    #[test]
    fn who_hears_of_nobody_has_no_opinion() {
        let mut layer = said(PeerOpinion::Down);
        layer.measure(Millis(300), 0, 1);
        check(&layer, 300, Some((100, PeerWitness::Gossip)));
        layer.measure(Millis(400), 0, 2);
        assert_eq!(layer.sight(Millis(400), NODE, None, LIMIT_MS), PeerSight::Unknown);
        layer.tick(Millis(1_399), LIMIT_MS);
        assert!(!layer.is_cut_off());
        layer.measure(Millis(1_400), 0, 2);
        layer.tick(Millis(1_400), LIMIT_MS);
        assert!(layer.is_cut_off());
        layer.measure(Millis(1_500), 1, 2);
        assert!(!layer.is_cut_off());
    }
}
