//! Producing: what a leader does with records that are sent to it.
//!
//! Source: `ReplicaManager.appendRecords` and `DelayedProduce` of Kafka, as documented by their
//! error codes; KIP-98. Start reading at [`KafkaCluster::on_produce`].

use super::message::BrokerTimer;
use super::{ClusterEffect, KafkaCluster, ProduceAnswer, ProduceRequest};
use crate::batch::BatchKind;
use crate::broker::Role;
use crate::code::ErrorCode;
use crate::defect::BrokerDefect;
use crate::leading::WaitingProduce;
use crate::names::{BrokerId, TopicPartition};
use crate::replica_log::ReplicaLog;
use crate::sequences::Verdict;

impl KafkaCluster {
    /// Appends, and answers when the followers have it, or at once with an error.
    pub(super) fn on_produce(&mut self, broker: BrokerId, token: u64, request: ProduceRequest) {
        let (all, timeout_us) = (request.all, request.timeout_us);
        let (partition, base, epoch, needs) = match self.append(broker, request) {
            Ok(appended) => appended,
            Err(code) => return self.answer(broker, token, ProduceAnswer::Failed(code)),
        };
        let due = self.now.plus(timeout_us);
        let alone = self.defect == Some(BrokerDefect::AcknowledgesAlone);
        let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) else { return };
        let high = replica.log.high();
        let Role::Leader(leading) = &mut replica.role else { return };
        if !all || alone || high >= needs {
            self.answer(broker, token, ProduceAnswer::At { base, epoch });
        } else {
            leading.waiting.push(WaitingProduce { token, base, epoch, needs, due });
            self.set_timer(broker, timeout_us, BrokerTimer::ProduceDue { partition, token });
        }
        self.advance(broker, partition);
        self.answer_fetches(broker, partition);
    }

    /// Answers where the records stand, by which leader, and what the high watermark must come to.
    fn append(
        &mut self,
        broker: BrokerId,
        request: ProduceRequest,
    ) -> Result<(TopicPartition, u64, u32, u64), ErrorCode> {
        let ProduceRequest { topic, number, writer, kind, records, all, .. } = request;
        let known = &self.brokers[broker.0 as usize];
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let partition = TopicPartition { topic: known.image.topic(&topic).ok_or(unknown)?, number };
        let settings = known.image.settings(partition.topic).ok_or(unknown)?;
        let (min_in_sync, bytes_max) = (settings.min_in_sync, settings.message_bytes_max);
        known.image.assigned(partition).ok_or(unknown)?;
        let forgets = self.defect == Some(BrokerDefect::ForgetsSequences);
        let known = &mut self.brokers[broker.0 as usize];
        let replica = known.replicas.get_mut(&partition).ok_or(ErrorCode::NotLeader)?;
        let Role::Leader(leading) = &replica.role else { return Err(ErrorCode::NotLeader) };
        if all && (leading.in_sync.len() as u32) < min_in_sync {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        if kind != BatchKind::Control {
            ReplicaLog::check_size(&records, bytes_max)?;
        }
        let (count, judged) = (records.len(), writer.filter(|_| !forgets));
        match replica.log.judge(judged, count) {
            Verdict::New => {}
            Verdict::Duplicate { base, epoch } => {
                self.effects.push(ClusterEffect::Deduplicated(partition));
                return Ok((partition, base, epoch, base + count as u64));
            }
            Verdict::Refused(code) => return Err(code),
        }
        let epoch = leading.epoch;
        if let Some(lands) = replica.fails.take() {
            if lands {
                replica.log.append(epoch, writer, kind, records);
            }
            return Err(ErrorCode::StorageError);
        }
        let base = replica.log.append(epoch, writer, kind, records);
        Ok((partition, base, epoch, replica.log.end()))
    }

    /// A producer has waited long enough.
    pub(super) fn give_up_waiting(
        &mut self,
        broker: BrokerId,
        partition: TopicPartition,
        token: u64,
    ) {
        let now = self.now;
        let Some(leading) = self.broker_mut(broker).leading(partition) else { return };
        let waited = leading.waiting.extract_if(.., |one| one.token == token && one.due <= now);
        if waited.count() > 0 {
            self.answer(broker, token, ProduceAnswer::Failed(ErrorCode::RequestTimedOut));
        }
    }
}
