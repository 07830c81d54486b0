//! What is thought of each node, so that a change of it is noticed once and not for each partition.
//!
//! Start reading at [`Nodes::judge`].

use crate::detector::Detector;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cortado_model::{Millis, NodeId, NodeIncarnation};

/// The nodes that lead, or may lead, some partition of this node.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    verdicts: BTreeMap<NodeId, Verdict>,
}

/// All of a node that a decision about a partition can depend on, but for hand-backs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Verdict {
    /// Its newest life, and when that was first seen.
    life: Option<(NodeIncarnation, Millis)>,
    /// Since when it counts as dead.
    dead_at: Option<Millis>,
}

impl Nodes {
    /// Judges `node` from now on.
    pub(super) fn know(&mut self, node: NodeId) {
        self.verdicts.entry(node).or_default();
    }

    /// The nodes of which something else is thought than before.
    pub(super) fn judge(&mut self, now: Millis, detector: &mut Detector) -> Vec<NodeId> {
        let mut changed = Vec::new();
        for (node, verdict) in &mut self.verdicts {
            let life = detector.incarnation(*node);
            let dead_at = detector.dead_from(now, *node).filter(|at| *at <= now);
            if dead_at.is_some() {
                detector.judge_absence(now, *node);
            }
            let judged = Verdict { life, dead_at };
            if *verdict != judged {
                *verdict = judged;
                changed.push(*node);
            }
        }
        changed
    }

    /// When the next node will count as dead, if nothing more is heard of it.
    pub(super) fn next_death(&self, now: Millis, detector: &Detector) -> Option<Millis> {
        let deaths = self.verdicts.keys().filter_map(|node| detector.dead_from(now, *node));
        deaths.filter(|at| *at > now).min()
    }
}
