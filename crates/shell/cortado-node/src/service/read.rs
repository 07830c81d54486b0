//! Reads, where they are served: whether the own replica may, and when.
//!
//! Start reading at [`NodeService::answer_read`]. Source: docs/protocols/replication.md, "Reads".

use super::{NoLeader, NodeService};
use crate::asker::{Asker, Input};
use crate::local_routes::LocalRoute;
use crate::replica_handle::{NotTaken, ReplicaHandle};
use cortado_driver::{ReplicaRole, Reply};
use cortado_model::{DocumentKey, EntryRange, Generation, LogOffset, Scn, StoredDocument};
use cortado_peer::{Level, Look, Page, Read, ReadAnswer, Seen, ServedRole, Sight, Unserved};
use cortado_replica::{FoldState, NotDone, ReadNeed};
use cortado_store::{Store, StoreError, View};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

/// How often it is looked whether the replica has applied what a session has seen, and how long a
/// replica is looked at again whose state was replaced meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// How long a session waits for a replica that is behind: longer than a transaction takes from the
/// leader to a follower that is well.
const CATCH_UP: Duration = Duration::from_millis(20);
/// A page ends behind the document that reaches this many bytes, however few that makes.
const PAGE_BYTES_MAX: usize = 8 << 20;
/// So many documents are read on the spot, where the store has it so; more of them where blocking
/// harms nobody.
const DOCUMENTS_SHORT: usize = 100;

impl NodeService {
    /// Looks at the own replica, if it may serve the read.
    pub(crate) async fn answer_read(&self, read: Read) -> ReadAnswer {
        let route = self.host.routes.route(read.partition);
        loop {
            let sighting = match self.sighting(&route, &read).await {
                Ok(sighting) => sighting,
                Err(answer) => return answer,
            };
            let seen = match sighting.look(&read).await {
                Ok(seen) => seen,
                Err(answer) => return answer,
            };
            if let Some(answer) = sighting.judge(seen, &read) {
                return answer;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Looks at the own replica for a leader's read, if nothing need be waited for: it leads, has
    /// folded its whole log, and its store may be read on the spot.
    pub(super) fn see_at_once(&self, read: &Read) -> Option<ReadAnswer> {
        if !matches!(read.level, Level::Strong | Level::Strict) || !is_short(&read.look) {
            return None;
        }
        let leader = self.host.routes.route(read.partition).serving()?;
        let sighting = Sighting::of(leader);
        let replica = &sighting.replica;
        let store = replica.lanes.inline()?;
        let end = self.host.log.local_end(read.partition)?;
        if !has_folded(replica, end) {
            return None;
        }
        // Who cannot be read is read again by `answer_read`, which says why.
        let seen = see(&read.look, replica, store).ok()?;
        sighting.judge(Ok(seen), read)
    }

    /// The own replica, when it may serve `read`.
    async fn sighting(&self, route: &LocalRoute, read: &Read) -> Result<Sighting, ReadAnswer> {
        match read.level {
            Level::Strong => self.proven_leader(route, ReadNeed::Lease, read.deadline).await,
            Level::Strict => self.proven_leader(route, ReadNeed::Barrier, read.deadline).await,
            Level::AtLeast(scn) => self.replica_at(route, scn, read.deadline).await,
            Level::Bounded { max_lag_ms } => {
                let recent = |replica: &ReplicaHandle| self.lag_ms(replica) <= max_lag_ms;
                let sighting = route.replica().map(Sighting::of);
                let fit = sighting
                    .filter(|sighting| sighting.role.is_readable() && recent(&sighting.replica));
                fit.ok_or(ReadAnswer::Behind)
            }
        }
    }

    /// The leader, when its store shows everything that was committed before this call.
    ///
    /// * `otherwise`: how that is proven where the log's end cannot be read locally.
    async fn proven_leader(
        &self,
        route: &LocalRoute,
        otherwise: ReadNeed,
        deadline: Instant,
    ) -> Result<Sighting, ReadAnswer> {
        let leader = match self.leader(route, deadline).await {
            Ok(leader) => leader,
            Err(NoLeader::Elsewhere(leader)) => return Err(ReadAnswer::WrongNode(leader)),
            Err(NoLeader::NoRoom) => return Err(ReadAnswer::Unserved(Unserved::NoRoom)),
            Err(NoLeader::Dropped) => return Err(ReadAnswer::NoSuchDatabase),
        };
        // Before the proof, so that whatever happens after it is noticed.
        let mut sighting = Sighting::of(leader);
        let leader = &sighting.replica;
        let need = match self.host.log.local_end(route.partition) {
            Some(end) if has_folded(leader, end) => return Ok(sighting),
            Some(end) => ReadNeed::Folded(end),
            None => {
                sighting.within = Some(leader.leadership().generation);
                otherwise
            }
        };
        match park(&sighting.replica, need, deadline).await {
            Parked::Ready => Ok(sighting),
            Parked::NotHere => Err(ReadAnswer::WrongNode(route.leader())),
            Parked::Overloaded => Err(ReadAnswer::Unserved(Unserved::Overloaded)),
            Parked::Late => Err(ReadAnswer::Unserved(Unserved::NotCaughtUp)),
        }
    }

    /// The own replica, if it has applied `scn` or does so soon. Waits here rather than in the
    /// replica's inbox, so that a position which never comes costs nobody but its reader.
    async fn replica_at(
        &self,
        route: &LocalRoute,
        scn: Scn,
        deadline: Instant,
    ) -> Result<Sighting, ReadAnswer> {
        let give_up_at = deadline.min(Instant::now() + CATCH_UP);
        loop {
            let Some(sighting) = route.replica().map(Sighting::of) else {
                return Err(ReadAnswer::Behind);
            };
            let readable = sighting.role.is_readable();
            if readable && sighting.replica.applied() >= scn {
                return Ok(sighting);
            }
            if !readable || Instant::now() >= give_up_at {
                return Err(ReadAnswer::Behind);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// How old the newest complete state of `replica` may be.
    fn lag_ms(&self, replica: &ReplicaHandle) -> u64 {
        // The clock first: a record that arrives after this moment is no lag.
        let now = self.host.clock.steady();
        let end = self.host.log.local_end(replica.partition);
        let end = end.unwrap_or_else(|| replica.known_end());
        if replica.folded() >= end { 0 } else { now.since(replica.complete_at()) }
    }
}

/// A replica that a read looks at, as it was before the look.
struct Sighting {
    replica: Arc<ReplicaHandle>,
    restorations: u64,
    role: ReplicaRole,
    /// The generation whose leader proved itself by a lease or a barrier: its store must show
    /// nothing beyond.
    within: Option<Generation>,
}

impl Sighting {
    fn of(replica: Arc<ReplicaHandle>) -> Sighting {
        let (restorations, role) = (replica.restorations(), replica.role());
        Sighting { replica, restorations, role, within: None }
    }

    /// Looks at the replica's store: on this thread if that takes microseconds.
    async fn look(&self, read: &Read) -> Result<Result<(Seen, Scn), StoreError>, ReadAnswer> {
        let lanes = &self.replica.lanes;
        let short = is_short(&read.look);
        if let (Some(store), true) = (lanes.inline(), short) {
            return Ok(see(&read.look, &self.replica, store));
        }
        let (look, replica) = (read.look.clone(), Arc::clone(&self.replica));
        let look = move |store: &dyn Store| see(&look, &replica, store);
        let looking =
            async { if short { lanes.read(look).await } else { lanes.read_long(look).await } };
        let late = |_| ReadAnswer::Unserved(Unserved::StoreLate);
        timeout_at(read.deadline, looking).await.map_err(late)
    }

    /// Whether what was seen may be served; `None` to look again.
    fn judge(&self, seen: Result<(Seen, Scn), StoreError>, read: &Read) -> Option<ReadAnswer> {
        let Sighting { replica, restorations, role, within } = self;
        match seen {
            Ok((seen, applied)) => {
                // Read across a restoration, it may be a part of a state.
                let intact = replica.restorations() == *restorations && role.is_readable();
                // What the next leader writes, that one may not show yet.
                let beyond = within.is_some_and(|at| replica.applied_at_most().generation > at);
                let leads = *role == ReplicaRole::Leader;
                let role = if leads { ServedRole::Leader } else { ServedRole::Follower };
                let sight = || ReadAnswer::Seen(Box::new(Sight { seen, applied, role }));
                (intact && !beyond).then(sight)
            }
            Err(error) => {
                let (partition, node) = (replica.partition, replica.node);
                warn!(%partition, %node, %error, "store not read");
                // Another replica may do better; nobody but the leader may serve these.
                let waits = matches!(read.level, Level::Strong | Level::Strict)
                    && Instant::now() < read.deadline;
                (!waits).then(|| ReadAnswer::Store { why: error.to_string() })
            }
        }
    }
}

/// Whether the store of `replica` shows everything below `end`.
fn has_folded(replica: &ReplicaHandle, end: LogOffset) -> bool {
    replica.folded() >= end && replica.role().is_readable()
}

/// Whether a look takes microseconds, so that nobody need wait for another thread.
fn is_short(look: &Look) -> bool {
    match look {
        Look::Get(..) | Look::Position | Look::History { .. } => true,
        Look::Find(keys) => keys.len() <= DOCUMENTS_SHORT,
        Look::Page { limit, .. } => *limit <= DOCUMENTS_SHORT,
    }
}

/// What a store shows, and a position that covers it.
fn see(look: &Look, replica: &ReplicaHandle, store: &dyn Store) -> Result<(Seen, Scn), StoreError> {
    let partition = replica.partition;
    Ok(match look {
        Look::Get(table, key) => {
            let document = store.get(partition, *table, key)?;
            // Read afterwards: what the store has shown is covered by it.
            (Seen::Document(document), replica.applied_at_most())
        }
        Look::Find(keys) => {
            let view = store.view(partition)?;
            let applied = position_of(view.as_ref())?;
            (Seen::Documents(view.find(keys, None)?.documents), applied)
        }
        Look::Page { range, limit } => see_page(store.view(partition)?.as_ref(), range, *limit)?,
        Look::Position => {
            // What is stored, not what is applied: barriers are not stored, nor do they matter.
            let applied = position_of(store.view(partition)?.as_ref())?;
            (Seen::Position(applied), applied)
        }
        Look::History { since } => {
            let view = store.view(partition)?;
            let end = replica.applied();
            (Seen::History { fold: history(view.as_ref(), *since)?, end }, end)
        }
    })
}

fn see_page(view: &dyn View, range: &EntryRange, limit: usize) -> Result<(Seen, Scn), StoreError> {
    let applied = position_of(view)?;
    let mut documents: Vec<(DocumentKey, StoredDocument)> = Vec::new();
    let mut bytes = 0;
    let mut next = None;
    for document in view.documents(range) {
        let (key, document) = document?;
        if documents.len() >= limit || bytes >= PAGE_BYTES_MAX {
            next = documents.last().map(|(key, _)| key.clone());
            break;
        }
        bytes += document.image().len();
        documents.push((key, document));
    }
    Ok((Seen::Page(Page { documents, next }), applied))
}

/// The newest stored fold state that is not beyond `since`.
fn history(view: &dyn View, since: Scn) -> Result<Option<bytes::Bytes>, StoreError> {
    if let Some(checkpoint) = view.checkpoint()?
        && decode(&checkpoint)?.last <= since
    {
        return Ok(Some(checkpoint));
    }
    Ok(view.bookmark(since)?.map(|(_, bytes)| bytes))
}

/// The SCN that a view shows. A replica that has applied nothing shows the beginning.
fn position_of(view: &dyn View) -> Result<Scn, StoreError> {
    let checkpoint = view.checkpoint()?;
    checkpoint.map_or(Ok(Scn::ZERO), |checkpoint| Ok(decode(&checkpoint)?.last))
}

fn decode(checkpoint: &[u8]) -> Result<FoldState, StoreError> {
    FoldState::decode(checkpoint).map_err(|error| StoreError::Damaged { why: error.to_string() })
}

/// How a read that waits at a replica ended.
enum Parked {
    Ready,
    NotHere,
    Overloaded,
    Late,
}

/// Lets a replica say when its store shows what `need` demands.
async fn park(replica: &ReplicaHandle, need: ReadNeed, deadline: Instant) -> Parked {
    let (caller, answer) = Asker::new();
    match replica.offer(Input::Read { caller, need }) {
        Ok(()) => {}
        Err(NotTaken::Full) => return Parked::Overloaded,
        Err(NotTaken::Gone) => return Parked::NotHere,
    }
    match timeout_at(deadline, replica.answer(answer)).await {
        Ok(Some(Reply::Ready)) => Parked::Ready,
        Ok(Some(Reply::NotDone(NotDone::Overloaded))) => Parked::Overloaded,
        // The replica went away, or a read is answered in words of a write: it counts for nothing.
        Ok(
            Some(Reply::Written(_) | Reply::Refused(_) | Reply::Unknown(_) | Reply::NotDone(_))
            | None,
        ) => Parked::NotHere,
        Err(_) => Parked::Late,
    }
}
