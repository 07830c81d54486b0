//! The producer of one driver: records out, what became of them back.
//!
//! Start reading at [`Appending::answered`].

use super::already::already;
use crate::asker::Input;
use crate::replica_handle::ReplicaHandle;
use crate::vitals::{BegunCall, Vitals};
use bytes::Bytes;
use cortado_driver::{Event, JobId, RecordOutcome};
use cortado_log::{AppendPriority, Cause, Log, Producer, outcomes_of};
use cortado_metrics::Histogram;
use cortado_model::{PartitionId, with_causes};
use cortado_replica::{Body, Frame};
use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::{Span, warn};

/// Appends to one partition.
pub(super) struct Appending {
    log: Arc<dyn Log>,
    partition: PartitionId,
    replica: Arc<ReplicaHandle>,
    span: Span,
    producer: Option<(JobId, Box<dyn Producer>)>,
    /// What is not answered, oldest first.
    sent: VecDeque<Sent>,
    /// How long appends take.
    took: Histogram,
    vitals: Arc<Vitals>,
}

/// An append that is not answered.
struct Sent {
    /// Its records that are not.
    records: usize,
    priority: AppendPriority,
    since: Instant,
    felt: BegunCall,
}

impl Appending {
    pub(super) fn new(
        log: Arc<dyn Log>,
        replica: &Arc<ReplicaHandle>,
        took: Histogram,
        vitals: Arc<Vitals>,
    ) -> Self {
        let (partition, span) = (replica.partition, replica.span.clone());
        let (replica, sent) = (Arc::clone(replica), VecDeque::new());
        Appending { log, partition, replica, span, producer: None, sent, took, vitals }
    }

    /// Duty 7: what was handed to the former producer is given up. The log hears of it, so that
    /// what does not answer holds nothing up that comes later.
    pub(super) fn open(&mut self, job: JobId) {
        if let Some((_, former)) = self.producer.take() {
            // The driver has taken all of it for unknown.
            former.abandon();
        }
        self.producer = Some((job, self.log.producer(self.partition)));
        self.sent.drain(..).for_each(|sent| sent.felt.end(false));
    }

    pub(super) fn append(&mut self, records: Vec<Bytes>) {
        if let Some((_, producer)) = &mut self.producer {
            // To read them costs time that only a full log is worth.
            let priority = if self.log.has_room() {
                AppendPriority::Normal
            } else {
                let before = self.sent.iter().map(|sent| sent.priority);
                priority(self.partition, &records, before)
            };
            let (since, felt) = (Instant::now(), self.vitals.begin());
            self.replica.show_append(felt.since());
            self.sent.push_back(Sent { records: records.len(), priority, since, felt });
            producer.send_with(records, priority);
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
        let producer = *job;
        self.tell_failures(&outcomes);
        let outcomes: Vec<_> = outcomes.iter().map(told).collect();
        self.count(&outcomes);
        Event::Outcomes { producer, outcomes }
    }

    /// The same, if it is there: a group commit answers many at once.
    pub(super) async fn answered_already(&mut self) -> Option<Input> {
        already(self.answered()).await
    }

    /// Once for all that are told together: what befalls one record befalls its neighbours.
    fn tell_failures(&self, outcomes: &[cortado_log::AppendOutcome]) {
        let mut causes = outcomes.iter().filter_map(cause);
        if let Some(cause) = causes.next() {
            let records = 1 + causes.count();
            warn!(parent: &self.span, records, error = with_causes(cause), "append failed");
        }
    }

    fn count(&mut self, outcomes: &[RecordOutcome]) {
        self.count_each(outcomes);
        if outcomes.iter().any(|outcome| matches!(outcome, RecordOutcome::At(_))) {
            self.replica.show_acknowledged(self.sent.front().map(|sent| sent.felt.since()));
        }
    }

    fn count_each(&mut self, outcomes: &[RecordOutcome]) {
        for outcome in outcomes {
            let Some(sent) = self.sent.front_mut() else { return };
            sent.records -= 1;
            if let Some(sent) = self.sent.pop_front_if(|sent| sent.records == 0) {
                if matches!(outcome, RecordOutcome::At(_)) {
                    self.took.observe(sent.since.elapsed());
                }
                sent.felt.end(matches!(outcome, RecordOutcome::At(_) | RecordOutcome::Somewhere));
            }
        }
    }
}

/// What room records may take when the log is full: the lowest priority of them and of what stands
/// `before` them unanswered. They must not be taken where that is refused: both are then appended
/// anew, together.
fn priority(
    partition: PartitionId,
    records: &[Bytes],
    before: impl Iterator<Item = AppendPriority>,
) -> AppendPriority {
    let own = records.iter().map(|record| priority_of(partition, record));
    own.chain(before).min().unwrap_or(AppendPriority::Normal)
}

fn priority_of(partition: PartitionId, record: &Bytes) -> AppendPriority {
    let Ok(frame) = Frame::read_any(record) else { return AppendPriority::Normal };
    match frame.record().map(|record| record.body) {
        Ok(Body::Transaction(transaction)) => {
            let mut changes = transaction.changes.iter();
            let removes = changes.all(|change| change.document.is_none());
            // No database is dropped without writing to `_cluster`.
            if removes || partition == PartitionId::CLUSTER {
                AppendPriority::Freeing
            } else {
                AppendPriority::Normal
            }
        }
        Ok(
            Body::Genesis(_)
            | Body::Claim(_)
            | Body::Barrier(_)
            | Body::StepDown(_)
            | Body::Config(_),
        ) => AppendPriority::Urgent,
        Err(_) => AppendPriority::Normal,
    }
}

/// The driver's word for what became of a record.
fn told(outcome: &cortado_log::AppendOutcome) -> RecordOutcome {
    match outcome {
        cortado_log::AppendOutcome::At(position) => RecordOutcome::At(*position),
        cortado_log::AppendOutcome::Somewhere => RecordOutcome::Somewhere,
        cortado_log::AppendOutcome::NotAppended(_) => RecordOutcome::NotAppended,
        cortado_log::AppendOutcome::Perhaps(_) => RecordOutcome::Perhaps,
        cortado_log::AppendOutcome::Unusable(_) => RecordOutcome::Unusable,
    }
}

/// Why a record has no place, if it has none.
fn cause(outcome: &cortado_log::AppendOutcome) -> Option<&Cause> {
    match outcome {
        cortado_log::AppendOutcome::At(_) | cortado_log::AppendOutcome::Somewhere => None,
        cortado_log::AppendOutcome::NotAppended(cause)
        | cortado_log::AppendOutcome::Perhaps(cause)
        | cortado_log::AppendOutcome::Unusable(cause) => Some(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_gateway::cluster_genesis;
    use cortado_model::{
        ClusterUuid, DatabaseId, Millis, NodeId, PartitionUuid, ReplicaIncarnation, Scn, WallMillis,
    };
    use cortado_replica::{
        ChainHash, Header, Identity, Now, Record, Transaction, encode, genesis_record,
    };

    /// A deletion of what is not there, under a key, is a record all the same.
    #[test]
    fn what_removes_nothing_may_take_the_room_of_what_removes() {
        let header = Header {
            scn: Scn::ZERO,
            node: NodeId(1),
            incarnation: ReplicaIncarnation::default(),
            time: WallMillis(0),
        };
        let record = Record { header, body: Body::Transaction(Transaction::default()) };
        let (bytes, _) = encode(PartitionUuid(7), &record, ChainHash::default());
        let partition = PartitionId { database: DatabaseId(1), number: 0 };
        assert_eq!(priority_of(partition, &bytes), AppendPriority::Freeing);
    }

    #[test]
    fn nothing_overtakes_what_is_of_a_lower_priority() {
        use AppendPriority::{Freeing, Normal, Urgent};
        let me = Identity { node: NodeId(1), incarnation: ReplicaIncarnation::default() };
        let now = Now { clock: Millis(0), wall: WallMillis(0) };
        let record = genesis_record(&cluster_genesis(ClusterUuid(1)), &me, now);
        let check = |before: &[AppendPriority], want| {
            let records = [record.clone()];
            let found = priority(PartitionId::CLUSTER, &records, before.iter().copied());
            assert_eq!(found, want, "{before:?}");
        };
        check(&[], Urgent);
        check(&[Urgent, Urgent], Urgent);
        check(&[Urgent, Freeing, Urgent], Freeing);
        check(&[Freeing, Normal], Normal);
    }
}
