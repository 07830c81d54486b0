//! Who claims, and when, as `cortado-cluster` decides it from heartbeats and records.
//!
//! In half of the worlds; [`detecting`](super::detecting) decides in the others.
//! Start reading at [`World::look_around`]. Source: docs/protocols/failover.md.

use super::shared_log::partition_id;
use super::{Address, Due, Phase, World};
use crate::database::asker::Asker;
use crate::database::coverage::Sight;
use crate::database::watch::{Watch, Watched};
use crate::kernel::time::MILLI;
use cortado_cluster::{Decision, Detector, Evidence, Leadership, PartitionFacts, decide, plan};
use cortado_driver::{Event, News, ReplicaRole};
use cortado_model::{Millis, NodeId, ReplicaIncarnation};
use cortado_replica::{AppendToken, Identity, heartbeat_record};
use std::collections::BTreeMap;

/// A claim that has led to nothing is made again after this.
const CLAIM_AGAIN_MS: u64 = 150;
/// The token of heartbeats, which no replica has sent.
const HEARTBEAT: AppendToken = AppendToken(u64::MAX - 1);

impl World {
    /// What a process that has just started knows.
    pub(super) fn new_watch(&self, node: usize) -> Watch {
        let nodes: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        let partitions = self.plan.partitions;
        let now = self.nodes[node].clock.read(self.kernel.now).clock;
        let watched = || Watched { since: now, ..Watched::default() };
        Watch {
            detector: Detector::new(nodes[node], self.plan.detection),
            placements: plan(&nodes, partitions as u32, nodes.len() as u32, &BTreeMap::new()),
            partitions: (0..partitions).map(|_| watched()).collect(),
            heartbeat_at: self.kernel.now,
            heartbeat_sent_at: now,
            looked_at: now,
            last_hand_back_at: None,
        }
    }

    /// A node sends its heartbeat if it is due, and looks at every partition.
    pub(super) fn look_around(&mut self, node: usize, expected_us: u64) {
        let now = self.nodes[node].clock.read(self.kernel.now);
        self.beat(node);
        let Some(process) = &mut self.nodes[node].process else { return };
        let late_ms = now.clock.since(process.watch.looked_at).saturating_sub(expected_us / MILLI);
        process.watch.looked_at = now.clock;
        process.watch.detector.observe(now.clock, Evidence::Lateness { late_ms });
        for partition in 0..self.plan.partitions {
            match self.decide(node, partition, now.clock) {
                Some(Decision::Claim { .. }) => self.claim_as_decided(node, partition, now.clock),
                Some(Decision::HandOff { to, .. }) => {
                    self.hand_off_as_decided(node, partition, to, now.clock);
                }
                Some(Decision::Stay(_) | Decision::ClaimAt { .. }) | None => {}
            }
        }
    }

    /// What a replica tells becomes evidence.
    pub(super) fn take_evidence(&mut self, from: Address, news: &News) {
        let now = self.nodes[from.node].clock.read(self.kernel.now).clock;
        let me = self.nodes[from.node].id;
        let Some(process) = &mut self.nodes[from.node].process else { return };
        let watch = &mut process.watch;
        let watched = &mut watch.partitions[from.partition];
        match news {
            News::Heard { node, incarnation } => {
                let (node, incarnation) = (*node, incarnation.node);
                watched.heard = Some((node, incarnation));
                watch.detector.observe(now, Evidence::PartitionRecord { node, incarnation });
            }
            News::Void { why: cortado_replica::Why::Heartbeat, .. } => {
                if let Some((node, incarnation)) = watched.heard {
                    watch.detector.observe(now, Evidence::Heartbeat { node, incarnation });
                }
            }
            News::NewGeneration { leader, .. } => {
                (watched.since, watched.claimed_at) = (now, None);
                if *leader == me {
                    watched.own_claims.push(now);
                }
            }
            News::SteppedDown { .. } => watched.since = now,
            _ => {}
        }
    }

    /// The log's answer to a heartbeat; answers whether it was one.
    pub(super) fn heartbeat_answered(&mut self, to: Address, token: AppendToken, ok: bool) -> bool {
        if token != HEARTBEAT {
            return false;
        }
        let now = self.nodes[to.node].clock.read(self.kernel.now).clock;
        if let Some(process) = &mut self.nodes[to.node].process {
            let took_ms = now.since(process.watch.heartbeat_sent_at);
            let evidence = match ok {
                true => Evidence::OwnAppend { took_ms },
                false => Evidence::OwnAppendFailed,
            };
            process.watch.detector.observe(now, evidence);
        }
        true
    }

    /// The first partition's log serves as the cluster's: heartbeats change nothing anywhere.
    fn beat(&mut self, node: usize) {
        let now = self.kernel.now;
        let clock = self.nodes[node].clock.read(now);
        let id = self.nodes[node].id;
        let heartbeat_us = self.plan.detection.heartbeat_ms * MILLI;
        let partition = self.genesis(0).identity.partition;
        let Some(process) = &mut self.nodes[node].process else { return };
        // With heartbeats under way nothing would ever come to rest.
        if process.watch.heartbeat_at > now || matches!(self.phase, Phase::Quiet { .. }) {
            return;
        }
        process.watch.heartbeat_at = now.plus(heartbeat_us);
        process.watch.heartbeat_sent_at = clock.clock;
        let of_node = ReplicaIncarnation::of_node(process.incarnation);
        let me = Identity { node: id, incarnation: of_node };
        let process = process.number;
        let record = heartbeat_record(partition, &me, clock);
        self.send_append(Address { node, partition: 0, process }, HEARTBEAT, vec![record]);
    }

    fn decide(&self, node: usize, partition: usize, now: Millis) -> Option<Decision> {
        let process = self.nodes[node].process.as_ref()?;
        let watch = &process.watch;
        let watched = &watch.partitions[partition];
        let driver = &process.hosted[partition].driver;
        let fold = driver.fold()?;
        let known_end = process.hosted[partition].known_end;
        let me = self.nodes[node].id;
        let lags = self.nodes.iter().filter(|other| other.id != me).filter_map(|other| {
            let fold = other.hosted(partition)?.driver.fold()?;
            Some((other.id, self.log.end(partition).0 - fold.position.offset.0))
        });
        let hands_over = |role: ReplicaRole| role == ReplicaRole::SteppingDown;
        let facts = PartitionFacts {
            partition: partition_id(partition),
            me,
            incarnation: driver.incarnation(),
            placement: &watch.placements[partition],
            leadership: leadership(fold, watched.since),
            restoring: !fold.begun,
            digest_failed: false,
            lag_records: known_end.0.saturating_sub(fold.position.offset.0),
            own_claims: &watched.own_claims,
            follower_lags: &lags.collect(),
            hand_off_running: process.hosted.iter().any(|h| hands_over(h.driver.role())),
            last_hand_back_at: watch.last_hand_back_at,
        };
        Some(decide(now, &facts, &watch.detector))
    }

    fn claim_as_decided(&mut self, node: usize, partition: usize, now: Millis) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let watched = &mut process.watch.partitions[partition];
        if watched.claimed_at.is_some_and(|at| now.since(at) < CLAIM_AGAIN_MS) {
            return;
        }
        watched.claimed_at = Some(now);
        self.coverage.sight(Sight::DecidedToClaim);
        self.claim(node, partition);
    }

    fn hand_off_as_decided(&mut self, node: usize, partition: usize, to: NodeId, now: Millis) {
        let Some(process) = &mut self.nodes[node].process else { return };
        process.watch.last_hand_back_at = Some(now);
        process.hosted[partition].operators += 1;
        self.coverage.sight(Sight::DecidedToHandOff);
        if let Some(here) = self.address(node, partition) {
            self.tell(here, Event::HandOff { caller: Asker::Operator, to: Some(to) });
        }
    }

    /// A node looks after its leaders again after this.
    pub(super) fn plan_next_look(&mut self, node: usize) -> u64 {
        let again_us = self.kernel.random.between(10, 30) * MILLI;
        self.put(again_us, Due::Detect { node });
        again_us
    }
}

/// What the fold says.
fn leadership(fold: &cortado_replica::FoldState, since: Millis) -> Leadership {
    let Some(claimant) = &fold.claimant else { return Leadership::Never { since } };
    let (node, incarnation) = (claimant.node, claimant.incarnation);
    match fold.stepped_down {
        Some(step_down) => Leadership::SteppedDown { by: node, to: step_down.to, at: since },
        None => Leadership::Claimed { node, incarnation, at: since },
    }
}
