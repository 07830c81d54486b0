//! Writing the journal, and again until it is written.
//!
//! A batch takes the numbers behind the partition's last entry, under the condition that this is
//! still the last. A slower node takes the next ones. The same write removes what has become
//! too old. Start reading at [`Gateway::write_journal`].

use super::manual::entry_of;
use super::{ENTRIES, entry_key, number_of, stream_of};
use crate::catalog::{Catalog, Database};
use crate::conditions::{if_absent, if_still};
use crate::decisions::JournalEntry;
use crate::gateway::{
    Consistency, Gateway, IdempotencyKey, ReadError, ReadOptions, WriteError, WriteRequest,
    whole_table,
};
use crate::randomness::random_u128;
use bytes::Bytes;
use cortado_document::{Condition, Document, DocumentAction, Operation};
use cortado_model::limits::IDEMPOTENCY_TTL_MS_MAX;
use cortado_model::{EntryRange, Etag, PartitionId};
use cortado_peer::Pending;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

/// Entries that share one write.
const ENTRIES_PER_WRITE: usize = 100;
/// How long an entry waits for others to share its write: what is decided is mostly decided of many
/// partitions, and each write takes a share of the log that clients wait for just then.
const TOGETHER: Duration = Duration::from_millis(200);
/// Entries that one write removes at most: more than it adds, so that a journal which may hold less
/// than before comes down to that.
const REMOVALS_PER_WRITE: usize = 200;
/// An entry that could not be written in this time is tried again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked for a journal that is not made yet.
const LOOK: Duration = Duration::from_secs(1);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(500);
/// The same, if another node's entries came first: they may still be on their way.
const OTHERS: Duration = Duration::from_millis(20);

impl Gateway {
    /// Writes entries to the journal until the node ends; until there is a journal, they wait.
    ///
    /// * `spawn`: runs a batch until it is written or the node ends.
    pub async fn write_journal(
        self,
        mut entries: mpsc::Receiver<JournalEntry>,
        spawn: impl Fn(Pending<'static, ()>) + Send,
    ) {
        let journal = self.journal().await;
        // A batch for each partition, so that one which waits for its leader holds up no other.
        let lanes = (0..journal.partitions).map(|_| Arc::new(Semaphore::new(1)));
        let lanes: Vec<Arc<Semaphore>> = lanes.collect();
        for turn in (0..journal.partitions).cycle() {
            let Some(first) = entries.recv().await else { return };
            sleep(TOGETHER).await;
            let mut batch = vec![first];
            // All that have come meanwhile.
            while batch.len() < ENTRIES_PER_WRITE
                && let Ok(entry) = entries.try_recv()
            {
                batch.push(entry);
            }
            let (partition, permit) = self.free_partition(&journal, &lanes, turn).await;
            let catalog = self.catalog();
            let documents = batch.into_iter().map(|entry| entry_of(entry, &catalog).write());
            let batch = Batch {
                gateway: self.clone(),
                partition,
                journal: Arc::clone(&journal),
                documents: documents.collect(),
                key: Bytes::copy_from_slice(&random_u128().to_le_bytes()),
            };
            spawn(Box::pin(async move {
                batch.write().await;
                drop(permit);
            }));
        }
    }

    /// The journal, once it is made.
    async fn journal(&self) -> Arc<Database> {
        loop {
            if let Some(journal) = self.catalog().journal() {
                return Arc::clone(journal);
            }
            let founded = |catalog: &Catalog| catalog.journal().is_some();
            self.cluster().catalog.wait_for(Instant::now() + LOOK, founded).await;
        }
    }

    /// The partition whose `turn` it is, or the next one, that nothing is being written to; waits
    /// for one. One whose leader is known comes first.
    ///
    /// * `lanes`: of each partition, held while it is written to.
    async fn free_partition(
        &self,
        journal: &Database,
        lanes: &[Arc<Semaphore>],
        turn: u32,
    ) -> (PartitionId, OwnedSemaphorePermit) {
        loop {
            let numbers = (turn..journal.partitions).chain(0..turn);
            let mut partitions: Vec<_> = numbers.map(|n| journal.partition_id(n)).collect();
            partitions.sort_by_key(|partition| !self.is_led(*partition));
            for partition in partitions {
                let Some(lane) = lanes.get(partition.number as usize) else { continue };
                if let Ok(permit) = Arc::clone(lane).try_acquire_owned() {
                    return (partition, permit);
                }
            }
            sleep(OTHERS).await;
        }
    }
}

/// Some entries on their way into one partition.
struct Batch {
    gateway: Gateway,
    journal: Arc<Database>,
    partition: PartitionId,
    documents: Vec<Document>,
    /// Under which its write is remembered: however often it is tried, it is done once.
    key: Bytes,
}

impl Batch {
    async fn write(&self) {
        let (partition, entries) = (self.partition, self.documents.len());
        let mut is_told = false;
        loop {
            match self.try_to_write().await {
                Ok(()) => return,
                Err(TryError::Write(WriteError::Refused { .. })) => sleep(OTHERS).await,
                Err(TryError::Write(
                    error @ (WriteError::Malformed(_)
                    | WriteError::TooLarge { .. }
                    | WriteError::KeyReused),
                )) => {
                    // It never can be.
                    self.gateway.parts().decisions.count_lost(entries as u64);
                    return error!(%partition, %error, entries, "journal entries lost");
                }
                Err(error) => {
                    if !is_told {
                        // Once is enough: what keeps it from being written is told elsewhere.
                        warn!(%partition, %error, entries, "journal entries not written; retrying");
                        is_told = true;
                    }
                    sleep(RETRY).await;
                }
            }
        }
    }

    async fn try_to_write(&self) -> Result<(), TryError> {
        let deadline = Instant::now() + WRITE_TIMEOUT;
        let last = self.edge(true, deadline).await?;
        let end = last.as_ref().map_or(0, |last| last.number) + self.documents.len() as u64;
        let gone = end.saturating_sub(self.gateway.parts().journal_entries_max);
        let first = if gone > 0 { self.edge(false, deadline).await? } else { None };
        let too_old = first.map_or_else(Range::default, |first| first.number..gone + 1);
        let stream = stream_of(self.partition.number, self.journal.partitions);
        let operations = operations(&stream, last, &self.documents, too_old);
        let (key, ttl_ms) = (self.key.clone(), IDEMPOTENCY_TTL_MS_MAX);
        let idempotency = Some(IdempotencyKey { key, fingerprint: 0, ttl_ms });
        let request = WriteRequest { operations, idempotency, deadline };
        self.gateway.publish(self.partition, request).await?;
        Ok(())
    }

    /// The last entry of the partition, or its first one.
    async fn edge(&self, last: bool, deadline: Instant) -> Result<Option<Edge>, ReadError> {
        let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        let range = EntryRange { descending: last, ..whole_table(ENTRIES, None) };
        let page = self.gateway.page(self.partition, range, 1, &read).await?;
        let found = page.value.documents.into_iter().next();
        Ok(found.and_then(|(key, document)| {
            Some(Edge { number: number_of(&key)?, etag: document.head.etag })
        }))
    }
}

/// Puts `documents` behind the `last` entry, and removes some of what is `too_old`.
fn operations(
    stream: &str,
    last: Option<Edge>,
    documents: &[Document],
    too_old: Range<u64>,
) -> Vec<Operation> {
    let operation = |number, action, condition| {
        let key = entry_key(stream, number);
        Operation { table: ENTRIES, key, action, condition }
    };
    let before = last.as_ref().map_or(0, |last| last.number);
    // While the last one is there, whatever was written behind it is, too.
    let still_last = last.map(|last| operation(before, DocumentAction::Check, if_still(last.etag)));
    let numbered = (before + 1..).zip(documents);
    let added = numbered.map(|(number, document)| {
        operation(number, DocumentAction::Put { value: document.clone() }, if_absent())
    });
    // No operation names the one that another looks at.
    let removed = too_old.take_while(|number| *number < before).take(REMOVALS_PER_WRITE);
    let removed =
        removed.map(|number| operation(number, DocumentAction::Delete, Condition::default()));
    still_last.into_iter().chain(added).chain(removed).collect()
}

/// The entry at one end of a partition.
struct Edge {
    number: u64,
    etag: Etag,
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
enum TryError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which numbers a write of two entries looks at, puts and deletes.
    #[track_caller]
    fn check(
        last: Option<u64>,
        too_old: Range<u64>,
        (looks, puts, deletes): (&[u64], &[u64], &[u64]),
    ) {
        let last = last.map(|number| Edge { number, etag: Etag(7) });
        let documents = [(); 2].map(|()| Document::from_stored(Bytes::from_static(b"{}")));
        let operations = operations("0", last, &documents, too_old);
        let number = |operation: &Operation| number_of(&operation.key).expect("an entry's key");
        let mut found = (Vec::new(), Vec::new(), Vec::new());
        for operation in &operations {
            match (&operation.action, &operation.condition) {
                (DocumentAction::Check, condition) if *condition == if_still(Etag(7)) => {
                    found.0.push(number(operation));
                }
                (DocumentAction::Put { .. }, condition) if *condition == if_absent() => {
                    found.1.push(number(operation));
                }
                (DocumentAction::Delete, condition) if condition.is_empty() => {
                    found.2.push(number(operation));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(found, (looks.to_vec(), puts.to_vec(), deletes.to_vec()));
        assert_eq!(cortado_document::check_operations(&operations, 1), Ok(0));
    }

    #[test]
    fn entries_stand_behind_the_last_one() {
        check(None, Range::default(), (&[], &[1, 2], &[]));
        check(Some(1), Range::default(), (&[1], &[2, 3], &[]));
        check(Some(41), Range::default(), (&[41], &[42, 43], &[]));
    }

    #[test]
    fn what_is_too_old_goes_in_steps_and_the_last_one_stays() {
        check(Some(12), 3..5, (&[12], &[13, 14], &[3, 4]));
        check(Some(12), 11..14, (&[12], &[13, 14], &[11]));
        let step: Vec<u64> = (5..205).collect();
        check(Some(900), 5..801, (&[900], &[901, 902], &step));
    }
}
