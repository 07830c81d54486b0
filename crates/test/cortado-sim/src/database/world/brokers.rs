//! What a world does with its brokers: lets time pass for them, asks them, and takes what follows.
//!
//! Start reading at [`World::on_brokers`].

use super::asking::unread;
use super::broker_log::is_reached;
use super::{Address, Due, World};
use crate::database::coverage::CoveragePoint;
use crate::database::mutant::Mutant;
use crate::kernel::time::{MILLI, Moment};
use cortado_driver::Event;
use cortado_kafka_model::cluster::{ClusterEffect, ClusterEvent};
use cortado_kafka_model::{Batch, BatchKind, Micros, TopicPartition};
use cortado_log::{Extent, LogPage, LogReadError};
use cortado_model::{LogOffset, LogPosition};

/// A client that was not answered, or told an old end, asks again.
const AGAIN_US: u64 = 30 * MILLI;

impl World {
    /// Lets something happen to the cluster, and takes what follows from it.
    pub(super) fn on_brokers(&mut self, event: ClusterEvent) {
        let now = Micros(self.kernel.now.0);
        let Some(brokers) = self.log.brokers.as_mut() else { return };
        let mut effects = Vec::new();
        brokers.cluster.on(now, event, &mut effects);
        for effect in effects {
            self.take_effect(effect);
        }
        self.plan_brokers();
    }

    /// Time passes for the cluster.
    pub(super) fn wake_brokers(&mut self) {
        if let Some(brokers) = self.log.brokers.as_mut() {
            brokers.planned = None;
        }
        self.on_brokers(ClusterEvent::Tick);
    }

    /// Everything that brokers suffer ends.
    pub(super) fn heal_brokers(&mut self) {
        if let Some(brokers) = self.log.brokers.as_mut() {
            brokers.cluster.heal();
            self.on_brokers(ClusterEvent::Tick);
        }
    }

    /// The client of a replica's node reads.
    pub(super) fn read_brokers(
        &mut self,
        to: Address,
        from: LogPosition,
        bytes_max: usize,
    ) -> Result<LogPage, LogReadError> {
        let now = self.kernel.now;
        let Some(brokers) = self.log.brokers.as_mut() else {
            return self.log.read_memory(to.partition, from, bytes_max);
        };
        let log = Some(brokers.log());
        let reach = |broker| is_reached(&self.network, to.node, broker, now);
        let view = &mut brokers.views[to.node][to.partition];
        let page = view.read(&brokers.cluster, &reach, log, from, bytes_max)?;
        let skipped = page.next.offset.0 - from.offset.0 - page.entries.len() as u64;
        if skipped > 0 {
            self.coverage.reach(CoveragePoint::PassedControlRecords);
        }
        Ok(page)
    }

    /// Where a partition begins and ends, as the client of a replica's node hears it.
    pub(super) fn ask_brokers(&mut self, to: Address) -> Option<Result<Extent, LogReadError>> {
        let brokers = self.log.brokers.as_mut()?;
        Some(brokers.extent((to.node, to.partition), &self.network, self.kernel.now))
    }

    /// A client notices how far its log has grown; answers `None` where there are no brokers, and
    /// else the end if it was told.
    pub(super) fn notice_brokers(&mut self, to: Address) -> Option<Option<LogOffset>> {
        let told = self.ask_brokers(to)?;
        let committed = self.log.end(to.partition);
        let end = told.ok().map(|extent| extent.end);
        let is_last = end.is_some_and(|end| end >= committed);
        if !is_last {
            self.put(AGAIN_US, Due::Notice { to });
        }
        if let Some(hosted) = self.hosted_at(to) {
            hosted.noticed = !is_last;
        }
        if end.is_some_and(|end| end < committed) {
            self.coverage.reach(CoveragePoint::ToldStaleEnd);
        }
        self.look_behind(to, end);
        Some(end)
    }

    /// A follower whose end lies before its position finds out why.
    fn look_behind(&mut self, to: Address, end: Option<LogOffset>) {
        let Some(hosted) = self.hosted_at(to) else { return };
        let Some(from) = hosted.driver.fold().map(|fold| fold.position) else { return };
        if end.is_none_or(|end| end >= from.offset) {
            return;
        }
        if let Err(failed) = self.read_brokers(to, from, 1)
            && !self.is(Mutant::HidesLogFailures)
        {
            self.tell(to, Event::LogFailed(unread(failed)));
        }
    }

    fn take_effect(&mut self, effect: ClusterEffect) {
        let Some(brokers) = self.log.brokers.as_ref() else { return };
        let topic = brokers.topic;
        let of_world = |partition: TopicPartition| {
            (partition.topic == topic).then_some(partition.number as usize)
        };
        match effect {
            ClusterEffect::Produced { token, answer } => self.produced(token, answer),
            ClusterEffect::Committed { partition, batches } => {
                // Those of a topic that took the name are for readers to tell apart.
                if let Some(partition) = of_world(partition) {
                    batches.iter().for_each(|batch| self.observe_batch(partition, batch));
                }
                self.notify(partition.number as usize);
            }
            ClusterEffect::Lost { partition, from } => {
                if let Some(partition) = of_world(partition) {
                    self.log_is_lost(partition, LogOffset(from));
                }
            }
            ClusterEffect::Led { partition, broker, epoch } => {
                self.kernel.note(&[95, u64::from(broker.0), u64::from(epoch)], || {
                    format!("log: {broker} leads {partition} as leader {epoch}")
                });
                if epoch > 0 {
                    self.coverage.reach(CoveragePoint::BrokerLed);
                }
            }
            ClusterEffect::LedUnclean(_) => self.coverage.reach(CoveragePoint::LedUnclean),
            ClusterEffect::Fenced(_) => self.coverage.reach(CoveragePoint::BrokerFenced),
            ClusterEffect::Truncated { .. } => {
                self.coverage.reach(CoveragePoint::BrokerTruncated);
            }
            ClusterEffect::InSync { replicas: 0 | 1, .. } => {
                self.coverage.reach(CoveragePoint::OneInSync);
            }
            ClusterEffect::InSync { .. } => {}
            ClusterEffect::Deduplicated(_) => {
                self.coverage.reach(CoveragePoint::BatchDeduplicated);
            }
        }
    }

    /// Records can be read from now on, and whoever holds one of them agrees with the others.
    fn observe_batch(&mut self, partition: usize, batch: &Batch) {
        match batch.kind {
            BatchKind::Control => {
                self.partitions[partition].truth.reaches(LogOffset(batch.end()));
                self.coverage.reach(CoveragePoint::ControlRecordCommitted);
            }
            BatchKind::Plain | BatchKind::Transactional => {
                for (offset, record) in (batch.base..).zip(&batch.slots) {
                    if let Some(record) = record {
                        self.observe_committed(partition, LogOffset(offset), record);
                    }
                }
            }
        }
    }

    fn plan_brokers(&mut self) {
        let now = self.kernel.now;
        let Some(brokers) = self.log.brokers.as_mut() else { return };
        let Some(Micros(at)) = brokers.cluster.wake_at() else { return };
        let at = Moment(at).max(now);
        if brokers.planned.is_none_or(|planned| at < planned) {
            brokers.planned = Some(at);
            self.kernel.schedule.put(at, Due::BrokersWake { at });
        }
    }

    /// Whether the cluster is to be woken at this moment, and not by a later plan.
    pub(super) fn is_planned(&self, at: Moment) -> bool {
        let brokers = self.log.brokers.as_ref();
        brokers.is_some_and(|brokers| brokers.planned == Some(at))
    }
}
