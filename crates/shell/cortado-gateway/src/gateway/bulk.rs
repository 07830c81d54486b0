//! Many writes of any resources, each for itself: one record for all of a partition's that go
//! together.
//!
//! Start reading at [`Gateway::bulk`].

use super::request::RETRY_AFTER_MS;
use super::write::Acknowledged;
use super::{Gateway, NotDoneWhy, UnknownReason, WriteError, WriteReceipt};
use crate::catalog::Database;
use bytes::Bytes;
use cortado_document::{DocumentAction, Operation, partition_of};
use cortado_driver::{KeyedWrite, WriteMode};
use cortado_model::{PartitionId, RememberedKey, Scn};
use cortado_peer::{TraceContext, Write};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::error;

/// Partitions that one bulk writes to at once.
const PARTITIONS_MAX: usize = 32;
/// Bytes of the operations that go together, unless a single one has more. Enough that a sync of
/// the log is shared by many, and few enough that no other write waits long behind them.
const GROUP_BYTES: usize = 512 << 10;

/// Many writes, each for itself.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// 1 to 1,000, of any resources. Those of one document are carried out in this order.
    pub operations: Vec<BulkOperation>,
    /// Under which key each of them is remembered.
    pub idempotency: Option<BulkKey>,
    /// When the caller gives up.
    pub deadline: Instant,
}

/// One write of a bulk.
#[derive(Clone, Debug)]
pub struct BulkOperation {
    /// What to do.
    pub operation: Operation,
    /// Its place among those that the client sent: its name under the client's key.
    pub index: u16,
    /// Hash of what the client sent.
    pub fingerprint: u128,
}

/// How a repetition of the operations of a bulk is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkKey {
    /// The client's key; 1 to 255 bytes.
    pub key: Bytes,
    /// For how long the answers are remembered: as in [`IdempotencyKey`](super::IdempotencyKey).
    pub ttl_ms: u32,
}

/// What becomes of one operation.
type Ended = Result<WriteReceipt, WriteError>;

impl Gateway {
    /// Does many writes, each as if it had come alone; answers one result for each, in their
    /// order.
    ///
    /// Waits for leaders until the deadline. Operations under an idempotency key survive the death
    /// of their leader; of others that were on their way to it the outcome is unknown.
    pub async fn bulk(&self, database: &Arc<Database>, request: BulkRequest) -> Vec<Ended> {
        let begun = Instant::now();
        let BulkRequest { operations, idempotency, deadline } = request;
        let mut results: Vec<Option<Ended>> = operations.iter().map(|_| None).collect();
        let mut lines: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (place, BulkOperation { operation, .. }) in operations.iter().enumerate() {
            let number = partition_of(operation.key.resource(), database.partitions);
            lines.entry(number).or_default().push(place);
        }
        let mut operations: Vec<_> = operations.into_iter().map(Some).collect();
        let (mut under_way, key) = (JoinSet::new(), idempotency.map(Arc::new));
        let mut lines = lines.into_iter();
        loop {
            while under_way.len() < PARTITIONS_MAX
                && let Some((number, places)) = lines.next()
            {
                let line = places.iter().filter_map(|place| operations[*place].take()).collect();
                let (partition, key) = (database.partition_id(number), key.clone());
                let gateway = self.clone();
                under_way.spawn(TraceContext::handed_on(async move {
                    (places, gateway.bulk_in(partition, line, key.as_deref(), deadline).await)
                }));
            }
            match under_way.join_next().await {
                Some(Ok((places, ended))) => {
                    places.into_iter().zip(ended).for_each(|(at, it)| results[at] = Some(it));
                }
                // What it had begun may be done.
                Some(Err(error)) if error.is_panic() => {
                    error!(%error, "writes of a bulk panicked: a defect, please report it");
                }
                // The runtime ends.
                Some(Err(_)) => {}
                None => break,
            }
        }
        let lost = || Err(WriteError::Unknown { why: UnknownReason::LeaderLost });
        let results = results.into_iter().map(|ended| ended.unwrap_or_else(lost));
        results.inspect(|ended| self.count_write(ended, begun)).collect()
    }

    /// Does the writes of one partition, a group after the other.
    ///
    /// Nothing is begun behind a group that was not done, or perhaps not: a client that asks for
    /// it again does not turn the order of two writes of one document round.
    async fn bulk_in(
        &self,
        partition: PartitionId,
        line: VecDeque<BulkOperation>,
        key: Option<&BulkKey>,
        deadline: Instant,
    ) -> Vec<Ended> {
        let mut ended = Vec::with_capacity(line.len());
        let mut line = line;
        while !line.is_empty() {
            let group = group_of(&line);
            let count = group.len();
            let write = Write {
                partition,
                catalog: Scn::ZERO,
                operations: group.iter().map(|each| each.operation.clone()).collect(),
                mode: WriteMode::Each,
                keyed: key.map_or(Vec::new(), |key| keyed(&group, key)),
                deadline,
            };
            let answered = match self.route_write(&write).await {
                // A record took no more of them: the others follow.
                Ok(Acknowledged::Each(each)) if (1..=count).contains(&each.len()) => Ok(each),
                // Another build, or a bug: it cannot be told what was done.
                Ok(Acknowledged::Each(_) | Acknowledged::Whole(_)) => {
                    Err(WriteError::Unknown { why: UnknownReason::LeaderLost })
                }
                Err(error) => Err(error),
            };
            match answered {
                Ok(each) => {
                    line.drain(..each.len());
                    let receipt = |written| WriteReceipt::of(written, partition);
                    ended.extend(each.into_iter().map(|it| it.map(receipt).map_err(Into::into)));
                }
                Err(error) => {
                    ended.extend(vec![Err(error.clone()); count]);
                    ended.extend(vec![Err(unbegun_after(error)); line.len() - count]);
                    break;
                }
            }
        }
        ended
    }
}

/// What is told of operations that were to follow those that ended so.
fn unbegun_after(error: WriteError) -> WriteError {
    match error {
        WriteError::Unknown { why: UnknownReason::Deadline } => WriteError::DeadlineBefore,
        WriteError::Unknown { why: UnknownReason::LeaderLost | UnknownReason::LogFailed } => {
            WriteError::NotDone { why: NotDoneWhy::NoLeader, retry_after_ms: RETRY_AFTER_MS }
        }
        WriteError::Malformed(_)
        | WriteError::Refused { .. }
        | WriteError::KeyReused
        | WriteError::TooLarge { .. }
        | WriteError::NotDone { .. }
        | WriteError::DeadlineBefore
        | WriteError::NoSuchDatabase => error,
    }
}

/// The first operations of `line` that go together: no document twice, since each of its states
/// has an etag of its own, and not too many bytes.
fn group_of(line: &VecDeque<BulkOperation>) -> Vec<&BulkOperation> {
    let (mut group, mut documents, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
    for each in line {
        let Operation { table, key, .. } = &each.operation;
        bytes += bytes_of(&each.operation);
        let fits = group.is_empty() || bytes <= GROUP_BYTES;
        if !fits || !documents.insert((*table, key)) {
            break;
        }
        group.push(each);
    }
    group
}

/// About what an operation has itself. The leader cuts what patches make longer than that.
fn bytes_of(operation: &Operation) -> usize {
    let value_bytes = match &operation.action {
        DocumentAction::Put { value } => value.as_bytes().len(),
        DocumentAction::Merge { .. } | DocumentAction::JsonPatch { .. } => 1_024,
        DocumentAction::Delete | DocumentAction::Check => 0,
    };
    value_bytes + operation.key.as_bytes().len() + 80
}

/// Under which names the operations of a group are remembered.
fn keyed(group: &[&BulkOperation], key: &BulkKey) -> Vec<KeyedWrite> {
    let names = group.iter().map(|BulkOperation { operation, index, fingerprint }| {
        let name = RememberedKey::new(operation.key.resource(), &key.key, *index);
        KeyedWrite { name, fingerprint: *fingerprint, ttl_ms: key.ttl_ms }
    });
    names.collect()
}
