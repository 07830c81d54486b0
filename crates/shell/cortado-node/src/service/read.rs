//! Reads, where they are served: whether the own replica may, and when.
//!
//! Start reading at [`NodeService::answer_read`]. Source: docs/protocols/replication.md, "Reads".

use super::foresight::DOCUMENTS_SHORT;
use super::{NoLeader, NodeService};
use crate::asker::{Asker, Input};
use crate::local_routes::LocalRoute;
use crate::replica_handle::{NotTaken, ReplicaHandle};
use crate::tasks::Life;
use cortado_driver::{Proof, ReplicaRole, Reply, Serving};
use cortado_model::{DocumentKey, EntryRange, Scn, StoredDocument};
use cortado_peer::{
    DocumentPage, Level, Look, Read, ReadAnswer, Seen, ServedRole, Sight, Unserved,
};
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

impl NodeService {
    /// Looks at the own replica, if it may serve the read.
    pub(crate) async fn answer_read(&self, read: Read) -> ReadAnswer {
        let route = self.host.routes.route(read.partition);
        loop {
            let seen = match self.proven(&route, &read).await {
                Ok(proven) => proven.look(&read, &self.host.life).await,
                Err(answer) => Err(answer),
            };
            match seen {
                Ok(Some(answer)) | Err(answer) => return answer,
                Ok(None) => sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Looks at the own replica if nothing need be waited for: neither for what it shows, nor for
    /// its store.
    pub(super) fn see_at_once(&self, read: &Read) -> Option<ReadAnswer> {
        if !is_short(&read.look) {
            return None;
        }
        let route = self.host.routes.route(read.partition);
        let replica = if is_leaders(read.level) { route.serving() } else { route.replica() }?;
        let store = replica.lanes.inline()?;
        let (role, Serving::Now(proof)) = self.serves(&replica, read.level) else { return None };
        // A store that cannot be read is read again by `answer_read`, which says why.
        let seen = see(&read.look, &replica, store).ok()?;
        Proven { replica: Arc::clone(&replica), role, proof }.served(seen)
    }

    /// The own replica, when its store may be looked at for `read`.
    async fn proven(&self, route: &LocalRoute, read: &Read) -> Result<Proven, ReadAnswer> {
        let replica = if is_leaders(read.level) {
            self.leader(route, read.deadline).await.map_err(|why| match why {
                NoLeader::Elsewhere(leader) => ReadAnswer::WrongNode(leader),
                NoLeader::NoRoom => ReadAnswer::Unserved(Unserved::NoRoom),
                NoLeader::Dropped => ReadAnswer::NoSuchDatabase,
            })?
        } else {
            route.replica().ok_or(ReadAnswer::Behind)?
        };
        let give_up_at = read.deadline.min(Instant::now() + CATCH_UP);
        loop {
            let (role, serving) = self.serves(&replica, read.level);
            let proof = match serving {
                Serving::Now(proof) => proof,
                // Here rather than in the replica's inbox, so that a position which never comes
                // costs only its reader.
                Serving::When(ReadNeed::Applied(_), _) if Instant::now() < give_up_at => {
                    sleep(LOOK_AGAIN).await;
                    continue;
                }
                Serving::When(ReadNeed::Applied(_), _) => return Err(ReadAnswer::Behind),
                Serving::When(need, proof) => match self.park(&replica, need, read, route).await {
                    Parked::Ready => proof,
                    Parked::NotHere => return Err(ReadAnswer::WrongNode(route.leader())),
                    Parked::Overloaded => return Err(ReadAnswer::Unserved(Unserved::Overloaded)),
                    Parked::Late => return Err(ReadAnswer::Unserved(Unserved::NotCaughtUp)),
                },
                Serving::NotHere if is_leaders(read.level) => {
                    return Err(ReadAnswer::WrongNode(route.leader()));
                }
                Serving::NotHere => return Err(ReadAnswer::Behind),
            };
            return Ok(Proven { replica, role, proof });
        }
    }

    /// Lets a replica say when its store shows what `need` demands.
    async fn park(
        &self,
        replica: &ReplicaHandle,
        need: ReadNeed,
        read: &Read,
        route: &LocalRoute,
    ) -> Parked {
        tokio::select! {
            biased;
            parked = park(replica, need, read.deadline) => parked,
            () = self.cut_off(route, replica), if is_leaders(read.level) => Parked::NotHere,
        }
    }

    /// When a read of `level` may look at the store of `replica`, which has this role.
    fn serves(&self, replica: &ReplicaHandle, level: Level) -> (ReplicaRole, Serving) {
        // The clock and the log's end first: what comes after that was not missed.
        let now = self.host.clock.steady();
        let end = self.host.log.local_end(replica.partition);
        let sighting = replica.sighting();
        (sighting.role, sighting.serves(level, end, now))
    }
}

/// A replica whose store may be looked at.
struct Proven {
    replica: Arc<ReplicaHandle>,
    /// As what it serves.
    role: ReplicaRole,
    /// On what that rests.
    proof: Proof,
}

impl Proven {
    /// Looks at the replica's store: on this thread if that takes microseconds. `None` to look
    /// again.
    async fn look(&self, read: &Read, life: &Life) -> Result<Option<ReadAnswer>, ReadAnswer> {
        let lanes = &self.replica.lanes;
        let short = is_short(&read.look);
        let seen = if let (Some(store), true) = (lanes.inline(), short) {
            see(&read.look, &self.replica, store)
        } else {
            let (look, replica) = (read.look.clone(), Arc::clone(&self.replica));
            let look = move |store: &dyn Store| see(&look, &replica, store);
            let looking =
                async { if short { lanes.read(look).await } else { lanes.read_long(look).await } };
            let late = |_| ReadAnswer::Unserved(Unserved::StoreLate);
            timeout_at(read.deadline, looking).await.map_err(late)?
        };
        match seen {
            Ok(seen) => Ok(self.served(seen)),
            Err(error) => {
                let (partition, node) = (self.replica.partition, self.replica.node);
                warn!(%partition, %node, %error, "store not read");
                // A leader that only reads would meet it in no other way, and go on leading.
                if let StoreError::Failed { why } = &error {
                    life.report_store_failure(why.clone());
                }
                // Another replica may do better, but only the leader may serve these.
                let waits = is_leaders(read.level) && Instant::now() < read.deadline;
                if waits { Ok(None) } else { Err(ReadAnswer::Store(error)) }
            }
        }
    }

    /// What was seen, if it may be served.
    fn served(&self, (seen, applied): (Seen, Scn)) -> Option<ReadAnswer> {
        let Proven { replica, role, proof } = self;
        let (now, reached) = (replica.role(), replica.applied_at_most().generation);
        let leads = *role == ReplicaRole::Leader;
        let role = if leads { ServedRole::Leader } else { ServedRole::Follower };
        let sight = || ReadAnswer::Seen(Box::new(Sight { seen, applied, role }));
        proof.holds(now, replica.restorations(), reached).then(sight)
    }
}

/// Whether only the leader may serve a read of `level`.
fn is_leaders(level: Level) -> bool {
    match level {
        Level::Strong | Level::Strict => true,
        Level::AtLeast(_) | Level::Bounded { .. } => false,
    }
}

/// Whether a look takes microseconds: less than the way to another thread.
fn is_short(look: &Look) -> bool {
    match look {
        Look::Get(..) | Look::Position | Look::History { .. } => true,
        Look::Find { keys, .. } => keys.len() <= DOCUMENTS_SHORT,
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
        Look::Find { keys, bytes_max } => {
            let view = store.view(partition)?;
            let applied = position_of(view.as_ref())?;
            (Seen::Documents(view.documents_of(keys, *bytes_max)?), applied)
        }
        Look::Page { range, limit, bytes_max } => {
            see_page(store.view(partition)?.as_ref(), range, *limit, *bytes_max)?
        }
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

fn see_page(
    view: &dyn View,
    range: &EntryRange,
    limit: usize,
    bytes_max: usize,
) -> Result<(Seen, Scn), StoreError> {
    let applied = position_of(view)?;
    let mut documents: Vec<(DocumentKey, StoredDocument)> = Vec::new();
    let mut bytes = 0;
    let mut next = None;
    for document in view.documents(range) {
        let (key, document) = document?;
        if documents.len() >= limit || bytes >= bytes_max {
            next = documents.last().map(|(key, _)| key.clone());
            break;
        }
        bytes += document.image().len();
        documents.push((key, document));
    }
    Ok((Seen::Page(DocumentPage { documents, next }), applied))
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
            Some(
                Reply::Written(_)
                | Reply::Each(_)
                | Reply::Refused(_)
                | Reply::Unknown(_)
                | Reply::NotDone(_),
            )
            | None,
        ) => Parked::NotHere,
        Err(_) => Parked::Late,
    }
}
