//! Appending to one partition through a client that it shares with others.
//!
//! Start reading at [`PartitionProducer::hand_over`].

use crate::known_logs::{KnownLog, KnownLogs};
use crate::outcome_queue::OutcomeQueue;
use crate::producer_client::{ProducerClient, Show, Ticket};
use crate::producer_pool::{LaneNumber, ProducerPool};
use bytes::Bytes;
use cortado_log::{AppendOutcome, Cause, Producer};
use cortado_model::PartitionId;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Appends to one partition.
pub(crate) struct PartitionProducer {
    known: Arc<KnownLogs>,
    pool: Arc<ProducerPool>,
    partition: PartitionId,
    lane: LaneNumber,
    queue: Arc<OutcomeQueue>,
    show: Show,
    /// Of what is not answered: whatever follows goes the same way, so that order is kept.
    client: Option<Arc<ProducerClient>>,
}

impl PartitionProducer {
    pub(crate) fn new(
        known: Arc<KnownLogs>,
        pool: Arc<ProducerPool>,
        partition: PartitionId,
        show: Show,
    ) -> PartitionProducer {
        let (lane, queue) = (pool.lane_of(partition), Arc::default());
        PartitionProducer { known, pool, partition, lane, queue, show, client: None }
    }

    /// The log, if it can be appended to.
    pub(crate) fn log(&self) -> Option<Arc<KnownLog>> {
        self.known.of(self.partition).filter(|log| log.ended().is_none())
    }

    /// Puts records in line behind one another; none after one that was not taken.
    fn hand_over(&mut self, records: &[Bytes], log: &Arc<KnownLog>) {
        let Some(client) = self.reserve(records.len()) else {
            return self.refuse(records.len(), &Cause::refused("the Kafka producer takes no more"));
        };
        let mut refused: Option<Cause> = None;
        for record in records {
            if let Some(cause) = &refused {
                client.settle(1);
                self.queue.push(Some(AppendOutcome::NotAppended(cause.clone())));
                continue;
            }
            let ticket = Ticket {
                queue: Arc::clone(&self.queue),
                number: self.queue.push(None),
                log: Arc::clone(log),
                partition: self.partition,
                show: Arc::clone(&self.show),
            };
            refused = client.send(record, ticket).err();
        }
    }

    /// The client of what is not answered, or else the one that is now in use; `None` if that takes
    /// nothing more. Another way would overtake what is not answered, so it is answered first.
    fn reserve(&mut self, records: usize) -> Option<Arc<ProducerClient>> {
        if self.queue.open() > 0 {
            return self.client.clone().filter(|client| client.reserve(records));
        }
        let client = self.pool.reserve(self.lane, records)?;
        let former = self.client.replace(Arc::clone(&client));
        if former.is_some_and(|former| !Arc::ptr_eq(&former, &client)) {
            self.pool.sweep(self.lane);
        }
        Some(client)
    }

    fn refuse(&self, records: usize, cause: &Cause) {
        for _ in 0..records {
            self.queue.push(Some(AppendOutcome::NotAppended(cause.clone())));
        }
    }
}

impl Producer for PartitionProducer {
    fn send(&mut self, records: Vec<Bytes>) {
        if records.is_empty() {
            return;
        }
        let Some(log) = self.log() else {
            return self.refuse(records.len(), &Cause::Missing);
        };
        let longest = records.iter().map(Bytes::len).max().unwrap_or_default();
        let max_bytes = log.record_bytes_max();
        if longest > max_bytes {
            return self.refuse(records.len(), &Cause::TooLarge { bytes: longest, max_bytes });
        }
        self.hand_over(&records, &log);
    }

    fn poll_outcomes(
        &mut self,
        context: &mut Context<'_>,
        outcomes: &mut Vec<AppendOutcome>,
    ) -> Poll<()> {
        self.queue.poll(context, outcomes)
    }

    fn outstanding(&self) -> usize {
        self.queue.outstanding()
    }

    fn abandon(self: Box<Self>) -> Vec<AppendOutcome> {
        let (outcomes, open) = self.queue.give_up();
        if let Some(client) = &self.client {
            self.pool.gave_up(self.lane, client, open);
        }
        outcomes
    }
}
