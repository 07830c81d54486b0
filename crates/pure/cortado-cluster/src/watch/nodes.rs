//! What is thought of each node, so that a change of it is noticed once and not for each partition.
//!
//! Start reading at [`Nodes::judge`].

use crate::detector::{Detector, GrayFailure, GrayKind, NodeVerdict};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cortado_model::{Millis, NodeId, NodeIncarnation};

/// The nodes that lead, or may lead, some partition of this node.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    judged: BTreeMap<NodeId, Judged>,
}

/// All of a node that a decision about a partition can depend on, but for hand-backs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Judged {
    /// Its newest life, and when that was first seen.
    life: Option<(NodeIncarnation, Millis)>,
    ails: Option<Ail>,
    /// Gossip counts it as gone, and it works.
    overrules_gossip: bool,
    /// It is silent, and this node cannot judge silence.
    unjudged: bool,
}

/// Since when which layer says that a node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ail {
    Gone(Millis),
    LogSilent(Millis),
    Unreachable(Millis),
}

impl Nodes {
    /// Judges `node` from now on.
    pub(super) fn know(&mut self, node: NodeId) {
        self.judged.entry(node).or_default();
    }

    /// The nodes of which something else is thought than before.
    pub(super) fn judge(&mut self, now: Millis, detector: &mut Detector) -> Vec<NodeId> {
        let mut changed = Vec::new();
        for (node, known) in &mut self.judged {
            let life = detector.incarnation(*node);
            let verdict = detector.verdict(now, *node);
            let (ails, unjudged) = (ail(verdict), verdict == NodeVerdict::Unjudged);
            if ails.is_some() {
                detector.judge_absence(now, *node);
            }
            let overrules_gossip = detector.overruled_gossip(now, *node).is_some();
            let judged = Judged { life, ails, overrules_gossip, unjudged };
            if *known != judged {
                *known = judged;
                changed.push(*node);
            }
        }
        changed
    }

    /// When the next node will count as dead, if nothing more is heard of it, or peers that reach
    /// one which does will have had their time.
    pub(super) fn next_death(&self, now: Millis, detector: &Detector) -> Option<Millis> {
        let deaths = self.judged.keys().filter_map(|node| detector.dead_from(now, *node));
        let moments = deaths.flat_map(|at| [at, detector.peers_know_from(at)]);
        moments.filter(|at| *at > now).min()
    }
}

fn ail(verdict: NodeVerdict) -> Option<Ail> {
    match verdict {
        NodeVerdict::Present
        | NodeVerdict::Silent { .. }
        | NodeVerdict::Unknown
        | NodeVerdict::Unjudged => None,
        NodeVerdict::Gone(death) => Some(Ail::Gone(death.at)),
        NodeVerdict::Gray(GrayFailure { since, kind: GrayKind::LogSilent(_) }) => {
            Some(Ail::LogSilent(since))
        }
        NodeVerdict::Gray(GrayFailure { since, kind: GrayKind::Unreachable(_) }) => {
            Some(Ail::Unreachable(since))
        }
    }
}
