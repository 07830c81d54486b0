//! The producer of one driver: records out, what became of them back.
//!
//! Start reading at [`Appending::answered`].

use super::already::already;
use crate::asker::Input;
use bytes::Bytes;
use cortado_driver::{Event, JobId, Outcome};
use cortado_log::{Log, Producer, outcomes_of};
use cortado_metrics::Histogram;
use cortado_model::PartitionId;
use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::warn;

/// Appends to one partition.
pub(super) struct Appending {
    log: Arc<dyn Log>,
    partition: PartitionId,
    producer: Option<(JobId, Box<dyn Producer>)>,
    /// For each append that is not answered, its records that are not, and when it was sent.
    sent: VecDeque<(usize, Instant)>,
    /// How long appends take.
    took: Histogram,
}

impl Appending {
    pub(super) fn new(log: Arc<dyn Log>, partition: PartitionId, took: Histogram) -> Self {
        Appending { log, partition, producer: None, sent: VecDeque::new(), took }
    }

    /// Duty 7: what was handed to the former producer is given up.
    pub(super) fn open(&mut self, job: JobId) {
        self.producer = Some((job, self.log.producer(self.partition)));
        self.sent.clear();
    }

    pub(super) fn append(&mut self, records: Vec<Bytes>) {
        if let Some((_, producer)) = &mut self.producer {
            self.sent.push_back((records.len(), Instant::now()));
            producer.send(records);
        }
    }

    /// Whether something is not answered.
    pub(super) fn is_awaited(&self) -> bool {
        !self.sent.is_empty()
    }

    /// What became of appended records. Pending while nothing is awaited.
    pub(super) async fn answered(&mut self) -> Input {
        let (Some((job, producer)), false) = (&mut self.producer, self.sent.is_empty()) else {
            return pending().await;
        };
        let mut outcomes = Vec::new();
        outcomes_of(producer.as_mut(), &mut outcomes).await;
        let (producer, told) = (*job, outcomes.iter().map(|outcome| told(self.partition, outcome)));
        let outcomes: Vec<_> = told.collect();
        self.count(&outcomes);
        Event::Outcomes { producer, outcomes }
    }

    /// The same, if it is there: a group commit answers many at once.
    pub(super) async fn answered_already(&mut self) -> Option<Input> {
        already(self.answered()).await
    }

    fn count(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let Some((records, since)) = self.sent.front_mut() else { return };
            *records -= 1;
            if *records == 0 {
                if matches!(outcome, Outcome::At(_)) {
                    self.took.observe(since.elapsed());
                }
                self.sent.pop_front();
            }
        }
    }
}

/// The driver's word for what became of a record; people are told why.
fn told(partition: PartitionId, outcome: &cortado_log::Outcome) -> Outcome {
    let (told, cause) = match outcome {
        cortado_log::Outcome::At(position) => return Outcome::At(position.offset),
        cortado_log::Outcome::Somewhere => return Outcome::Somewhere,
        cortado_log::Outcome::NotAppended(cause) => (Outcome::NotAppended, cause),
        cortado_log::Outcome::Perhaps(cause) => (Outcome::Perhaps, cause),
        cortado_log::Outcome::Unusable(cause) => (Outcome::Unusable, cause),
    };
    warn!(%partition, %cause, outcome = ?told, "record not acknowledged");
    told
}
