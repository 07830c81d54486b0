//! Reads: which nodes to ask, until one may serve the read.
//!
//! Start reading at [`Gateway::read`].
//! Source: docs/protocols/replication.md, "Reads".

use super::search::Search;
use super::{Consistency, Gateway, ReadError, ReadOptions, Served, Standstill};
use crate::catalog::{Database, Table};
use cortado_cluster::{Repetition, RouteAttempt, RouteStep, TryOutcome};
use cortado_model::{DocumentKey, NodeId, PartitionId, Scn, StoredDocument, TableId};
use cortado_peer::{
    CallError, DocumentPage, KnownLeader, Level, Look, Peer, Read, ReadAnswer, Seen, Sight,
    Unserved,
};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often it is looked whether some replica has applied what a session has seen.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// What a replica may take for a read that another one could serve, too.
const PATIENCE: Duration = Duration::from_millis(250);
/// What clients are told when no replica could serve a read.
const RETRY_AFTER_MS: u64 = 1_000;

/// What a read looks for, and what of the answer it wants.
pub(crate) struct Wanted<T> {
    look: Look,
    take: fn(Seen) -> Option<T>,
}

impl Wanted<Option<StoredDocument>> {
    pub(crate) fn document(table: TableId, key: DocumentKey) -> Self {
        let take = |seen| if let Seen::Document(found) = seen { Some(found) } else { None };
        Wanted { look: Look::Get(table, key), take }
    }
}

impl Wanted<Vec<Option<StoredDocument>>> {
    pub(crate) fn documents(keys: Vec<(TableId, DocumentKey)>, bytes_max: usize) -> Self {
        let take = |seen| if let Seen::Documents(found) = seen { Some(found) } else { None };
        Wanted { look: Look::Find { keys, bytes_max }, take }
    }
}

impl Wanted<DocumentPage> {
    pub(crate) fn page(range: cortado_model::EntryRange, limit: usize, bytes_max: usize) -> Self {
        let take = |seen| if let Seen::Page(page) = seen { Some(page) } else { None };
        Wanted { look: Look::Page { range, limit, bytes_max }, take }
    }
}

impl Wanted<Scn> {
    pub(crate) fn position() -> Self {
        let take = |seen| if let Seen::Position(scn) = seen { Some(scn) } else { None };
        Wanted { look: Look::Position, take }
    }
}

impl Wanted<(Option<bytes::Bytes>, Scn)> {
    pub(crate) fn history(since: Scn) -> Self {
        let take = |seen| match seen {
            Seen::History { fold, end } => Some((fold, end)),
            _ => None,
        };
        Wanted { look: Look::History { since }, take }
    }
}

impl Gateway {
    /// Reads one document.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn get(
        &self,
        database: &Database,
        table: &Table,
        key: &DocumentKey,
        read: &ReadOptions,
    ) -> Result<Served<Option<StoredDocument>>, ReadError> {
        let partition = database.partition_id(database.partition_of(key));
        self.get_in(partition, table.id, key, read).await
    }

    pub(crate) async fn get_in(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
        read: &ReadOptions,
    ) -> Result<Served<Option<StoredDocument>>, ReadError> {
        self.read(partition, read, Wanted::document(table, key.clone())).await
    }

    /// Looks at a replica that may serve `read`; at another one if it goes away meanwhile.
    pub(crate) async fn read<T>(
        &self,
        partition: PartitionId,
        read: &ReadOptions,
        wanted: Wanted<T>,
    ) -> Result<Served<T>, ReadError> {
        let begun = Instant::now();
        let Wanted { look, take } = wanted;
        let served = match (read.consistency, read.at_least) {
            (Consistency::Strong, _) => {
                self.read_leader(partition, Level::Strong, look, read.deadline).await
            }
            (Consistency::Strict, _) => {
                self.read_leader(partition, Level::Strict, look, read.deadline).await
            }
            (Consistency::Session, Some(scn)) => {
                self.read_replica(partition, scn, look, read.deadline).await
            }
            (Consistency::Session, None) | (Consistency::Eventual, _) => {
                self.read_replica(partition, Scn::ZERO, look, read.deadline).await
            }
            (Consistency::Bounded { max_lag_ms }, _) => {
                let level = Level::Bounded { max_lag_ms };
                match self.read_any(partition, level, &look, read.deadline).await {
                    Ok(served) => Ok(served),
                    Err(_) => self.read_leader(partition, Level::Strong, look, read.deadline).await,
                }
            }
        };
        let served = match served {
            Err(ReadError::Unserved { why, retry_after_ms }) => {
                let standstill = self.standstill(partition, begun).await;
                Err(standstill.map_or(ReadError::Unserved { why, retry_after_ms }, stands_still))
            }
            served => served,
        };
        let (node, sight) = served.inspect_err(|_| self.metrics().reads_unserved.add(1))?;
        self.metrics().reads.add(1);
        let Sight { seen, applied, role } = sight;
        let value = take(seen).ok_or(ReadError::BadAnswer { node })?;
        Ok(Served { value, partition: partition.number, applied, node, role })
    }

    /// From the leader.
    async fn read_leader(
        &self,
        partition: PartitionId,
        level: Level,
        look: Look,
        deadline: Instant,
    ) -> Result<(NodeId, Sight), ReadError> {
        let mut search = Search::new(self, partition);
        let mut attempt = RouteAttempt::new(Repetition::Harmless);
        let begun = Instant::now();
        loop {
            let stands = search.has_begun().then(|| self.lasting_standstill(partition, begun));
            if let Some(why) = stands.flatten() {
                return Err(stands_still(why));
            }
            let tried = self.try_leader(&mut search, level, &look, deadline).await;
            match (attempt.judge(tried.outcome()), tried) {
                (RouteStep::Answer, Tried::Answered(answer)) => {
                    search.served();
                    return answer;
                }
                (RouteStep::TryAgain, tried) => {
                    self.metrics().reads_waited.add(1);
                    search.wait(tried.known(), deadline).await;
                }
                // A read has no effect, so its outcome is never in doubt.
                (_, tried) => return Err(unserved(tried.why())),
            }
        }
    }

    async fn try_leader(
        &self,
        search: &mut Search<'_>,
        level: Level,
        look: &Look,
        deadline: Instant,
    ) -> Tried {
        let partition = search.route.partition;
        // On the first try the leader itself says so.
        if search.has_begun() && !self.exists(partition.database) {
            return Tried::Answered(Err(ReadError::NoSuchDatabase));
        }
        if self.is_ending() || Instant::now() >= deadline {
            return Tried::Declined(Unserved::NoLeader);
        }
        let Some((node, target)) = search.next() else { return Tried::NotHere(None) };
        let read = Read { partition, level, look: look.clone(), deadline };
        let answered = match target.read_at_once(&read) {
            Some(answer) => Ok(answer),
            None => tokio::select! {
                biased;
                answered = target.read(read) => answered,
                () = search.superseded() => Err(CallError::Lost),
            },
        };
        match answered {
            Ok(answer) => Tried::of(answer, node),
            Err(CallError::Unreachable | CallError::Lost) => Tried::NotHere(None),
            Err(CallError::Late) => Tried::Declined(Unserved::NotCaughtUp),
        }
    }

    /// From some replica that has applied `scn`.
    async fn read_replica(
        &self,
        partition: PartitionId,
        scn: Scn,
        look: Look,
        deadline: Instant,
    ) -> Result<(NodeId, Sight), ReadError> {
        let begun = Instant::now();
        loop {
            let level = Level::AtLeast(scn);
            let why = match self.read_any(partition, level, &look, deadline).await {
                Ok(served) => return Ok(served),
                Err(why) => why,
            };
            if !self.exists(partition.database) {
                return Err(ReadError::NoSuchDatabase);
            }
            if self.is_ending() || Instant::now() >= deadline {
                return Err(why);
            }
            if let Some(why) = self.lasting_standstill(partition, begun) {
                return Err(stands_still(why));
            }
            self.metrics().reads_waited.add(1);
            sleep(LOOK_AGAIN).await;
        }
    }

    /// From some replica that can serve it now: the own one, or another one each time.
    ///
    /// # Errors
    /// None can; why the last one that said so could not.
    async fn read_any(
        &self,
        partition: PartitionId,
        level: Level,
        look: &Look,
        deadline: Instant,
    ) -> Result<(NodeId, Sight), ReadError> {
        let mut placed = self.cluster().placed(partition);
        if !placed.is_empty() {
            let turn = self.door.turn.fetch_add(1, Ordering::Relaxed);
            let places = placed.len();
            placed.rotate_left(turn % places);
        }
        if let Some(own) = self.own() {
            placed.sort_by_key(|node| *node != own);
        }
        let mut why = unserved(match level {
            Level::AtLeast(scn) if scn > Scn::ZERO => Unserved::SessionAhead,
            Level::AtLeast(_) | Level::Bounded { .. } | Level::Strong | Level::Strict => {
                Unserved::NoReplica
            }
        });
        let last = placed.last().copied();
        for node in placed {
            let Some(target) = self.target(node) else { continue };
            // One that hangs leaves time for the others.
            let patience = if Some(node) == last { deadline } else { Instant::now() + PATIENCE };
            let deadline = deadline.min(patience);
            let read = Read { partition, level, look: look.clone(), deadline };
            match ask(target.as_ref(), read).await.map(|answer| Tried::of(answer, node)) {
                Ok(Tried::Answered(Ok(served))) => return Ok(served),
                Ok(Tried::Answered(Err(error))) => why = error,
                Ok(Tried::Declined(declined)) => why = unserved(declined),
                Ok(Tried::NotHere(_)) | Err(_) => {}
            }
        }
        Err(why)
    }
}

/// Asks a node; where nothing need be waited for, nothing is set up to wait.
async fn ask(target: &dyn Peer, read: Read) -> Result<ReadAnswer, CallError> {
    match target.read_at_once(&read) {
        Some(answer) => Ok(answer),
        None => target.read(read).await,
    }
}

/// How one try ended.
enum Tried {
    Answered(Result<(NodeId, Sight), ReadError>),
    /// With the leader, as far as the node that was asked knows.
    NotHere(Option<KnownLeader>),
    Declined(Unserved),
}

impl Tried {
    fn of(answer: ReadAnswer, node: NodeId) -> Tried {
        match answer {
            ReadAnswer::Seen(sight) => Tried::Answered(Ok((node, *sight))),
            ReadAnswer::WrongNode(leader) => Tried::NotHere(Some(leader)),
            ReadAnswer::Behind => Tried::NotHere(None),
            ReadAnswer::Unserved(why) => Tried::Declined(why),
            ReadAnswer::NoSuchDatabase => Tried::Answered(Err(ReadError::NoSuchDatabase)),
            ReadAnswer::Store(error) => Tried::Answered(Err(ReadError::Store(error))),
        }
    }

    fn known(&self) -> Option<KnownLeader> {
        if let Tried::NotHere(known) = self { *known } else { None }
    }

    fn outcome(&self) -> TryOutcome {
        match self {
            Tried::Answered(_) => TryOutcome::Answered,
            Tried::NotHere(_) => TryOutcome::NotHere,
            Tried::Declined(_) => TryOutcome::Declined,
        }
    }

    /// What a reader that gives up has waited for.
    fn why(&self) -> Unserved {
        if let Tried::Declined(why) = self { *why } else { Unserved::NoLeader }
    }
}

pub(super) fn stands_still(why: Standstill) -> ReadError {
    ReadError::StandsStill { why, retry_after_ms: RETRY_AFTER_MS }
}

pub(super) fn unserved(why: Unserved) -> ReadError {
    ReadError::Unserved { why, retry_after_ms: RETRY_AFTER_MS }
}
