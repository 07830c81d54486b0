//! Who claims, and when, as `cortado-cluster`'s watch orders it from beats and records.
//!
//! In half of the worlds; [`detecting`](super::detecting) decides in the others.
//! Start reading at [`World::look_around`]. Source: docs/protocols/failover.md.

use super::shared_log::partition_id;
use super::{Address, Due, Phase, World};
use crate::database::asker::Asker;
use crate::database::coverage::CoveragePoint;
use crate::database::hosted::Hosted;
use crate::database::invariants::hearing;
use crate::database::mutant::Mutant;
use crate::database::observer::{Observer, Views};
use crate::kernel::time::MILLI;
use cortado_cluster::{
    Cause, Duty, Evidence, Explanation, Leadership, PartitionView, Placement, Watch, WatchEvent,
    WatchOrder, plan,
};
use cortado_driver::{Event, News, ReplicaRole};
use cortado_model::{Millis, NodeId, NodeIncarnation};
use cortado_replica::FoldState;
use std::collections::BTreeMap;

impl World {
    /// What a process that has just started knows.
    pub(super) fn new_observer(&self, node: usize, incarnation: NodeIncarnation) -> Observer {
        let me = self.nodes[node].id;
        let partitions = self.plan.partitions;
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let streams = self.beats.memory.streams();
        let mut watch = Watch::new(me, incarnation, streams, self.plan.detection, now);
        for (number, placement) in self.placements().into_iter().enumerate() {
            let partition = partition_id(number);
            let placement = self.succession(node, number, placement);
            watch.on(now, WatchEvent::Placed { partition, placement });
        }
        Observer::new(watch, partitions, (self.beats.memory.end(), streams), now)
    }

    /// Where every partition is placed.
    pub(super) fn placements(&self) -> Vec<Placement> {
        let nodes: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        plan(&nodes, self.plan.partitions as u32, nodes.len() as u32, &BTreeMap::new())
    }

    /// A node tells its watch what is new, and does what that orders.
    pub(super) fn look_around(&mut self, node: usize) {
        // With beats under way nothing would ever come to rest; without, every node is silent.
        if matches!(self.phase, Phase::Quiet { .. }) {
            return;
        }
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let mut views = self.views(node);
        let full = self.is_full(node);
        let Some(process) = &mut self.nodes[node].process else { return };
        let observer = &mut process.observer;
        observer.watch.on(now, WatchEvent::StoreFull(full));
        let hands_over = |p: usize| process.hosted[p].driver.role() == ReplicaRole::SteppingDown;
        if observer.handing_over.take_if(|partition| !hands_over(*partition)).is_some() {
            observer.watch.on(now, WatchEvent::HandOffEnded);
        }
        observer.tell_changes(now, &views);
        for hosted in &process.hosted {
            if let Some(waited_ms) = hosted.waits_for_log_ms(now) {
                let waits = Evidence::OwnAppendWaits { waited_ms };
                observer.watch.on(now, WatchEvent::Observed(waits));
            }
        }
        let mut orders = Vec::new();
        observer.watch.look(now, &mut views, &mut orders);
        for order in orders {
            match order {
                WatchOrder::Beat { count } => self.beat(node, count),
                WatchOrder::Claim { why, .. } => self.claim_as_ordered(node, now, &why),
                WatchOrder::HandOff { to, why } => {
                    self.hand_off_as_ordered(node, why.partition.number as usize, to);
                }
                // It hands over, or claims nothing, and others give it nothing.
                WatchOrder::Sickness(sickness) => self.feel(node, sickness.is_some()),
                WatchOrder::OwnSilence(Some(_)) => self.coverage.reach(CoveragePoint::DeafToItself),
                WatchOrder::OwnSilence(None) => self.coverage.reach(CoveragePoint::HearsItself),
            }
        }
    }

    fn feel(&mut self, node: usize, sick: bool) {
        let felt = if sick { CoveragePoint::FeltSick } else { CoveragePoint::FeltWell };
        self.coverage.reach(felt);
        if let Some(process) = &mut self.nodes[node].process {
            process.observer.sick = sick;
        }
    }

    /// What a replica tells becomes evidence.
    pub(super) fn take_evidence(&mut self, from: Address, news: &News) {
        let now = self.nodes[from.node].clock.read(self.kernel.now).clock;
        let Some(process) = &mut self.nodes[from.node].process else { return };
        let Observer { watch, leaderships, .. } = &mut process.observer;
        match news {
            News::Heard { node, incarnation } => {
                let (node, incarnation) = (*node, incarnation.node);
                let evidence = Evidence::PartitionRecord { node, incarnation };
                watch.on(now, WatchEvent::Observed(evidence));
            }
            News::NewGeneration { .. } | News::SteppedDown { .. } => {
                leaderships[from.partition] = now;
            }
            _ => {}
        }
    }

    fn claim_as_ordered(&mut self, node: usize, now: Millis, why: &Explanation) {
        self.coverage.reach(CoveragePoint::DecidedToClaim);
        if matches!(why.cause, Cause::LeaderDead { .. })
            && let Some(process) = &self.nodes[node].process
        {
            self.coverage.reach(CoveragePoint::ClaimedForSilence);
            let heard_itself = &process.observer.heard_itself;
            let result = hearing::check(now, heard_itself, self.plan.detection.beat_ms);
            self.check(result);
        }
        self.claim(node, why.partition.number as usize);
    }

    fn hand_off_as_ordered(&mut self, node: usize, partition: usize, to: NodeId) {
        let Some(process) = &mut self.nodes[node].process else { return };
        process.observer.handing_over = Some(partition);
        process.hosted[partition].operators += 1;
        self.coverage.reach(CoveragePoint::DecidedToHandOff);
        if let Some(here) = self.address(node, partition) {
            self.tell(here, Event::HandOff { caller: Asker::Operator, to: Some(to) });
        }
    }

    /// A node looks after its leaders again after this.
    pub(super) fn plan_next_look(&mut self, node: usize) {
        let again_us = self.kernel.random.between(10, 30) * MILLI;
        self.put(again_us, Due::Detect { node });
    }

    /// What the replicas of a node show now.
    fn views(&self, node: usize) -> Views {
        let mut views = Views::default();
        let Some(process) = &self.nodes[node].process else { return views };
        let each = process.hosted.iter().zip(&process.observer.leaderships);
        for (number, (hosted, since)) in each.enumerate() {
            let partition = partition_id(number);
            let mut view = view(hosted, *since);
            if let Some(view) = &mut view {
                let leaves_unled = self.is(Mutant::LeavesFullUnled) && self.is_full(node);
                view.restoring |= leaves_unled || !self.may_claim(node, number);
            }
            views.shown.extend(view.map(|view| (partition, view)));
            views.follower_lags.insert(partition, self.follower_lags(node, number));
        }
        views
    }

    fn follower_lags(&self, leader: usize, partition: usize) -> BTreeMap<NodeId, u64> {
        let others = self.nodes.iter().filter(|other| other.id != self.nodes[leader].id);
        // Where no node has room, it makes no difference which one leads.
        let none_has_room = (0..self.nodes.len()).all(|number| self.is_full(number));
        let lags = others.filter_map(|other| {
            let number = other.id.0 as usize - 1;
            let sick = other.process.as_ref()?.observer.sick;
            let fit = !sick && (none_has_room || !self.is_full(number));
            let fold = other.hosted(partition)?.driver.fold().filter(|_| fit)?;
            Some((other.id, self.log.end(partition).0.saturating_sub(fold.position.offset.0)))
        });
        lags.collect()
    }
}

/// What a replica shows; nothing as long as its log has not begun.
fn view(hosted: &Hosted, since: Millis) -> Option<PartitionView> {
    let (driver, role) = (&hosted.driver, hosted.driver.role());
    let fold = driver.fold().filter(|fold| fold.begun)?;
    Some(PartitionView {
        incarnation: driver.incarnation(),
        generation: fold.generation(),
        leadership: leadership(fold, since),
        duty: match role {
            ReplicaRole::Follower => Duty::Follow,
            ReplicaRole::Leader => Duty::Lead,
            ReplicaRole::Offline
            | ReplicaRole::Restoring
            | ReplicaRole::Candidate
            | ReplicaRole::Opening
            | ReplicaRole::SteppingDown
            | ReplicaRole::Diverged
            | ReplicaRole::Disputed
            | ReplicaRole::Full => Duty::Neither,
        },
        restoring: !role.is_readable(),
        lag_records: hosted.known_end.0.saturating_sub(fold.position.offset.0),
    })
}

/// Who leads, as the fold says.
fn leadership(fold: &FoldState, at: Millis) -> Option<Leadership> {
    let claimant = fold.claimant.as_ref()?;
    let (node, incarnation) = (claimant.node, claimant.incarnation);
    Some(match fold.stepped_down {
        Some(step_down) => Leadership::SteppedDown { by: node, to: step_down.to, at },
        None => Leadership::Claimed { node, incarnation, at },
    })
}
