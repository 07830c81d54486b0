//! Writes, where they are done: by the task of the replica that leads.

use super::foresight::Late;
use super::{NoLeader, NodeService};
use crate::asker::{Asker, Input, Ticket};
use crate::local_routes::LocalRoute;
use crate::replica_handle::{NotTaken, ReplicaHandle};
use cortado_driver::{Reply, Tables, UnknownWhy, WriteOrder};
use cortado_gateway::is_next_life;
use cortado_model::PartitionId;
use cortado_peer::{Write, WriteAnswer};
use cortado_replica::NotDone;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

impl NodeService {
    /// Does a write if this node leads, or is about to.
    pub(crate) async fn answer_write(&self, write: Write) -> WriteAnswer {
        let route = self.host.routes.route(write.partition);
        let leader = match self.leader(&route, write.deadline).await {
            Ok(leader) => leader,
            Err(NoLeader::Elsewhere(leader)) => return WriteAnswer::WrongNode(leader),
            Err(NoLeader::NoRoom) => return WriteAnswer::NoRoom,
            Err(NoLeader::Dropped) => return WriteAnswer::NoSuchDatabase,
        };
        if self.is_unsafe(&write) {
            return WriteAnswer::LogDrift;
        }
        let tables = match self.tables(&write).await {
            Ok(tables) => tables,
            Err(answer) => return answer,
        };
        let (operations, foreseen) = match &tables {
            None => (write.operations, Vec::new()),
            Some(tables) => {
                let (tables, lanes) = (Arc::clone(tables), &leader.lanes);
                let (partition, deadline) = (write.partition, write.deadline);
                let foresight =
                    self.foresight.of(tables, write.operations, partition, lanes, deadline).await;
                match foresight {
                    Ok(foreseen) => foreseen,
                    Err(Late) => return WriteAnswer::Late,
                }
            }
        };
        let Write { mode, keyed, deadline, .. } = write;
        let order = WriteOrder { tables, operations, foreseen, mode, keyed };
        self.ask(&leader, order, deadline, &route).await
    }

    /// Whether the log could lose what is written, and that must not happen to it.
    fn is_unsafe(&self, write: &Write) -> bool {
        let is_of_cluster = write.partition == PartitionId::CLUSTER;
        let may_be_lost = is_of_cluster && is_next_life(&write.operations);
        !may_be_lost && self.host.health.drifts.concerns(write.partition.database)
    }

    /// The tables of the partition's database, as new as the asking node knows them; none for
    /// `_cluster`.
    async fn tables(&self, write: &Write) -> Result<Option<Arc<dyn Tables>>, WriteAnswer> {
        let database = write.partition.database;
        if database == PartitionId::CLUSTER.database {
            return Ok(None);
        }
        let catalog = self.host.cluster.catalog.reaching(write.catalog, write.deadline).await;
        let catalog = catalog.ok_or(WriteAnswer::Late)?;
        let database = catalog.database_by_id(database).ok_or(WriteAnswer::NoSuchDatabase)?;
        Ok(Some(Arc::clone(database) as Arc<dyn Tables>))
    }

    /// Asks the leader's task, and waits for its answer until the deadline.
    async fn ask(
        &self,
        leader: &ReplicaHandle,
        order: WriteOrder,
        deadline: Instant,
        route: &LocalRoute,
    ) -> WriteAnswer {
        let ticket = Arc::new(Ticket::default());
        let (caller, answer) = Asker::with(&ticket);
        let log_end = self.host.log.local_end(leader.partition);
        match leader.offer(Input::Write { caller, order, log_end }) {
            Ok(()) => {}
            Err(NotTaken::Full) => return WriteAnswer::NotDone(NotDone::Overloaded),
            Err(NotTaken::Gone) => return WriteAnswer::WrongNode(route.leader()),
        }
        let answered = tokio::select! {
            biased;
            answered = timeout_at(deadline, leader.answer(answer)) => answered,
            () = self.cut_off(route, leader) => Ok(None),
        };
        match answered {
            Ok(Some(Reply::Written(written))) => WriteAnswer::Written(written),
            Ok(Some(Reply::Each(ended))) => WriteAnswer::Each(ended),
            Ok(Some(Reply::Refused(refused))) => WriteAnswer::Refused(refused),
            Ok(Some(Reply::NotDone(why))) if why.is_for_another_leader() => {
                WriteAnswer::WrongNode(route.leader())
            }
            Ok(Some(Reply::NotDone(why))) => WriteAnswer::NotDone(why),
            Ok(Some(Reply::Unknown(why))) => WriteAnswer::Unknown(why),
            // A write is never answered with `Ready`; if it were, its outcome would be unknown.
            Ok(Some(Reply::Ready)) => WriteAnswer::Unknown(UnknownWhy::LeaderLost),
            // The replica went away, with the write begun or still in line.
            Ok(None) if ticket.withdraw() => WriteAnswer::WrongNode(route.leader()),
            Ok(None) => WriteAnswer::Unknown(UnknownWhy::LeaderLost),
            Err(_) if ticket.withdraw() => WriteAnswer::Late,
            Err(_) => WriteAnswer::UnknownLate,
        }
    }
}
