//! Followers fetch, leaders answer, and the high watermark follows.
//!
//! Source: the replication section of Kafka's design; KIP-320 and KIP-595 (a fetch names the last
//! leader it knows, the answer says where the logs part). Start reading at
//! [`KafkaCluster::on_fetch`].

use super::message::{BrokerCall, BrokerTimer, FetchAnswer, FollowerFetch};
use super::{ClusterEffect, KafkaCluster, ProduceAnswer};
use crate::broker::Role;
use crate::code::ErrorCode;
use crate::defect::BrokerDefect;
use crate::leading::WaitingFetch;
use crate::links::Party;
use crate::names::{BrokerId, TopicPartition};

/// What a fetch answers at most.
const FETCH_BYTES_MAX: usize = 1 << 20;

impl KafkaCluster {
    /// A follower asks its leader for more.
    pub(super) fn fetch_more(&mut self, broker: BrokerId, partition: TopicPartition) {
        let number = self.next_number();
        let never_truncates = self.defect == Some(BrokerDefect::NeverTruncates);
        let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) else { return };
        let Role::Follower(following) = &mut replica.role else { return };
        following.number = number;
        let fetch = FollowerFetch {
            from: broker,
            partition,
            number,
            offset: replica.log.end(),
            last: replica.log.newest_leader().filter(|_| !never_truncates),
            epoch: following.epoch,
            high: replica.log.high(),
        };
        let (leader, stalls) = (following.leader, replica.stalls);
        if !stalls {
            self.send(Party::Broker(broker), leader, BrokerCall::Fetch(fetch));
        }
        let patience_us = if stalls { self.settings.backoff_us } else { self.settings.socket_us };
        self.set_timer(broker, patience_us, BrokerTimer::Refetch { partition, number });
    }

    /// A follower asks again if it was not answered.
    pub(super) fn refetch(&mut self, broker: BrokerId, partition: TopicPartition, number: u64) {
        let Some(replica) = self.broker(broker).replicas.get(&partition) else { return };
        if matches!(&replica.role, Role::Follower(following) if following.number == number) {
            self.fetch_more(broker, partition);
        }
    }

    /// A leader is asked.
    pub(super) fn on_fetch(&mut self, broker: BrokerId, fetch: FollowerFetch) {
        let FollowerFetch { from, partition, number, offset, .. } = fetch;
        if let Err(answer) = self.judge_fetch(broker, &fetch) {
            let call = BrokerCall::Fetched { partition, number, answer };
            return self.send(Party::Broker(broker), from, call);
        }
        let now = self.now;
        let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) else { return };
        let Role::Leader(leading) = &mut replica.role else { return };
        let (end, high) = (replica.log.end(), replica.log.high());
        leading.note_fetch(from, offset, end, now);
        if let Some(state) = leading.followers.get_mut(&from) {
            state.waits = Some(WaitingFetch { number, offset, high: fetch.high });
        }
        let grown = leading.grown_by(from, high);
        self.advance(broker, partition);
        if let Some(in_sync) = grown {
            self.ask_in_sync(broker, partition, in_sync);
        }
        self.answer_fetches(broker, partition);
    }

    fn judge_fetch(&self, broker: BrokerId, fetch: &FollowerFetch) -> Result<(), FetchAnswer> {
        let replica = self.broker(broker).replicas.get(&fetch.partition);
        let Some(replica) = replica else { return Err(FetchAnswer::Failed) };
        let Role::Leader(leading) = &replica.role else { return Err(FetchAnswer::Failed) };
        if fetch.epoch != leading.epoch {
            return Err(FetchAnswer::Failed);
        }
        if let Some((epoch, end)) = replica.log.fork(fetch.last, fetch.offset) {
            return Err(FetchAnswer::Diverged { epoch, end });
        }
        if fetch.offset < replica.log.first() || fetch.offset > replica.log.end() {
            return Err(FetchAnswer::Behind { first: replica.log.first() });
        }
        Ok(())
    }

    /// A leader answers the fetches for which it has something new.
    pub(super) fn answer_fetches(&mut self, broker: BrokerId, partition: TopicPartition) {
        let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) else { return };
        let Role::Leader(leading) = &mut replica.role else { return };
        let (log, mut answers) = (&replica.log, Vec::new());
        for (follower, state) in &mut leading.followers {
            let news = |fetch: &mut WaitingFetch| {
                fetch.offset < log.end() || fetch.high < log.high().min(fetch.offset)
            };
            let Some(fetch) = state.waits.take_if(news) else { continue };
            let batches = log.read(fetch.offset, log.end(), FETCH_BYTES_MAX);
            let answer = FetchAnswer::Batches { batches, high: log.high(), first: log.first() };
            answers.push((*follower, fetch.number, answer));
        }
        for (follower, number, answer) in answers {
            let call = BrokerCall::Fetched { partition, number, answer };
            self.send(Party::Broker(broker), follower, call);
        }
    }

    /// A follower is answered.
    pub(super) fn on_fetched(
        &mut self,
        broker: BrokerId,
        partition: TopicPartition,
        number: u64,
        answer: FetchAnswer,
    ) {
        let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) else { return };
        let is_awaited =
            matches!(&replica.role, Role::Follower(following) if following.number == number);
        if !is_awaited {
            return;
        }
        let before = replica.log.end();
        match answer {
            FetchAnswer::Batches { batches, high, first } => {
                for batch in batches {
                    // Leaders forget in the middle of a batch, and give it whole.
                    if replica.log.begins_within(&batch) {
                        replica.log.restart(batch.base);
                    }
                    if batch.base == replica.log.end() {
                        replica.log.accept(batch);
                    }
                }
                replica.log.raise(high);
                replica.log.forget(first);
            }
            FetchAnswer::Diverged { epoch, end } => replica.log.cut_at_fork(epoch, end),
            FetchAnswer::Behind { first } => replica.log.restart(first),
            FetchAnswer::Failed => {
                let backoff_us = self.settings.backoff_us;
                let timer = BrokerTimer::Refetch { partition, number };
                return self.set_timer(broker, backoff_us, timer);
            }
        }
        let records = before.saturating_sub(replica.log.end());
        if records > 0 {
            self.effects.push(ClusterEffect::Truncated { partition, broker, records });
        }
        self.fetch_more(broker, partition);
    }

    /// Raises a leader's high watermark as far as its followers allow, and answers who waits.
    pub(super) fn advance(&mut self, broker: BrokerId, partition: TopicPartition) {
        let topic = self.broker(broker).image.settings(partition.topic);
        let min_in_sync = topic.map_or(1, |settings| settings.min_in_sync);
        let strict = self.settings.strict_high.then_some(min_in_sync);
        let early = self.defect == Some(BrokerDefect::RaisesHighEarly);
        let Some(replica) = self.broker_mut(broker).replicas.get_mut(&partition) else { return };
        let Role::Leader(leading) = &mut replica.role else { return };
        let end = replica.log.end();
        let allowed = if early { Some(end) } else { leading.high(broker, end, strict) };
        if !allowed.is_some_and(|high| replica.log.raise(high)) {
            return;
        }
        let high = replica.log.high();
        let enough = leading.in_sync.len() as u32 >= min_in_sync;
        let reached = leading.waiting.extract_if(.., |one| one.needs <= high);
        let reached: Vec<_> = reached.map(|one| (one.token, one.base, one.epoch)).collect();
        self.commit(broker, partition);
        for (token, base, epoch) in reached {
            let answer = match enough {
                true => ProduceAnswer::At { base, epoch },
                false => ProduceAnswer::Failed(ErrorCode::NotEnoughReplicasAfterAppend),
            };
            self.answer(broker, token, answer);
        }
        self.answer_fetches(broker, partition);
    }
}
