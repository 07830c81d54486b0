//! Who claims, and when, as `cortado-cluster`'s watch orders it from heartbeats and records.
//!
//! In half of the worlds; [`detecting`](super::detecting) decides in the others.
//! Start reading at [`World::look_around`]. Source: docs/protocols/failover.md.

use super::shared_log::partition_id;
use super::{Address, Due, Phase, World};
use crate::database::asker::Asker;
use crate::database::coverage::Sight;
use crate::database::hosted::Hosted;
use crate::database::observer::{Heard, Observer, Views};
use crate::kernel::time::MILLI;
use cortado_cluster::{
    Duty, Evidence, Leadership, PartitionView, Watch, WatchEvent, WatchOrder, plan,
};
use cortado_driver::{Event, News, ReplicaRole};
use cortado_model::{Millis, NodeId, ReplicaIncarnation};
use cortado_replica::{AppendToken, FoldState, Identity, heartbeat_record};
use std::collections::BTreeMap;

/// The tokens of heartbeats, which no replica has sent, begin behind this one.
const HEARTBEATS: AppendToken = AppendToken(1 << 63);

impl World {
    /// What a process that has just started knows.
    pub(super) fn new_observer(&self, node: usize) -> Observer {
        let nodes: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        let partitions = self.plan.partitions;
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let mut watch = Watch::new(nodes[node], self.plan.detection, now);
        let placements = plan(&nodes, partitions as u32, nodes.len() as u32, &BTreeMap::new());
        for (number, placement) in placements.into_iter().enumerate() {
            let partition = partition_id(number);
            watch.on(now, WatchEvent::Placed { partition, placement });
        }
        Observer::new(watch, partitions, now)
    }

    /// A node tells its watch what is new, and does what that orders.
    pub(super) fn look_around(&mut self, node: usize) {
        // With heartbeats under way nothing would ever come to rest; without, every log is silent.
        if matches!(self.phase, Phase::Quiet { .. }) {
            return;
        }
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let mut views = self.views(node);
        let Some(process) = &mut self.nodes[node].process else { return };
        let observer = &mut process.observer;
        let hands_over = |p: usize| process.hosted[p].driver.role() == ReplicaRole::SteppingDown;
        if observer.handing_over.take_if(|partition| !hands_over(*partition)).is_some() {
            observer.watch.on(now, WatchEvent::HandOffEnded);
        }
        observer.tell_changes(now, &views);
        let mut orders = Vec::new();
        observer.watch.look(now, &mut views, &mut orders);
        for order in orders {
            match order {
                WatchOrder::Beat => self.beat(node),
                WatchOrder::Claim { why, .. } => {
                    self.coverage.sight(Sight::DecidedToClaim);
                    self.claim(node, why.partition.number as usize);
                }
                WatchOrder::HandOff { to, why } => {
                    self.hand_off_as_ordered(node, why.partition.number as usize, to);
                }
                // It hands over, or claims nothing; nobody else is to be told.
                WatchOrder::Sickness(_) => {}
            }
        }
    }

    /// What a replica tells becomes evidence.
    pub(super) fn take_evidence(&mut self, from: Address, news: &News) {
        let now = self.nodes[from.node].clock.read(self.kernel.now).clock;
        let Some(process) = &mut self.nodes[from.node].process else { return };
        let Observer { watch, leaderships, .. } = &mut process.observer;
        let Heard { since, writer } = &mut leaderships[from.partition];
        match news {
            News::Heard { node, incarnation } => {
                let (node, incarnation) = (*node, incarnation.node);
                *writer = Some((node, incarnation));
                let evidence = Evidence::PartitionRecord { node, incarnation };
                watch.on(now, WatchEvent::Observed(evidence));
            }
            News::Void { why: cortado_replica::Why::Heartbeat, .. } => {
                if let Some((node, incarnation)) = *writer {
                    let evidence = Evidence::Heartbeat { node, incarnation };
                    watch.on(now, WatchEvent::Observed(evidence));
                }
            }
            News::NewGeneration { .. } | News::SteppedDown { .. } => *since = now,
            _ => {}
        }
    }

    /// The log's answer to a heartbeat; answers whether it was one.
    pub(super) fn heartbeat_answered(&mut self, to: Address, token: AppendToken, ok: bool) -> bool {
        if token <= HEARTBEATS || token == AppendToken(u64::MAX) {
            return false;
        }
        let now = self.nodes[to.node].clock.read(self.kernel.now).clock;
        if let Some(process) = &mut self.nodes[to.node].process
            && process.number == to.process
            && process.observer.beats == token.0 - HEARTBEATS.0
        {
            process.observer.watch.on(now, WatchEvent::HeartbeatAnswered { appended: ok });
        }
        true
    }

    /// The first partition's log serves as the cluster's: heartbeats change nothing anywhere.
    fn beat(&mut self, node: usize) {
        let clock = self.nodes[node].clock.read(self.kernel.now);
        let id = self.nodes[node].id;
        let partition = self.genesis(0).identity.partition;
        let Some(process) = &mut self.nodes[node].process else { return };
        process.observer.beats += 1;
        let token = AppendToken(HEARTBEATS.0 + process.observer.beats);
        let of_node = ReplicaIncarnation::of_node(process.incarnation);
        let me = Identity { node: id, incarnation: of_node };
        let process = process.number;
        let record = heartbeat_record(partition, &me, clock);
        self.send_append(Address { node, partition: 0, process }, token, vec![record]);
    }

    fn hand_off_as_ordered(&mut self, node: usize, partition: usize, to: NodeId) {
        let Some(process) = &mut self.nodes[node].process else { return };
        process.observer.handing_over = Some(partition);
        process.hosted[partition].operators += 1;
        self.coverage.sight(Sight::DecidedToHandOff);
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
        for (number, (hosted, heard)) in each.enumerate() {
            let partition = partition_id(number);
            views.shown.extend(view(hosted, heard.since).map(|view| (partition, view)));
            views.follower_lags.insert(partition, self.follower_lags(node, number));
        }
        views
    }

    fn follower_lags(&self, leader: usize, partition: usize) -> BTreeMap<NodeId, u64> {
        let others = self.nodes.iter().filter(|other| other.id != self.nodes[leader].id);
        let lags = others.filter_map(|other| {
            let fold = other.hosted(partition)?.driver.fold()?;
            Some((other.id, self.log.end(partition).0 - fold.position.offset.0))
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
            | ReplicaRole::Diverged => Duty::Neither,
        },
        restoring: !role.is_readable(),
        digest_failed: false,
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
