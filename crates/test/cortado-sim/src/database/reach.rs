//! Which nodes a client's requests reach: what a router tells all nodes of it, as evidence.
//!
//! Concludes nothing; as `request_reach` of `cortado-node` notes it. Start reading at [`Reach`].

use crate::kernel::time::Moment;
use std::collections::{BTreeMap, BTreeSet};

/// What became of a client's requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// Not reached, and have not answered since.
    unreached: BTreeSet<usize>,
    /// When a node was last not reached, unless it has answered since.
    failed: BTreeMap<usize, Moment>,
    /// When a node answered again.
    served: BTreeMap<usize, Moment>,
}

impl Reach {
    /// A request has reached `node`, or has not.
    pub(crate) fn note(&mut self, node: usize, is_reached: bool, now: Moment) {
        if !is_reached {
            self.unreached.insert(node);
            self.failed.insert(node, now);
            self.served.remove(&node);
        } else if self.unreached.remove(&node) {
            self.failed.remove(&node);
            self.served.insert(node, now);
        }
    }

    /// What there is to tell at `now` of each node, after what was told at `told`: whether it was
    /// reached.
    pub(crate) fn news(&self, told: Moment, now: Moment) -> impl Iterator<Item = (usize, bool)> {
        let failed = self.failed.iter().map(|(node, at)| (*node, false, *at));
        let all = failed.chain(self.served.iter().map(|(node, at)| (*node, true, *at)));
        let new = all.filter(move |(_, _, at)| *at > told && *at <= now);
        new.map(|(node, is_reached, _)| (node, is_reached))
    }
}
