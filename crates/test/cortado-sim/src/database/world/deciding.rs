//! Who claims, and when, as `cortado-cluster`'s watch orders it from beats and records.
//!
//! In half of the worlds; [`detecting`](super::detecting) decides in the others.
//! Start reading at [`World::look_around`]. Source: docs/protocols/failover.md.

use super::shared_log::partition_id;
use super::{Address, Due, Phase, World};
use crate::database::asker::Asker;
use crate::database::coverage::{CoveragePoint, variant};
use crate::database::hosted::Hosted;
use crate::database::invariants::hearing;
use crate::database::mutant::Mutant;
use crate::database::observer::{Observer, Views};
use crate::kernel::time::MILLI;
use cortado_cluster::{
    Cause, Duty, Evidence, Explanation, Leadership, OwnSilence, PartitionView, Watch, WatchEvent,
    WatchOrder,
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
        for number in 0..partitions {
            let placement = self.catalog_of(node).held(number);
            if !placement.contains(me) {
                continue;
            }
            let partition = partition_id(number);
            let placement = self.succession(node, number, placement);
            watch.on(now, WatchEvent::Placed { partition, placement });
        }
        Observer::new(watch, partitions, (self.beats.memory.end(), streams), now)
    }

    /// A node tells its watch what is new, and does what that orders.
    pub(super) fn look_around(&mut self, node: usize) {
        // With beats under way nothing would ever come to rest; without, every node is silent.
        if matches!(self.phase, Phase::Quiet { .. }) {
            return;
        }
        let mut views = self.views(node);
        if !self.tell_what_is_new(node, &views) {
            return;
        }
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let Some(process) = &mut self.nodes[node].process else { return };
        let mut orders = Vec::new();
        process.observer.watch.look(now, &mut views, &mut orders);
        self.execute_orders(node, now, orders);
    }

    /// Tells a node's watch what has happened; answers whether it is time for a look: something is
    /// due, or has changed.
    fn tell_what_is_new(&mut self, node: usize, views: &Views) -> bool {
        let clock = self.nodes[node].clock.read(self.kernel.now);
        let (now, full) = (clock.clock, self.is_full(node));
        let Some(process) = &mut self.nodes[node].process else { return false };
        let observer = &mut process.observer;
        let mut events: Vec<WatchEvent> = Vec::new();
        let changed = observer.take_changes(views).into_iter();
        events.extend(changed.map(|partition| WatchEvent::Changed { partition }));
        let hands_over = |p: usize| {
            let hosted = process.hosted[p].as_ref();
            hosted.is_some_and(|hosted| hosted.driver.role() == ReplicaRole::SteppingDown)
        };
        if observer.handing_over.take_if(|partition| !hands_over(*partition)).is_some() {
            events.push(WatchEvent::HandOffEnded);
        }
        let ticks = now >= observer.watch.wake_at();
        if !ticks && events.is_empty() && !observer.has_news {
            return false;
        }
        observer.has_news = false;
        // What hangs counts as slow once a tick.
        if ticks {
            let is_off = process.log_clock.is_off(now, clock.wall);
            events.push(WatchEvent::Observed(Evidence::OwnClock { is_off }));
            events.extend(observer.felt(now).map(WatchEvent::Observed));
        }
        events.push(WatchEvent::StoreFull(full));
        events.into_iter().for_each(|event| self.tell_watch(node, event));
        true
    }

    /// A node's watch is told of something.
    pub(super) fn tell_watch(&mut self, node: usize, event: WatchEvent) {
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let Some(process) = &mut self.nodes[node].process else { return };
        self.coverage.meet(variant::watch_event(&event));
        process.observer.has_news |= match event {
            WatchEvent::Placed { .. }
            | WatchEvent::Withdrawn { .. }
            | WatchEvent::Observed(Evidence::Beat { .. }) => true,
            WatchEvent::Changed { .. }
            | WatchEvent::StoreFull(_)
            | WatchEvent::Observed(_)
            | WatchEvent::ClaimNotTaken { .. }
            | WatchEvent::HandOffEnded => false,
        };
        process.observer.watch.on(now, event);
    }

    fn execute_orders(&mut self, node: usize, now: Millis, orders: Vec<WatchOrder>) {
        for order in orders {
            self.coverage.meet(variant::watch_order(&order));
            match order {
                WatchOrder::Beat { count } => self.beat(node, count),
                WatchOrder::Claim { why, .. } => self.claim_as_ordered(node, now, &why),
                WatchOrder::HandOff { to, why } => {
                    self.coverage.meet(variant::cause(&why.cause));
                    self.hand_off_as_ordered(node, why.partition.number as usize, to);
                }
                WatchOrder::AskToStepDown { leader, why } => {
                    self.ask_to_step_down(node, leader, why.partition.number as usize);
                }
                WatchOrder::Abstain(told) => {
                    self.coverage.meet(variant::abstention(&told.cause));
                    self.coverage.reach(CoveragePoint::ToldWhyNot);
                }
                // It hands over, or claims nothing, and others give it nothing.
                WatchOrder::Sickness(sickness) => self.feel(node, sickness.is_some()),
                WatchOrder::OwnSilence(silence) => self.hear_itself(node, silence),
                // It is told, and the watch goes by it.
                WatchOrder::CutOff(_) => {}
            }
        }
    }

    /// A node asks a leader that it takes for unsound, if there is a way to it.
    fn ask_to_step_down(&mut self, node: usize, leader: NodeId, partition: usize) {
        self.coverage.reach(CoveragePoint::AskedToStepDown);
        let (by, leader) = (self.nodes[node].id, leader.0 as usize - 1);
        let Some(to) = self.address(leader, partition) else { return };
        if let Some(delay_us) = self.way_between(node, leader) {
            self.put(delay_us, Due::AskedToStepDown { to, by });
        }
    }

    /// A leader does as it is asked, if who asks could lead.
    pub(super) fn asked_to_step_down(&mut self, to: Address, by: NodeId) {
        let could = self.could_lead(to.node, to.partition, by);
        let Some(hosted) = self.hosted_at(to).filter(|hosted| could && hosted.leads()) else {
            return;
        };
        hosted.operators += 1;
        self.tell(to, Event::HandOff { caller: Asker::Operator, to: Some(by) });
    }

    fn feel(&mut self, node: usize, sick: bool) {
        let felt = if sick { CoveragePoint::FeltSick } else { CoveragePoint::FeltWell };
        self.coverage.reach(felt);
        if let Some(process) = &mut self.nodes[node].process {
            process.observer.sick = sick;
        }
    }

    fn hear_itself(&mut self, node: usize, silence: Option<OwnSilence>) {
        let heard = match silence {
            Some(_) => CoveragePoint::DeafToItself,
            None => CoveragePoint::HearsItself,
        };
        self.coverage.reach(heard);
        if let Some(process) = &mut self.nodes[node].process {
            process.observer.deaf = silence.is_some_and(|silence| silence.streams == silence.of);
            process.observer.partly_deaf = silence.is_some();
        }
    }

    /// What a replica tells becomes evidence.
    pub(super) fn take_evidence(&mut self, from: Address, news: &News) {
        let now = self.nodes[from.node].clock.read(self.kernel.now).clock;
        let Some(process) = &mut self.nodes[from.node].process else { return };
        let Observer { leaderships, signs, .. } = &mut process.observer;
        match news {
            News::Heard { node, incarnation } => {
                let (node, incarnation) = (*node, incarnation.node);
                signs.insert(node, now);
                let evidence = Evidence::PartitionRecord { node, incarnation };
                self.observe(from.node, evidence);
            }
            News::NewGeneration { .. } | News::SteppedDown { .. } => {
                leaderships[from.partition] = now;
            }
            _ => {}
        }
    }

    fn claim_as_ordered(&mut self, node: usize, now: Millis, why: &Explanation) {
        self.coverage.reach(CoveragePoint::DecidedToClaim);
        self.coverage.meet(variant::cause(&why.cause));
        if matches!(why.cause, Cause::LeaderDead { .. } | Cause::LeaderCutOff { .. })
            && let Some(process) = &self.nodes[node].process
        {
            self.coverage.reach(CoveragePoint::ClaimedForSilence);
            let heard_itself = &process.observer.heard_itself;
            let result = hearing::check(now, heard_itself, self.plan.detection.beat_ms);
            self.check(result);
        }
        if matches!(why.cause, Cause::LeaderGray { .. }) {
            self.coverage.reach(CoveragePoint::ClaimedGray);
        }
        self.check_layers(node, now, why);
        self.claim(node, why.partition.number as usize);
    }

    fn hand_off_as_ordered(&mut self, node: usize, partition: usize, to: NodeId) {
        let Some(process) = &mut self.nodes[node].process else { return };
        process.observer.handing_over = Some(partition);
        if let Some(hosted) = &mut process.hosted[partition] {
            hosted.operators += 1;
        }
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
            let Some(hosted) = hosted else { continue };
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
        let claimants = self.nodes[leader]
            .hosted(partition)
            .and_then(|hosted| hosted.driver.fold().map(|fold| fold.replicas.clone()));
        let others = others.filter(|other| {
            claimants.as_ref().is_some_and(|claimants| claimants.may_claim(other.id))
        });
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
        claimants: fold.replicas.nodes().to_vec(),
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
            | ReplicaRole::NeedsUpgrade
            | ReplicaRole::Full => Duty::Neither,
        },
        restoring: !role.is_readable(),
        lag_records: driver.log_end().0.saturating_sub(fold.position.offset.0),
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
