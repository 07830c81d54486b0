//! Logs that lose what they have acknowledged, on brokers: a replica that was not in sync comes
//! to lead, or the topic is deleted and created again. What is lost there may be in dispute or cut
//! off; it must not be lost in silence.
//!
//! Start reading at [`World::play_loss`]; what is checked is in [`World::inspect_lost`].

use super::broker_log::{BYTES_MAX, TOPIC};
use super::{Due, LostTail, Phase, World};
use crate::database::broker_story::LossScene;
use crate::database::coverage::{CoveragePoint, Fault};
use crate::database::history::Reply;
use crate::database::invariants::kept::{self, Kept};
use crate::database::node::Place;
use crate::database::scenario::Scenario;
use crate::kernel::time::{MILLI, Moment, SECOND};
use bytes::Bytes;
use cortado_kafka_model::cluster::ClusterEvent;
use cortado_kafka_model::{BrokerId, Party, TopicSettings};
use cortado_model::{LogOffset, Scn};

/// How long the blind node sees nothing.
const BLIND_US: u64 = 4 * SECOND;
/// By then, every replica that holds what its log has lost says so.
const TOLD_US_MAX: u64 = 8 * SECOND;
/// How long everything is watched: longer than any driver rests.
const WATCHED_US: u64 = 12 * SECOND;

impl World {
    /// Puts the first scene in line, where there is a story.
    pub(super) fn begin_to_lose(&mut self) {
        let first = match self.plan.scenario {
            Scenario::KafkaUnclean => LossScene::CutOff,
            Scenario::KafkaRecreated => LossScene::Recreate,
            _ => return,
        };
        let in_us = self.kernel.random.between(1_000, 3_000) * MILLI;
        self.put(in_us, Due::Losing(first));
    }

    /// The story goes on.
    pub(super) fn play_loss(&mut self, scene: LossScene) {
        if !self.has_faults() {
            return;
        }
        match scene {
            LossScene::CutOff => self.cut_off_a_follower(),
            LossScene::Kill => self.kill_all_in_sync(),
            LossScene::Unclean => {
                if let Some(brokers) = self.log.brokers.as_mut() {
                    brokers.cluster.alter_topic(TOPIC, |settings| settings.unclean = true);
                }
                self.on_brokers(ClusterEvent::Tick);
                self.put(2 * SECOND, Due::Losing(LossScene::Return));
            }
            LossScene::Return => self.heal_brokers(),
            LossScene::Recreate => self.create_topic_anew(),
        }
    }

    fn cut_off_a_follower(&mut self) {
        let Some(brokers) = self.log.brokers.as_ref() else { return };
        let leader = brokers.cluster.leader_of(brokers.partition(0)).unwrap_or(BrokerId(0));
        let laggard = BrokerId((leader.0 + 1 + self.kernel.random.below(2) as u32) % 3);
        self.log.laggard = Some(laggard);
        for other in (0..3).map(BrokerId).filter(|other| *other != laggard) {
            let (here, there) = (Party::Broker(laggard), Party::Broker(other));
            self.on_brokers(ClusterEvent::Cut(here, there));
            self.on_brokers(ClusterEvent::Cut(there, here));
        }
        if self.kernel.random.below(4) > 0 {
            // It has nothing of what will be lost, and may lead on without it.
            let node = self.kernel.random.index(self.nodes.len());
            let until = self.kernel.now.plus(BLIND_US);
            for broker in 0..3 {
                self.network.cut(Place::Broker(broker), Place::Node(node), until);
            }
        }
        let in_us = self.kernel.random.between(900, 1_600) * MILLI;
        self.put(in_us, Due::Losing(LossScene::Kill));
    }

    fn kill_all_in_sync(&mut self) {
        let (Some(laggard), Some(brokers)) = (self.log.laggard, self.log.brokers.as_ref()) else {
            return;
        };
        let assigned = brokers.cluster.truth().partitions_of(brokers.topic);
        let still = assigned.filter(|(_, one)| one.in_sync.contains(&laggard)).count();
        if still > 0 {
            return self.put(200 * MILLI, Due::Losing(LossScene::Kill));
        }
        for other in (0..3).map(BrokerId).filter(|other| *other != laggard) {
            self.on_brokers(ClusterEvent::Kill(other));
        }
        self.put(50 * MILLI, Due::Losing(LossScene::Unclean));
    }

    fn create_topic_anew(&mut self) {
        let partitions = self.plan.partitions;
        let Some(brokers) = self.log.brokers.as_mut() else { return };
        if !brokers.cluster.delete_topic(TOPIC) {
            return self.put(100 * MILLI, Due::Losing(LossScene::Recreate));
        }
        let settings = TopicSettings::of_a_log(3, BYTES_MAX);
        // With a broker down there is none for a while, which is as bad.
        let _ = brokers.cluster.create_topic(TOPIC, partitions as u32, settings);
        self.coverage.fault(Fault::TopicRecreated);
        self.on_brokers(ClusterEvent::Tick);
        for partition in 0..partitions {
            self.begin_loss(partition, LogOffset::ZERO);
        }
    }

    /// What was committed from `from` on is gone.
    pub(super) fn log_is_lost(&mut self, partition: usize, from: LogOffset) {
        if self.plan.scenario != Scenario::KafkaUnclean {
            let details = format!("p{partition} has lost what was committed from {from} on");
            let lost = crate::kernel::violation::Violation::new("no_lost_write", details);
            return self.check(Err(lost));
        }
        self.coverage.fault(Fault::UncleanLeader);
        if self.partitions[partition].lost.is_none() {
            self.begin_loss(partition, from);
        }
    }

    /// From now on: replicas that hold what is gone keep it, and say so; nothing else counts.
    fn begin_loss(&mut self, partition: usize, from: LogOffset) {
        self.kernel.listen_only_to(kept::NAME);
        self.expect_to_keep();
        let acknowledged = self.acknowledged_from(partition, from);
        self.partitions[partition].lost = Some(LostTail { from, acknowledged });
        for node in 0..self.nodes.len() {
            let store = &mut self.nodes[node].disk[partition];
            store.flush(0);
            if store.image().reached.offset > from {
                self.kept[node][partition] = Some(Kept::of(store.image()));
            }
        }
        self.kernel.note(&[94, partition as u64, from.0], || {
            format!("log: p{partition} has lost everything from {from} on")
        });
    }

    /// The transactions from `from` on that clients were told of.
    fn acknowledged_from(&self, partition: usize, from: LogOffset) -> Vec<Scn> {
        let places = &self.partitions[partition].places;
        let lost = places.iter().filter(|(_, offset)| *offset >= from).map(|(scn, _)| *scn);
        let told = self.history.iter().filter(|one| one.partition == partition);
        let told = told.flat_map(|one| &one.attempts).filter_map(|one| match &one.ended {
            Some((_, Reply::Committed { scn })) => Some(*scn),
            _ => None,
        });
        let told: std::collections::BTreeSet<Scn> = told.collect();
        lost.filter(|scn| told.contains(scn)).collect()
    }

    /// A record is committed on the brokers: read by the written rules, until some are lost.
    pub(super) fn observe_committed(&mut self, partition: usize, at: LogOffset, record: &Bytes) {
        let known = &mut self.partitions[partition];
        // What a deleted topic goes on to commit is as lost as the rest.
        if known.lost.as_ref().is_some_and(|lost| lost.from > LogOffset::ZERO) {
            return;
        }
        known.committed_end = at.plus(1);
        known.truth.reaches(at);
        let before = known.truth.transactions.len();
        self.observe_landing(partition, record);
        let known = &mut self.partitions[partition];
        if let Some(newest) = known.truth.transactions.get(before) {
            known.places.push((newest.scn, at));
        }
    }

    /// The faults stop; answers whether a log has lost something.
    pub(super) fn begin_to_keep_lost(&mut self) -> bool {
        if self.partitions.iter().all(|known| known.lost.is_none()) {
            return false;
        }
        self.phase = Phase::Keeping { since: self.kernel.now };
        self.stop_faults();
        true
    }

    /// Whoever holds what a log has lost keeps it, says so, and goes on with nothing else.
    pub(super) fn inspect_lost(&mut self, since: Moment) {
        let watched_us = self.kernel.now.since(since);
        for partition in 0..self.plan.partitions {
            let Some(LostTail { from, acknowledged }) = self.partitions[partition].lost.clone()
            else {
                continue;
            };
            let end = self.partitions[partition].committed_end;
            for node in 0..self.nodes.len() {
                let Some(held) = self.kept[node][partition] else { continue };
                let who = format!("n{}.p{partition}", node + 1);
                let image = self.nodes[node].disk[partition].image();
                let kept = held.check_no_less(&who, image);
                let within = kept::check_within(&who, image, end);
                self.check(kept.and(within));
                let told = watched_us > TOLD_US_MAX;
                if let Some(hosted) = self.nodes[node].hosted(partition).filter(|_| told) {
                    let role = hosted.driver.role();
                    self.check(kept::check_role(&who, role));
                    self.coverage.reach(CoveragePoint::Robbed);
                }
            }
            if watched_us > WATCHED_US {
                let holders = self.kept.iter().zip(&self.nodes);
                let holders = holders.filter(|(kept, _)| kept[partition].is_some());
                let newest = holders.map(|(_, node)| node.disk[partition].image().reached.last);
                let result = kept::check_held(from, &acknowledged, newest.max());
                self.check(result);
                if !acknowledged.is_empty() {
                    self.coverage.reach(CoveragePoint::AcknowledgedLost);
                }
            }
        }
        if watched_us > WATCHED_US {
            self.begin_to_resolve();
        }
    }
}
