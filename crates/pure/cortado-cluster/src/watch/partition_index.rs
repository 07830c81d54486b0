//! The partitions of a node, indexed by what their next decision waits for.
//!
//! Decides nothing. Start reading at [`Waiting`].

use super::watched::Watched;
use crate::decision::Wanted;
use crate::placement::Placement;
use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Bound;
use cortado_model::{Millis, NodeId, PartitionId};

/// What the next decision about a partition waits for. Besides, every change of its replica counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// For its replica, or for its log to begin.
    Replica,
    /// For its leader's death or restart.
    Leader(NodeId),
    /// It is vacant: for any news of any node, and for a moment.
    Turn(Option<Millis>),
    /// This node leads it: for its preferred leader, or this node's own sickness.
    Leading(Wanted),
}

/// All partitions of which this node should hold a replica.
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionIndex {
    partitions: BTreeMap<PartitionId, (Watched, Waiting)>,
    /// Those that wait for their leader, by that.
    following: BTreeMap<NodeId, BTreeSet<PartitionId>>,
    /// Those without a leader.
    vacant: BTreeSet<PartitionId>,
    /// When to decide about some of them, whatever happens.
    turns: BTreeSet<(Millis, PartitionId)>,
    /// Those that this node leads, by what they may be handed over for.
    leading: BTreeMap<Wanted, BTreeSet<PartitionId>>,
    /// Those to decide about at the next look.
    due: BTreeSet<PartitionId>,
}

impl PartitionIndex {
    pub(super) fn place(&mut self, partition: PartitionId, placement: Placement) {
        let new = || (Watched::new(placement.clone()), Waiting::Replica);
        self.partitions.entry(partition).or_insert_with(new).0.placement = placement.clone();
        self.due.insert(partition);
    }

    pub(super) fn withdraw(&mut self, partition: PartitionId) {
        self.wait(partition, Waiting::Replica);
        self.due.remove(&partition);
        self.partitions.remove(&partition);
    }

    pub(super) fn watched(&mut self, partition: PartitionId) -> Option<&mut Watched> {
        self.partitions.get_mut(&partition).map(|(watched, _)| watched)
    }

    /// Decides about `partition` at the next look.
    pub(super) fn mark(&mut self, partition: PartitionId) {
        if self.partitions.contains_key(&partition) {
            self.due.insert(partition);
        }
    }

    /// Decides about everything that waits for `leader` at the next look.
    pub(super) fn mark_led_by(&mut self, leader: NodeId) {
        self.due.extend(self.following.get(&leader).into_iter().flatten());
    }

    /// Decides about every partition without a leader at the next look.
    pub(super) fn mark_vacant(&mut self) {
        self.due.extend(&self.vacant);
    }

    /// What to decide about `now`, in order; it is marked no longer.
    pub(super) fn take_due(&mut self, now: Millis) -> BTreeSet<PartitionId> {
        let turns = self.turns.iter().take_while(|(at, _)| *at <= now);
        self.due.extend(turns.map(|(_, partition)| *partition));
        core::mem::take(&mut self.due)
    }

    /// `partition` waits for `next` from now on.
    pub(super) fn wait(&mut self, partition: PartitionId, next: Waiting) {
        let Some((_, waiting)) = self.partitions.get_mut(&partition) else { return };
        match core::mem::replace(waiting, next) {
            Waiting::Replica => {}
            Waiting::Leader(leader) => remove(&mut self.following, leader, partition),
            Waiting::Turn(at) => {
                self.vacant.remove(&partition);
                if let Some(at) = at {
                    self.turns.remove(&(at, partition));
                }
            }
            Waiting::Leading(wanted) => remove(&mut self.leading, wanted, partition),
        }
        match next {
            Waiting::Replica => {}
            Waiting::Leader(leader) => {
                self.following.entry(leader).or_default().insert(partition);
            }
            Waiting::Turn(at) => {
                self.vacant.insert(partition);
                self.turns.extend(at.map(|at| (at, partition)));
            }
            Waiting::Leading(wanted) => {
                self.leading.entry(wanted).or_default().insert(partition);
            }
        }
    }

    /// When to look next: the earliest turn, or at once if something is marked.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        let turn = self.turns.first().map(|(at, _)| *at);
        if self.due.is_empty() { turn } else { Some(Millis(0)) }
    }

    /// The first partition behind `after` that this node leads and `may` hand over.
    pub(super) fn next_led(
        &self,
        after: Option<PartitionId>,
        may: impl Fn(Wanted) -> bool,
    ) -> Option<PartitionId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.leading.iter().filter(|(wanted, _)| may(**wanted));
        found.filter_map(|(_, led)| led.range((from, Bound::Unbounded)).next()).min().copied()
    }
}

fn remove<K: Ord>(index: &mut BTreeMap<K, BTreeSet<PartitionId>>, key: K, partition: PartitionId) {
    if let Some(partitions) = index.get_mut(&key) {
        partitions.remove(&partition);
        if partitions.is_empty() {
            index.remove(&key);
        }
    }
}
