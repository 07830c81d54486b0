//! Orders about one partition's leadership and state: hand it over, compare it.
//!
//! Start reading at [`Gateway::hand_off`].

use super::Gateway;
use super::admin::{AdminError, not_done};
use crate::catalog::Database;
use crate::inbox::DriverInput;
use cortado_model::{NodeId, PartitionId};
use cortado_replica::NotDone;
use std::sync::Arc;
use tokio::sync::oneshot;
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
    /// grown. What they find is in the decision log.
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
        match leader.send(DriverInput::Verify).await {
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
        let candidates = route.replicas().into_iter().filter(|r| r.node != leader.node);
        let mut candidates = candidates.filter(|replica| replica.role().is_readable());
        let successor = match to {
            Some(node) => candidates.find(|replica| replica.node == node),
            // By rank, as the candidates of a failover are.
            None => candidates.min_by_key(|replica| self.rank(partition, replica.node)),
        };
        let successor = successor.ok_or(AdminError::NoSuchNode)?.node;
        let (reply, answer) = oneshot::channel();
        if !leader.send(DriverInput::HandOff { to: Some(successor), reply }).await {
            return Err(not_done("the leader has gone away"));
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(why))) => return Err(not_done(why_not(why))),
            Ok(Err(_)) | Err(_) => {
                return Err(AdminError::Unknown { why: "no answer from the leader".to_owned() });
            }
        }
        loop {
            if route.serving().is_some_and(|serving| !Arc::ptr_eq(&serving, &leader)) {
                return Ok(());
            }
            if timeout_at(deadline, changes.changed()).await.is_err() {
                let why = "the leader gave up; its successor does not serve yet".to_owned();
                return Err(AdminError::Unknown { why });
            }
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
