//! A watch, the replicas that it looks at, and a clock that a test moves.
//!
//! Start reading at [`Scene::pass`].

use super::super::*;
use crate::decision::Leadership;
use crate::placement::Placement;
use crate::settings::RawSettings;
use cortado_model::{
    Beat, BeatStream, DatabaseId, Generation, NodeIncarnation, ReplicaIncarnation, WallMillis,
};

/// The node whose watch it is.
pub(super) const ME: NodeId = NodeId(2);

pub(super) fn n(number: u32) -> NodeId {
    NodeId(number)
}

pub(super) fn p(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(1), number }
}

/// What is heard when `node` beats on the only stream.
pub(super) fn beat(node: NodeId, incarnation: u64, count: u64) -> Evidence {
    let incarnation = NodeIncarnation(incarnation);
    let beat = Beat { node, incarnation, count, time: WallMillis(0) };
    Evidence::Beat { stream: BeatStream(0), beat }
}

/// The first replica in a life of its node.
pub(super) fn life(node: u64) -> ReplicaIncarnation {
    ReplicaIncarnation { node: NodeIncarnation(node), life: 1 }
}

pub(super) fn placement(nodes: &[u32]) -> Placement {
    Placement::new(nodes.iter().copied().map(NodeId).collect()).expect("different nodes")
}

/// What all replicas show.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) views: BTreeMap<PartitionId, PartitionView>,
    pub(super) follower_lags: BTreeMap<PartitionId, BTreeMap<NodeId, u64>>,
}

impl ReplicaViews for Shown {
    fn view(&mut self, partition: PartitionId) -> Option<PartitionView> {
        self.views.get(&partition).cloned()
    }

    fn follower_lags(&mut self, partition: PartitionId) -> BTreeMap<NodeId, u64> {
        self.follower_lags.get(&partition).cloned().unwrap_or_default()
    }
}

/// A follower of a partition that has never had a leader.
pub(super) fn fresh() -> PartitionView {
    PartitionView {
        incarnation: life(1),
        generation: Generation(0),
        leadership: None,
        claimants: Vec::new(),
        duty: Duty::Follow,
        restoring: false,
        lag_records: 0,
    }
}

/// What a replica shows when `node` has just won the next generation, `me` being its own node.
pub(super) fn led_by(
    before: &PartitionView,
    node: NodeId,
    at: Millis,
    me: NodeId,
) -> PartitionView {
    PartitionView {
        generation: before.generation.next(),
        leadership: Some(Leadership::Claimed { node, incarnation: life(1), at }),
        duty: if node == me { Duty::Lead } else { Duty::Follow },
        ..before.clone()
    }
}

/// A watch of n2, in a cluster of three nodes that all beat unless they are silent.
pub(super) struct Scene {
    pub(super) watch: Watch,
    pub(super) shown: Shown,
    pub(super) now: Millis,
    pub(super) silent: Vec<NodeId>,
    /// What was ordered, and when; beats are not told.
    pub(super) orders: Vec<(Millis, WatchOrder)>,
    /// When an own beat was ordered.
    pub(super) beats: Vec<Millis>,
    heard_at: Millis,
}

impl Scene {
    pub(super) fn new() -> Scene {
        let settings = RawSettings::default().validate().expect("defaults are valid");
        let now = Millis(1_000);
        Scene {
            watch: Watch::new(ME, NodeIncarnation(1), 1, settings, now),
            shown: Shown::default(),
            now,
            silent: Vec::new(),
            orders: Vec::new(),
            beats: Vec::new(),
            heard_at: Millis(0),
        }
    }

    pub(super) fn on(&mut self, event: WatchEvent) {
        self.watch.on(self.now, event);
    }

    /// Places a partition on `nodes`; its replica shows `view`.
    pub(super) fn place(&mut self, partition: PartitionId, nodes: &[u32], view: PartitionView) {
        self.shown.views.insert(partition, view);
        self.on(WatchEvent::Placed { partition, placement: placement(nodes) });
    }

    /// `node` wins the next generation of `partition`.
    pub(super) fn claim(&mut self, partition: PartitionId, node: NodeId) {
        let before = &self.shown.views[&partition];
        let view = led_by(before, node, self.now, ME);
        self.show(partition, view);
    }

    pub(super) fn show(&mut self, partition: PartitionId, view: PartitionView) {
        self.shown.views.insert(partition, view);
        self.on(WatchEvent::Changed { partition });
    }

    /// Lets time pass: wakes the watch exactly when it wants to be woken.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.plus(ms);
        while self.now < end {
            self.look();
            let next_beat = self.heard_at.plus(250);
            self.now = self.watch.wake_at().max(self.now.plus(1)).min(next_beat).min(end);
        }
        self.look();
    }

    /// Others beat in step with this node, whose beats come back at once.
    fn look(&mut self) {
        if self.now >= self.heard_at.plus(250) {
            self.heard_at = self.now;
            [n(1), n(3)].into_iter().for_each(|node| self.hear(node, 1));
        }
        let mut orders = Vec::new();
        self.watch.look(self.now, &mut self.shown, &mut orders);
        for order in orders {
            if let WatchOrder::Beat { count } = order {
                self.beats.push(self.now);
                self.hear(ME, count);
                self.look();
            } else {
                self.orders.push((self.now, order));
            }
        }
    }

    fn hear(&mut self, node: NodeId, count: u64) {
        if !self.silent.contains(&node) {
            self.on(WatchEvent::Observed(beat(node, 1, count)));
        }
    }

    /// What was ordered since the last call, as words.
    pub(super) fn told(&mut self) -> Vec<String> {
        let spell = |(at, order): (Millis, WatchOrder)| match order {
            WatchOrder::Beat { count } => format!("{} beat {count}", at.0),
            WatchOrder::Claim { why, first } => {
                let again = if first { "" } else { " again" };
                format!("{} claim {}{again}: {}", at.0, why.partition, why.cause)
            }
            WatchOrder::AskToStepDown { leader, why } => {
                format!("{} ask {leader} about {}: {}", at.0, why.partition, why.cause)
            }
            WatchOrder::Abstain(told) => {
                format!("{} leave {}: {}", at.0, told.partitions.len(), told.cause)
            }
            WatchOrder::HandOff { to, why } => {
                format!("{} hand {} to {to}: {}", at.0, why.partition, why.cause)
            }
            WatchOrder::Sickness(Some(sickness)) => format!("{} sick: {sickness}", at.0),
            WatchOrder::Sickness(None) => format!("{} well", at.0),
            WatchOrder::OwnSilence(Some(silence)) => format!("{} {silence}", at.0),
            WatchOrder::OwnSilence(None) => format!("{} hears itself", at.0),
            WatchOrder::CutOff(true) => format!("{} cut off", at.0),
            WatchOrder::CutOff(false) => format!("{} among peers", at.0),
        };
        core::mem::take(&mut self.orders).into_iter().map(spell).collect()
    }

    /// Expects exactly these orders since the last call, by how they begin.
    #[track_caller]
    pub(super) fn check(&mut self, want: &[&str]) {
        let told = self.told();
        let fits = told.iter().zip(want).all(|(told, want)| told.starts_with(want));
        assert!(fits && told.len() == want.len(), "{told:#?}, not {want:#?}");
    }

    /// How many partitions were looked at while `ms` passed.
    pub(super) fn decisions_in(&mut self, ms: u64) -> u64 {
        let before = self.watch.decisions_taken();
        self.pass(ms);
        self.watch.decisions_taken() - before
    }
}
