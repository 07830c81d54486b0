//! The second layer of detection: what gossip says of other nodes, and what routers report.
//!
//! Optional: where there is no gossip, it has no opinion of any node. Start reading at
//! [`PeerLayer::sight`]. Source: docs/protocols/failover.md, "Three layers".

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use cortado_model::{Millis, NodeId, NodeIncarnation};

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

/// How a node looks to its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerSight {
    /// There is no gossip, it has not heard of the node, or it hears nothing at all.
    Unknown,
    /// Some member reaches it.
    Reached,
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
    /// That of gossip, which only suspects it, and of a router.
    SuspicionAndRouter,
    /// That of several routers.
    Routers {
        /// How many.
        routers: u32,
    },
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
        let opinion = self.opinions.get(&node);
        let opinion = opinion.filter(|opinion| life.is_none_or(|life| life <= opinion.incarnation));
        let Some(Opinion { said, since, .. }) = opinion else { return PeerSight::Unknown };
        match (said, failures) {
            (PeerOpinion::Down, _) => gone(*since, PeerWitness::Gossip),
            (PeerOpinion::Suspect, Some(failures)) => {
                let since = (*since).max(failures.since.plus(limit_ms));
                gone(since, PeerWitness::SuspicionAndRouter)
            }
            (PeerOpinion::Alive, Some(failures)) if failures.reporters.len() >= ROUTERS_MIN => {
                let routers = failures.reporters.len() as u32;
                gone(failures.since.plus(limit_ms), PeerWitness::Routers { routers })
            }
            (PeerOpinion::Alive | PeerOpinion::Suspect, _) => PeerSight::Reached,
        }
    }
}

fn memory_ms(limit_ms: u64) -> u64 {
    REPORT_LIMITS_MAX.saturating_mul(limit_ms)
}

impl fmt::Display for PeerLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            PeerWitness::Gossip => f.write_str("gossip says that it is down"),
            PeerWitness::SuspicionAndRouter => {
                f.write_str("gossip suspects it, and a router does not reach it")
            }
            PeerWitness::Routers { routers } => write!(f, "{routers} routers do not reach it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        check(&said(PeerOpinion::Suspect), 200, None);
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
        check(&layer, 1_100, None); // a moment may be over soon
        check(&layer, 1_200, Some((1_200, PeerWitness::SuspicionAndRouter)));
        check(&layer, 2_201, None); // nothing was reported any more
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
