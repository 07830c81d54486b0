//! Orders about one partition's leadership and state: hand it over, compare it.
//!
//! Start reading at [`Gateway::hand_off`].

use super::Gateway;
use super::admin::{AdminError, not_done};
use crate::asker::{Asker, Input};
use crate::catalog::Database;
use crate::replica_handle::ReplicaHandle;
use crate::routes::Route;
use cortado_driver::Reply;
use cortado_model::{NodeId, PartitionId};
use cortado_replica::{NotDone, ReadNeed};
use tokio::time::{Instant, timeout_at};

impl Gateway {
    /// Gives the leadership of a partition to `to`, or to whoever should have it; answers when
    /// the successor serves.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn hand_off(
        &self,
        database: &Database,
        partition: u32,
        to: Option<NodeId>,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        if partition >= database.partitions {
            return Err(AdminError::NoSuchPartition);
        }
        self.hand_off_partition(database.partition_id(partition), to, deadline).await
    }

    /// Lets the replicas of a partition compare their state now, rather than when its log has
    /// grown. What they find is in the journal.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn verify(
        &self,
        database: &Database,
        partition: u32,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        if partition >= database.partitions {
            return Err(AdminError::NoSuchPartition);
        }
        let route = self.process.routes.route(database.partition_id(partition));
        let Some(leader) = self.leader(&route, deadline).await else {
            return Err(not_done("no replica leads the partition"));
        };
        match leader.send(Input::Verify).await {
            true => Ok(()),
            false => Err(not_done("the leader has gone away")),
        }
    }

    pub(crate) async fn hand_off_partition(
        &self,
        partition: PartitionId,
        to: Option<NodeId>,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let route = self.process.routes.route(partition);
        let mut changes = route.changes();
        let Some(leader) = self.leader(&route, deadline).await else {
            return Err(not_done("no replica leads the partition"));
        };
        if to == Some(leader.node) {
            return Ok(());
        }
        let successor = self.successor(&route, leader.node, to).ok_or(AdminError::NoSuchNode)?;
        let (caller, answer) = Asker::new();
        if !leader.send(Input::HandOff { caller, to: Some(successor) }).await {
            return Err(not_done("the leader has gone away"));
        }
        match timeout_at(deadline, leader.answer(answer)).await {
            Ok(Some(Reply::Ready)) => {}
            Ok(Some(Reply::NotDone(why))) => return Err(not_done(why_not(why))),
            Ok(Some(Reply::Written(_) | Reply::Refused(_) | Reply::Unknown(_)) | None) | Err(_) => {
                return Err(AdminError::Unknown { why: "no answer from the leader".to_owned() });
            }
        }
        self.nudge(&route, successor);
        // Not held any longer: the wait must not keep a store open whose node has ended.
        let former = (leader.node, leader.incarnation);
        drop(leader);
        loop {
            let serving = route.serving().map(|serving| (serving.node, serving.incarnation));
            if serving.is_some_and(|serving| serving != former) {
                return Ok(());
            }
            if timeout_at(deadline, changes.changed()).await.is_err() {
                let why = "the leader gave up; its successor does not serve yet".to_owned();
                return Err(AdminError::Unknown { why });
            }
        }
    }

    /// Lets a replica read its log at once: a step-down waits for it there.
    fn nudge(&self, route: &Route, node: NodeId) {
        let Some(end) = self.process.log.local_end(route.partition) else { return };
        let (caller, _) = Asker::new();
        let need = ReadNeed::Folded(end);
        if let Some(replica) = route.replica(node) {
            // If the line is full it is awake already.
            let _ = replica.offer(Input::Read { caller, need });
        }
    }

    /// Who should follow `leader`: `to`, or the first by rank that could.
    fn successor(&self, route: &Route, leader: NodeId, to: Option<NodeId>) -> Option<NodeId> {
        let fit = |replica: &ReplicaHandle| {
            replica.node != leader && replica.role().is_readable() && !replica.waits_for_room()
        };
        let nodes: Vec<NodeId> = route
            .replicas()
            .iter()
            .filter(|replica| fit(replica))
            .map(|replica| replica.node)
            .collect();
        match to {
            Some(to) => nodes.contains(&to).then_some(to),
            None => nodes.into_iter().min_by_key(|node| self.rank(route.partition, *node)),
        }
    }

    /// The place of `node` in the succession of a partition; the lowest should lead.
    fn rank(&self, partition: PartitionId, node: NodeId) -> usize {
        let catalog = self.catalog();
        let database = catalog.database_by_id(partition.database);
        let nodes = database.map_or(&[][..], |database| database.placement(partition.number));
        nodes.iter().position(|placed| *placed == node).unwrap_or(node.0 as usize)
    }
}

fn why_not(why: NotDone) -> &'static str {
    match why {
        NotDone::NotLeader => "another node leads by now",
        NotDone::Changing => "the leadership is changing already",
        NotDone::Overloaded => "too many writes are in flight",
        NotDone::LogRefused => "the log refused the step-down",
        NotDone::LogUnusable => "the log takes no writes until the process is restarted",
        NotDone::Exhausted => "the partition's generations are used up",
        NotDone::Offline => "the leader's replica is offline",
    }
}
