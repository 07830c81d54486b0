//! Many requests at once, and yet the documents of one key in file order.
//!
//! Every key belongs to one lane, and a lane does one thing after the other: it takes what waits,
//! puts neighbours of one resource into one transaction, and sends that. Start reading at
//! [`Lanes::start`].

#[cfg(test)]
mod tests;

use super::keying::Document;
use super::rejects::Refused;
use super::tally::{Stored, Tally};
use crate::failure::Failure;
use clap::ValueEnum;
use cortado_client::{ClientError, Condition, Database, WriteOptions};
use cortado_wire::{Code, OperationBody, OperationKind};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

/// Documents of one transaction. More make each one slower to refuse and repeat, fewer cost
/// requests.
const GROUP_DOCUMENTS_MAX: usize = 100;
/// Bytes of one transaction's values, unless a single document is longer.
const GROUP_BYTES_MAX: usize = 512 << 10;
/// Documents that wait before each lane: one transaction's worth.
const WAITING_MAX: usize = GROUP_DOCUMENTS_MAX;
/// KiB of documents that wait or are under way in all lanes together: 64 MiB.
const KIB_MAX: usize = 64 << 10;
/// An answer is remembered for longer than the last repetition of its request can take.
const REMEMBERED_BEYOND: Duration = Duration::from_secs(120);
/// A day, as docs/api.md says.
const REMEMBERED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

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
    ///
    /// * `retry_for`: for how long one request is repeated.
    pub(crate) fn start(
        database: &Database,
        count: usize,
        on_duplicate: OnDuplicate,
        retry_for: Duration,
        tally: &Arc<Tally>,
    ) -> (Lanes, Entrance) {
        let mut tasks = JoinSet::new();
        let import = fastrand::u64(..);
        let lane = |number| {
            let (sender, inbox) = mpsc::channel(WAITING_MAX);
            let lane = Lane {
                database: database.clone(),
                on_duplicate,
                remembered_for: retry_for.saturating_add(REMEMBERED_BEYOND).min(REMEMBERED_MAX),
                tally: Arc::clone(tally),
                name: format!("import-{import:016x}-{number}"),
                sent: 0,
            };
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
    /// For how long an answer is remembered, where one is.
    remembered_for: Duration,
    tally: Arc<Tally>,
    /// Begins the idempotency keys of this lane; no other lane has it.
    name: String,
    /// Requests so far.
    sent: u64,
}

impl Lane {
    async fn run(mut self, mut inbox: mpsc::Receiver<Item>) -> Result<(), Failure> {
        let mut waiting = Vec::new();
        while inbox.recv_many(&mut waiting, GROUP_DOCUMENTS_MAX).await > 0 {
            for group in groups(waiting.drain(..)) {
                self.store(group).await?;
            }
        }
        Ok(())
    }

    /// Stores the documents of a group, leaving out those that are refused.
    async fn store(&mut self, mut group: Vec<Item>) -> Result<(), Failure> {
        while !group.is_empty() {
            let error = match self.send(&group).await {
                Ok(stored) => {
                    for (item, stored) in group.iter().zip(stored) {
                        self.tally.store(item.position, item.bytes, stored);
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            if !concerns_documents(&error) {
                return Err(error.into());
            }
            let blamed = error.problem().and_then(|problem| problem.operation);
            match blamed {
                Some(index) if index < group.len() => {
                    self.settle(group.remove(index), &error);
                    // Where one document exists, others do.
                    if exists(&error) {
                        return self.store_singly(group).await;
                    }
                }
                Some(_) | None if group.len() == 1 => self.settle(group.remove(0), &error),
                Some(_) | None => return self.store_singly(group).await,
            }
        }
        Ok(())
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

    /// Stores each document alone: one of them is refused, and the answer does not say which.
    async fn store_singly(&mut self, group: Vec<Item>) -> Result<(), Failure> {
        for item in group {
            match self.send(std::slice::from_ref(&item)).await {
                Ok(stored) => {
                    for stored in stored {
                        self.tally.store(item.position, item.bytes, stored);
                    }
                }
                Err(error) if concerns_documents(&error) => self.settle(item, &error),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Stores a group, and answers what became of each document.
    async fn send(&mut self, group: &[Item]) -> Result<Vec<Stored>, ClientError> {
        self.sent += 1;
        let key = format!("{}-{}", self.name, self.sent);
        let is_new_only = self.on_duplicate != OnDuplicate::Replace;
        // A partition remembers so many answers, for all its clients: none more than it takes.
        let write = if is_new_only {
            let (key, ttl) = (Some(key.as_str()), Some(self.remembered_for));
            WriteOptions { idempotency_key: key, idempotency_ttl: ttl, ..WriteOptions::default() }
        } else {
            WriteOptions { may_repeat: true, ..WriteOptions::default() }
        };
        let stored = |is_new| if is_new { Stored::Created } else { Stored::Replaced };
        if let [Item { document, .. }] = group {
            let condition = is_new_only.then_some(Condition::Absent);
            let value = document.value().to_owned();
            let table = self.database.table(&document.table);
            let write = WriteOptions { condition, ..write };
            let written = table.put(&document.key, value, &write).await?;
            return Ok(vec![stored(written.is_new)]);
        }
        let operation = |item| operation(item, is_new_only);
        let operations = group.iter().map(operation).collect::<Result<_, _>>()?;
        let answer = self.database.transact(operations, &write).await?;
        Ok(answer.results.iter().map(|result| stored(result.status == 201)).collect())
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

/// Cuts what waits into transactions: each of one resource, no key twice, of bounded size, and the
/// documents of a key in the order in which they came.
fn groups(items: impl Iterator<Item = Item>) -> Vec<Vec<Item>> {
    let mut groups: Vec<Group> = Vec::new();
    for item in items {
        // Only the last group of a resource may take it: an earlier one would overtake.
        let last = groups.iter_mut().rev().find(|group| group.resource == item.document.key[0]);
        match last {
            Some(group) if group.takes(&item) => group.push(item),
            Some(_) | None => {
                let mut group = Group {
                    resource: item.document.key[0].clone(),
                    names: BTreeSet::new(),
                    bytes: 0,
                    items: Vec::new(),
                };
                group.push(item);
                groups.push(group);
            }
        }
    }
    groups.into_iter().map(|group| group.items).collect()
}

struct Group {
    resource: String,
    /// Tables and keys of the items.
    names: BTreeSet<(Arc<str>, Vec<String>)>,
    bytes: usize,
    items: Vec<Item>,
}

impl Group {
    fn takes(&self, item: &Item) -> bool {
        self.items.len() < GROUP_DOCUMENTS_MAX
            && self.bytes + item.document.value().len() <= GROUP_BYTES_MAX
            && !self.names.contains(&name_of(item))
    }

    fn push(&mut self, item: Item) {
        self.bytes += item.document.value().len();
        self.names.insert(name_of(&item));
        self.items.push(item);
    }
}

fn name_of(item: &Item) -> (Arc<str>, Vec<String>) {
    (Arc::clone(&item.document.table), item.document.key.clone())
}
