//! Orders about one partition's leadership and state: hand it over, compare it.
//!
//! Start reading at [`Gateway::hand_off`].

use super::admin_error::{AdminError, Obstacle, Uncertainty, not_done};
use super::read::Wanted;
use super::search::Search;
use super::{Consistency, Gateway, ReadOptions};
use crate::catalog::Database;
use cortado_model::{NodeId, PartitionId};
use cortado_peer::{CallError, HandOff, HandOffAnswer, VerifyAnswer};
use tokio::time::Instant;

impl Gateway {
    /// Gives the leadership of a partition to `to`, or to the best other replica; answers when
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
        let partition = partition_of(database, partition)?;
        let mut search = Search::new(self, partition);
        while self.may_go_on(partition, deadline)? {
            let Some((_, target)) = search.next() else {
                search.wait(None, deadline).await;
                continue;
            };
            let order = HandOff { partition, to, deadline };
            let known = match target.hand_off(order).await {
                Ok(HandOffAnswer::Leads) => return Ok(()),
                Ok(HandOffAnswer::SteppedDown(_)) => {
                    return self.await_successor(partition, deadline).await;
                }
                Ok(HandOffAnswer::NoSuccessor) => return Err(AdminError::CannotLead),
                Ok(HandOffAnswer::NotDone(why)) => return Err(not_done(Obstacle::NoStepDown(why))),
                Ok(HandOffAnswer::Unknown) | Err(CallError::Lost | CallError::Late) => {
                    return Err(AdminError::Unknown(Uncertainty::LeaderSilent));
                }
                Ok(HandOffAnswer::WrongNode(leader)) => Some(leader),
                Err(CallError::Unreachable) => None,
            };
            search.wait(known, deadline).await;
        }
        Err(not_done(Obstacle::NoLeader))
    }

    /// Whether it is of use to look for a leader any longer.
    ///
    /// # Errors
    /// It never will be.
    fn may_go_on(&self, partition: PartitionId, deadline: Instant) -> Result<bool, AdminError> {
        if self.is_ending() {
            return Err(not_done(Obstacle::Ending));
        }
        if self.exists(partition.database) {
            Ok(Instant::now() < deadline)
        } else {
            Err(AdminError::NoSuchDatabase)
        }
    }

    /// Waits until a leader serves whose leadership began after the step-down.
    async fn await_successor(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        // A leader that has stepped down serves no strong read.
        match self.read(partition, &read, Wanted::position()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(AdminError::Unknown(Uncertainty::NoSuccessor(error))),
        }
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
        let partition = partition_of(database, partition)?;
        let mut search = Search::new(self, partition);
        while self.may_go_on(partition, deadline)? {
            let known = match search.next() {
                None => None,
                Some((_, target)) => match target.verify(partition, deadline).await {
                    Ok(VerifyAnswer::Begun) => return Ok(()),
                    Ok(VerifyAnswer::WrongNode(leader)) => Some(leader),
                    // Begun twice, it is one round.
                    Err(CallError::Unreachable | CallError::Lost | CallError::Late) => None,
                },
            };
            search.wait(known, deadline).await;
        }
        Err(not_done(Obstacle::NoLeader))
    }
}

fn partition_of(database: &Database, number: u32) -> Result<PartitionId, AdminError> {
    let is_there = number < database.partitions;
    is_there.then(|| database.partition_id(number)).ok_or(AdminError::NoSuchPartition)
}
