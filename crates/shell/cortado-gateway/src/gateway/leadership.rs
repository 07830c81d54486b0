//! Orders about one partition's leadership and state: hand it over, compare it.
//!
//! Start reading at [`Gateway::hand_off`].

use super::admin_error::{AdminError, Obstacle, Uncertainty, not_done};
use super::pins::PinChange;
use super::read::{Wanted, stands_still};
use super::search::Search;
use super::status::{Reports, leader_of, replicas_of};
use super::{Consistency, Gateway, ReadOptions};
use crate::catalog::Database;
use crate::decisions::Manual;
use crate::events::EventKind;
use cortado_driver::ReplicaRole;
use cortado_model::{NodeId, PartitionId, with_causes};
use cortado_peer::{CallError, HandOff, HandOffAnswer, VerifyAnswer};
use cortado_replica::NotDone;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{error, info};

/// How often it is looked for a partition's leader.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long it may take to take a pin back.
const PIN_BACK_TIMEOUT: Duration = Duration::from_secs(5);

impl Gateway {
    /// Gives the leadership of a partition to `to`, or to the best other replica, and pins it
    /// there; answers when the successor serves.
    ///
    /// # Errors
    /// See [`AdminError`]. On all but `Unknown` nothing is pinned that was not before.
    ///
    /// Source: docs/protocols/failover.md, "Pins and drains".
    pub async fn hand_off(
        &self,
        database: &Database,
        partition: u32,
        to: Option<NodeId>,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let partition = partition_of(database, partition)?;
        let to = self.successor(database, partition, to, deadline).await?;
        let gateway = self.clone();
        // A task: a client that goes away leaves no pin without its handoff.
        let done =
            tokio::spawn(async move { gateway.pin_and_order(partition, to, deadline).await });
        done.await.unwrap_or_else(|error| {
            if error.is_panic() {
                error!(%partition, %error, "handoff panicked: a defect, please report it");
                return Err(AdminError::Unknown(Uncertainty::LeaderSilent));
            }
            Err(AdminError::Unknown(Uncertainty::Interrupted))
        })
    }

    /// Pins a leadership to `to` and has it handed over there, or leaves all as it was.
    async fn pin_and_order(
        self,
        partition: PartitionId,
        to: NodeId,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let catalog = self.catalog();
        let database = catalog.database_by_id(partition.database);
        let database = database.ok_or(AdminError::NoSuchDatabase)?;
        // Before the leadership moves: its new leader would give it back at once.
        let before = self.set_pin(database, partition, PinChange::Place(to), deadline).await?;
        let now = Instant::now();
        // Leaves time to take the pin back.
        let order_by = now + deadline.saturating_duration_since(now) / 4 * 3;
        let outcome = match self.order_hand_off(partition, to, order_by).await {
            done @ (Ok(()) | Err(AdminError::Unknown(_))) => done,
            Err(error) => {
                // A pin alone would move it later.
                let deadline = Instant::now() + PIN_BACK_TIMEOUT;
                let back = PinChange::TakeBack { from: to, before };
                match self.set_pin(database, partition, back, deadline).await {
                    Ok(_) | Err(AdminError::NoSuchDatabase) => return Err(error),
                    Err(_) => Err(AdminError::Unknown(Uncertainty::PinStays { to })),
                }
            }
        };
        let what = match &outcome {
            Ok(()) => {
                let reports = self.reports(Some(database.id)).await;
                outcome_of(to, leader_of(&replicas_of(&reports, partition)))
            }
            Err(error) => format!("pinned to {to} by an operator: {}", with_causes(error)),
        };
        info!(%partition, %to, outcome = what, "handoff by an operator");
        let manual = self.manual_of_hand_off(database, partition.number, to, before);
        self.explain_order(EventKind::HandOff, Some(partition), what, manual);
        outcome
    }

    /// How an operator hands a leadership over to `to` and undoes it.
    ///
    /// * `before`: where it was pinned.
    fn manual_of_hand_off(
        &self,
        database: &Database,
        number: u32,
        to: NodeId,
        before: Option<NodeId>,
    ) -> Manual {
        let name = &database.name;
        let catalog = self.catalog();
        let mut pins = catalog.pins.get(&database.id).into_iter().flatten();
        let undo = match before {
            Some(before) if before == to => {
                "nothing to undo: it was pinned there before".to_owned()
            }
            Some(before) => format!("cortado handoff {name}/{number} --to {before}"),
            None if pins.all(|(pinned, _)| *pinned == number) => {
                format!("cortado rebalance {name}")
            }
            None => format!("cortado rebalance {name}, which forgets the other pins of {name} too"),
        };
        Manual::Texts { by_hand: format!("cortado handoff {name}/{number} --to {to}"), undo }
    }

    /// The node that a handoff goes to: `to`, or the first in succession that could lead.
    ///
    /// # Errors
    /// There is none, or it should lead nothing.
    async fn successor(
        &self,
        database: &Database,
        partition: PartitionId,
        to: Option<NodeId>,
        deadline: Instant,
    ) -> Result<NodeId, AdminError> {
        if let Some(to) = to
            && self.newest_catalog(deadline).await?.is_drained(to)
        {
            return Err(AdminError::NodeDrained);
        }
        let begun = Instant::now();
        while self.may_go_on(partition, begun, deadline)? {
            let reports = self.reports(Some(database.id)).await;
            if let Some(to) = to {
                let could = could_lead(&reports, partition, to);
                return if could { Ok(to) } else { Err(AdminError::CannotLead) };
            }
            if let Some(leader) = leader_of(&replicas_of(&reports, partition)) {
                let catalog = self.catalog();
                let order = catalog.succession(partition, database.placement(partition.number));
                let order = order.ok_or(AdminError::CannotLead)?;
                let others = order
                    .nodes()
                    .iter()
                    .filter(|node| **node != leader && !catalog.is_drained(**node));
                let mut others = others.filter(|node| could_lead(&reports, partition, **node));
                return others.next().copied().ok_or(AdminError::CannotLead);
            }
            sleep(LOOK_AGAIN).await;
        }
        Err(not_done(Obstacle::NoLeader))
    }

    /// Tells the leader, whoever that is, to step down in favour of `to`.
    async fn order_hand_off(
        &self,
        partition: PartitionId,
        to: NodeId,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let (mut search, begun) = (Search::new(self, partition), Instant::now());
        while self.may_go_on(partition, begun, deadline)? {
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
                // The leader has seen the pin itself, or another node has claimed.
                Ok(HandOffAnswer::NotDone(NotDone::Changing | NotDone::NotLeader)) => None,
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
    /// It never will be, or not before an operator has done something.
    fn may_go_on(
        &self,
        partition: PartitionId,
        begun: Instant,
        deadline: Instant,
    ) -> Result<bool, AdminError> {
        if self.is_ending() {
            return Err(not_done(Obstacle::Ending));
        }
        if let Some(why) = self.lasting_standstill(partition, begun) {
            return Err(not_done(stands_still(why)));
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
        let (mut search, begun) = (Search::new(self, partition), Instant::now());
        while self.may_go_on(partition, begun, deadline)? {
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

/// What has become of a handoff to `to` after which `leader` leads.
fn outcome_of(to: NodeId, leader: Option<NodeId>) -> String {
    match leader {
        Some(leader) if leader == to => {
            format!("handed over to {to} by an operator; it stays there")
        }
        Some(leader) => format!(
            "pinned to {to} by an operator, and led by {leader}: {to} gets it when it can lead"
        ),
        None => format!("pinned to {to} by an operator; no node leads it yet"),
    }
}

pub(super) fn partition_of(database: &Database, number: u32) -> Result<PartitionId, AdminError> {
    let is_there = number < database.partitions;
    is_there.then(|| database.partition_id(number)).ok_or(AdminError::NoSuchPartition)
}

/// Whether the replica of `node` leads, or could.
fn could_lead(reports: &Reports, partition: PartitionId, node: NodeId) -> bool {
    let fit = reports.told.get(&node).is_some_and(|report| report.fit);
    let replicas = replicas_of(reports, partition);
    let none_has_room = replicas.iter().all(|(_, told)| !told.progress.has_room);
    let mut own = replicas.iter().filter(|(of, _)| *of == node).map(|(_, told)| told.progress);
    own.any(|told| told.role == ReplicaRole::Leader || told.could_lead(fit, none_has_room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handoff_whose_target_does_not_lead_is_not_told_as_done() {
        let told = |leader| outcome_of(NodeId(2), leader);
        assert_eq!(told(Some(NodeId(2))), "handed over to n2 by an operator; it stays there");
        let elsewhere = told(Some(NodeId(3)));
        assert!(elsewhere.starts_with("pinned to n2") && elsewhere.contains("led by n3"));
        assert!(told(None).contains("no node leads it yet"));
    }
}
