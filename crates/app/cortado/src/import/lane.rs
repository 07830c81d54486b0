//! Many requests at once, and yet the documents of one key in file order.
//!
//! Every key belongs to one lane, and a lane does one thing after the other: it takes what waits,
//! and sends it as one bulk. Start reading at [`Lanes::start`].

#[cfg(test)]
mod tests;

use super::keying::Document;
use super::rejects::Refused;
use super::tally::{Stored, Tally};
use crate::failure::Failure;
use clap::ValueEnum;
use cortado_client::{BulkOptions, BulkWritten, ClientError, Database};
use cortado_wire::{Code, OperationBody, OperationKind};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

/// Documents of one bulk: enough that a sync of the log is shared by many, and half of what a
/// server takes.
const BULK_DOCUMENTS_MAX: usize = 500;
/// Bytes of one bulk's values, unless a single document is longer.
const BULK_BYTES_MAX: usize = 2 << 20;
/// Documents that wait before each lane: one bulk's worth.
const WAITING_MAX: usize = BULK_DOCUMENTS_MAX;
/// KiB of documents that wait or are under way in all lanes together: 64 MiB.
const KIB_MAX: usize = 64 << 10;
/// A document on its way.
#[derive(Debug)]
pub(crate) struct Item {
    position: u64,
    line: u64,
    bytes: u64,
    document: Document,
    /// Its share of [`KIB_MAX`], given back when it is settled.
    room: Option<OwnedSemaphorePermit>,
}

impl Item {
    /// A document with where it stands in the file, and how much of the file it takes.
    pub(crate) fn new(position: u64, line: u64, bytes: u64, document: Document) -> Item {
        Item { position, line, bytes, document, room: None }
    }

    fn refused(self, reason: String, tally: &Tally) {
        let Item { position, line, bytes, document, .. } = self;
        let text = Some(document.text.into_string().into_bytes());
        tally.refuse(&Refused { position, line, reason, text }, bytes);
    }
}

/// What becomes of a document whose key exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDuplicate {
    /// It takes the place of the one that exists
    Replace,
    /// It is left out, and counted
    Skip,
    /// It is refused, as any other document that cannot be stored
    Fail,
}

/// The running lanes.
pub(crate) struct Lanes {
    tasks: JoinSet<Result<(), Failure>>,
}

/// Where documents enter. Dropping it lets the lanes end.
#[derive(Debug)]
pub(crate) struct Entrance {
    lanes: Vec<mpsc::Sender<Item>>,
    room: Arc<Semaphore>,
    runtime: Handle,
}

impl Lanes {
    /// Starts `count` lanes that store into `database`.
    pub(crate) fn start(
        database: &Database,
        count: usize,
        on_duplicate: OnDuplicate,
        tally: &Arc<Tally>,
    ) -> (Lanes, Entrance) {
        let mut tasks = JoinSet::new();
        let lane = |_| {
            let (sender, inbox) = mpsc::channel(WAITING_MAX);
            let lane = Lane { database: database.clone(), on_duplicate, tally: Arc::clone(tally) };
            tasks.spawn(lane.run(inbox));
            sender
        };
        let lanes = (0..count).map(lane).collect();
        let room = Arc::new(Semaphore::new(KIB_MAX));
        (Lanes { tasks }, Entrance { lanes, room, runtime: Handle::current() })
    }

    /// Waits until everything is settled.
    ///
    /// # Errors
    /// The first failure that is not one document's; the other lanes are stopped where they are.
    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a lane does not panic, and is not aborted while we wait")?;
        }
        Ok(())
    }
}

impl Entrance {
    /// Hands a document to the lane of its key, waiting for room. Not on the runtime's threads.
    ///
    /// Answers false when the lane is gone: the import has failed.
    pub(crate) fn put(&self, mut item: Item) -> bool {
        // At least 1, so that the count of documents is bounded too; a piece is shorter than
        // KIB_MAX.
        let kib = u32::try_from(item.document.text.len() / 1024 + 1).unwrap_or(u32::MAX);
        let lane = &self.lanes[lane_of(&item.document, self.lanes.len())];
        let room = Arc::clone(&self.room).acquire_many_owned(kib);
        let sent = async {
            tokio::select! {
                room = room => {
                    item.room = room.ok();
                    lane.send(item).await.is_ok()
                }
                () = lane.closed() => false,
            }
        };
        self.runtime.block_on(sent)
    }
}

fn lane_of(document: &Document, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    (&document.table, &document.key).hash(&mut hasher);
    (hasher.finish() % lanes as u64) as usize
}

/// One sequence of requests.
struct Lane {
    database: Database,
    on_duplicate: OnDuplicate,
    tally: Arc<Tally>,
}

impl Lane {
    async fn run(self, mut inbox: mpsc::Receiver<Item>) -> Result<(), Failure> {
        let mut waiting = Vec::new();
        while inbox.recv_many(&mut waiting, BULK_DOCUMENTS_MAX).await > 0 {
            for bulk in bulks(waiting.drain(..)) {
                self.store(bulk).await?;
            }
        }
        Ok(())
    }

    /// Stores the documents of a bulk, leaving out those that are refused.
    async fn store(&self, mut bulk: Vec<Item>) -> Result<(), Failure> {
        while !bulk.is_empty() {
            let error = match self.send(&bulk).await {
                Ok(ended) => return self.settle_all(bulk, ended),
                Err(error) => error,
            };
            if !concerns_documents(&error) {
                return Err(error.into());
            }
            // The bulk as a whole is refused, and nothing of it done.
            match error.problem().and_then(|problem| problem.operation) {
                Some(index) if index < bulk.len() => self.settle(bulk.remove(index), &error),
                Some(_) | None if bulk.len() == 1 => self.settle(bulk.remove(0), &error),
                Some(_) | None => {
                    let rest = bulk.split_off(bulk.len() / 2);
                    Box::pin(self.store(bulk)).await?;
                    bulk = rest;
                }
            }
        }
        Ok(())
    }

    /// Deals with the documents of a bulk.
    ///
    /// # Errors
    /// The first that is not one document's, once all others are dealt with.
    fn settle_all(
        &self,
        bulk: Vec<Item>,
        ended: Vec<Result<BulkWritten, ClientError>>,
    ) -> Result<(), Failure> {
        let mut failed = None;
        for (item, ended) in bulk.into_iter().zip(ended) {
            match ended {
                Ok(written) => {
                    let is_new = written.status == 201;
                    let stored = if is_new { Stored::Created } else { Stored::Replaced };
                    self.tally.store(item.position, item.bytes, stored);
                }
                Err(error) if concerns_documents(&error) => self.settle(item, &error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Deals with a document that `error` blames.
    fn settle(&self, item: Item, error: &ClientError) {
        match self.on_duplicate {
            OnDuplicate::Skip if exists(error) => {
                self.tally.store(item.position, item.bytes, Stored::Skipped);
            }
            OnDuplicate::Fail if exists(error) => {
                item.refused("a document of this key exists".to_owned(), &self.tally);
            }
            OnDuplicate::Replace | OnDuplicate::Skip | OnDuplicate::Fail => {
                item.refused(reason(error), &self.tally);
            }
        }
    }

    /// Sends a bulk, and answers what became of each document.
    ///
    /// Without an idempotency key: a partition remembers so many answers, for all its clients, and
    /// here it would be one for each document.
    async fn send(
        &self,
        bulk: &[Item],
    ) -> Result<Vec<Result<BulkWritten, ClientError>>, ClientError> {
        let is_new_only = self.on_duplicate != OnDuplicate::Replace;
        let operation = |item| operation(item, is_new_only);
        let operations = bulk.iter().map(operation).collect::<Result<Vec<_>, _>>()?;
        // A document that was stored would be refused when it comes again.
        let may_repeat = self.on_duplicate != OnDuplicate::Fail;
        self.database.bulk(&operations, &BulkOptions { may_repeat, ..BulkOptions::default() }).await
    }
}

fn operation(item: &Item, is_new_only: bool) -> Result<OperationBody<'_>, ClientError> {
    let Document { table, key, .. } = &item.document;
    let value: &RawValue = serde_json::from_str(item.document.value())
        .map_err(|error| ClientError::Misuse { why: error.to_string() })?;
    Ok(OperationBody {
        op: OperationKind::Put,
        table: Cow::Borrowed(table),
        key: key.iter().map(|part| Cow::Borrowed(part.as_str())).collect(),
        value: Some(value),
        if_match: None,
        if_none_match: is_new_only.then_some(Cow::Borrowed("*")),
    })
}

/// Whether the server found fault with documents, and not with the request as such.
fn concerns_documents(error: &ClientError) -> bool {
    matches!(error.status(), Some(400 | 412 | 413 | 414 | 422))
}

/// Whether a document was to be new, and is not.
fn exists(error: &ClientError) -> bool {
    error.code() == Some(Code::ConditionFailed)
}

/// Why one document is refused, on one line.
fn reason(error: &ClientError) -> String {
    error.to_string().replace("\n  - ", "; ")
}

/// Cuts what waits into bulks of bounded size, in its order.
fn bulks(items: impl Iterator<Item = Item>) -> Vec<Vec<Item>> {
    let (mut bulks, mut bytes) = (Vec::<Vec<Item>>::new(), 0);
    for item in items {
        bytes += item.document.value().len();
        match bulks.last_mut() {
            Some(bulk) if bytes <= BULK_BYTES_MAX => bulk.push(item),
            Some(_) | None => {
                bytes = item.document.value().len();
                bulks.push(vec![item]);
            }
        }
    }
    bulks
}
