//! Changes of where replicas live, as operators order them: planned, begun, paused, cancelled.
//!
//! Declares what is wanted; the controller carries it out. Start reading at
//! [`Gateway::begin_change`]. Source: docs/protocols/moves.md, "What is planned".

use super::Gateway;
use super::admin_error::AdminError;
use super::declaration::{operation, put};
use crate::catalog::{Catalog, NodeFacts};
use crate::cluster_log::{COUNTERS, CounterDocument, node_key, write};
use crate::conditions::{if_absent, if_still};
use crate::decisions::Manual;
use crate::events::EventKind;
use crate::move_status::{ChangeOrder, ChangePlan, ChangeStatus, MoveWaiting, PlannedMove};
use crate::moves::{
    CHANGES, ChangeDocument, TARGETS, TargetsDocument, change_counter_key, change_key, targets_key,
};
use crate::pins::{DRAINS, DrainDocument};
use crate::seen_moves::{Told, concerned, movable};
use cortado_cluster::{
    ChangeId, ChangeState, Located, MoveLimits, MoveTarget, Placed, Placement, PlacementNode,
    PlanError, PlannedChange, PlannedKind, next_steps, plan_moves, progress_of, waiting,
};
use cortado_document::{Condition, DocumentAction, Operation};
use cortado_model::limits::OPERATIONS_MAX;
use cortado_model::{DatabaseId, PartitionId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::info;

/// How long a plan waits for the nodes to find out how large replicas are.
const MEASURED: Duration = Duration::from_secs(2);
/// How often it is looked whether they have.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Gateway {
    /// What a change would move. Nothing is done.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn plan_change(
        &self,
        order: &ChangeOrder,
        deadline: Instant,
    ) -> Result<ChangePlan, AdminError> {
        let catalog = self.newest_catalog(deadline).await?;
        let targets = targets_of(order.kind, &catalog)?;
        Ok(self.plan_of(order, &catalog, &targets, deadline).await)
    }

    /// Plans a change and lets it begin. One that moves nothing is not declared, unless a node is
    /// to leave.
    ///
    /// # Errors
    /// See [`AdminError`]; another change that is not over is one.
    pub async fn begin_change(
        &self,
        order: &ChangeOrder,
        deadline: Instant,
    ) -> Result<ChangePlan, AdminError> {
        loop {
            let counter = self.etag_of(COUNTERS, &change_counter_key(), deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            if let Some(other) = catalog.changes().next() {
                return Err(AdminError::ChangeUnderWay { id: other.id, kind: other.kind });
            }
            let targets = targets_of(order.kind, &catalog)?;
            let mut plan = self.plan_of(order, &catalog, &targets, deadline).await;
            if targets.is_empty() && order.kind.leaving().is_none() {
                return Ok(plan);
            }
            // First the id, which is nobody else's then; last the change, without which its targets
            // count for nothing.
            let (id, reserved) = (catalog.next_change, CounterDocument::new(next_after(&catalog)));
            let condition = counter.map_or_else(if_absent, if_still);
            let reserve = put(COUNTERS, change_counter_key(), write(&reserved), condition);
            if self.declare(vec![reserve], deadline).await?.is_none() {
                continue;
            }
            self.declare_targets(id, &targets, deadline).await?;
            let change = PlannedChange {
                id,
                kind: order.kind,
                state: ChangeState::Running,
                limits: order.limits,
                // A cluster has at most some ten thousand replicas.
                replicas: plan.replicas as u32,
                bytes: plan.bytes,
            };
            if self.declare_change(&change, deadline).await? {
                plan.id = Some(id);
                self.tell_change(&change, "planned", &catalog);
                return Ok(plan);
            }
        }
    }

    /// Writes where replicas should be after a change, in as many parts as it takes.
    pub(crate) async fn declare_targets(
        &self,
        id: ChangeId,
        targets: &[MoveTarget],
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let mut by_database: BTreeMap<DatabaseId, Vec<MoveTarget>> = BTreeMap::new();
        for target in targets {
            by_database.entry(target.partition.database).or_default().push(target.clone());
        }
        let written = by_database.into_iter().map(|(database, targets)| {
            let document = write(&TargetsDocument::of(&targets));
            put(TARGETS, targets_key(id, database), document, Condition::default())
        });
        let operations: Vec<Operation> = written.collect();
        for part in operations.chunks(OPERATIONS_MAX) {
            while self.declare(part.to_vec(), deadline).await?.is_none() {}
        }
        Ok(())
    }

    /// Writes the change itself, if its id is still the last one; a node that is to leave leads
    /// nothing from then on that another one can.
    async fn declare_change(
        &self,
        change: &PlannedChange,
        deadline: Instant,
    ) -> Result<bool, AdminError> {
        let counter = self.etag_of(COUNTERS, &change_counter_key(), deadline).await?;
        let catalog = self.newest_catalog(deadline).await?;
        let (Some(counter), true) = (counter, catalog.next_change.0 == change.id.0 + 1) else {
            return Ok(false);
        };
        let is_last = DocumentAction::Check;
        let mut operations = vec![
            operation(COUNTERS, change_counter_key(), is_last, if_still(counter)),
            put(CHANGES, change_key(change.id), write(&ChangeDocument::of(change)), if_absent()),
        ];
        operations.extend(change.kind.leaving().map(|node| {
            put(DRAINS, node_key(node), write(&DrainDocument::new()), Condition::default())
        }));
        Ok(self.declare(operations, deadline).await?.is_some())
    }

    /// Pauses, resumes or cancels a change.
    ///
    /// # Errors
    /// See [`AdminError`]; what is cancelled stays so.
    pub async fn set_change_state(
        &self,
        id: ChangeId,
        state: ChangeState,
        deadline: Instant,
    ) -> Result<PlannedChange, AdminError> {
        let word = match state {
            ChangeState::Running => "resumed",
            ChangeState::Paused => "paused",
            ChangeState::Cancelled => "cancelled",
        };
        self.alter_change(id, word, deadline, |change| {
            if change.state == ChangeState::Cancelled && state != ChangeState::Cancelled {
                return Err(AdminError::ChangeCancelled);
            }
            change.state = state;
            Ok(())
        })
        .await
    }

    /// Lets a change go on faster, or slower.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn throttle_change(
        &self,
        id: ChangeId,
        throttle: impl Fn(&mut MoveLimits),
        deadline: Instant,
    ) -> Result<PlannedChange, AdminError> {
        self.alter_change(id, "throttled", deadline, |change| {
            throttle(&mut change.limits);
            Ok(())
        })
        .await
    }

    async fn alter_change(
        &self,
        id: ChangeId,
        word: &str,
        deadline: Instant,
        alter: impl Fn(&mut PlannedChange) -> Result<(), AdminError>,
    ) -> Result<PlannedChange, AdminError> {
        loop {
            let catalog = self.newest_catalog(deadline).await?;
            let (mut change, etag) =
                catalog.changes.get(&id).copied().ok_or(AdminError::NoSuchChange)?;
            let before = change;
            alter(&mut change)?;
            if change == before {
                return Ok(change);
            }
            let document = write(&ChangeDocument::of(&change));
            let altered = vec![put(CHANGES, change_key(id), document, if_still(etag))];
            if self.declare(altered, deadline).await?.is_some() {
                self.tell_change(&change, word, &catalog);
                return Ok(change);
            }
        }
    }

    /// The changes that are not over, and how far each is.
    pub async fn changes_status(&self) -> Vec<ChangeStatus> {
        let catalog = self.catalog();
        let mut found = Vec::new();
        for change in catalog.changes() {
            let told = self.told_of(&catalog, Some(&concerned(&catalog, change.id))).await;
            let partitions = told.partitions(&catalog, change);
            let members: BTreeSet<_> = catalog.members().collect();
            let decisions = next_steps(change, &partitions, &members, &told.alive());
            let rate = self.rate_of(change, &partitions);
            let waits = waiting(&decisions).into_iter().map(|(wait, first, partitions)| {
                MoveWaiting { why: wait.to_string(), first, partitions }
            });
            found.push(ChangeStatus {
                change: *change,
                progress: progress_of(change, &partitions, rate),
                waiting: waits.collect(),
            });
        }
        found
    }

    async fn plan_of(
        &self,
        order: &ChangeOrder,
        catalog: &Catalog,
        targets: &[MoveTarget],
        deadline: Instant,
    ) -> ChangePlan {
        let moves: Vec<PlannedMove> =
            targets.iter().flat_map(|target| moves_of(catalog, target)).collect();
        let copied: BTreeSet<PartitionId> =
            moves.iter().filter(|planned| planned.to.is_some()).map(|one| one.partition).collect();
        let told = self.measured(catalog, &copied, deadline).await;
        let copies = moves.iter().filter(|planned| planned.to.is_some());
        let sizes: Vec<Option<u64>> = copies.map(|copy| told.bytes_of(copy.partition)).collect();
        ChangePlan {
            id: None,
            kind: order.kind,
            limits: order.limits,
            replicas: sizes.len(),
            bytes: sizes.iter().flatten().sum(),
            all_measured: sizes.iter().all(Option::is_some),
            partitions: targets.len(),
            moves,
        }
    }

    /// What nodes hold of `partitions`, when their leaders have found out how much that is, or
    /// after a while.
    async fn measured(
        &self,
        catalog: &Catalog,
        partitions: &BTreeSet<PartitionId>,
        deadline: Instant,
    ) -> Told {
        let give_up_at = deadline.min(Instant::now() + MEASURED);
        loop {
            let told = self.told_of(catalog, Some(partitions)).await;
            let is_known = |partition: &PartitionId| {
                told.bytes_of(*partition).is_some() || !told.is_led(*partition)
            };
            if partitions.iter().all(is_known) || Instant::now() >= give_up_at {
                return told;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn tell_change(&self, change: &PlannedChange, word: &str, catalog: &Catalog) {
        let PlannedChange { id, kind, replicas, .. } = change;
        let what = format!("change {id} is {word}: {kind}");
        info!(
            change = id.0,
            kind = catalog.with_node_names(&kind.to_string()),
            replicas,
            word,
            "change of replicas"
        );
        let undo = match word {
            "paused" => format!("cortado moves resume {id}"),
            "resumed" => format!("cortado moves pause {id}"),
            "cancelled" => "order the same change again: it goes on from what is there".to_owned(),
            _ => format!("cortado moves cancel {id}"),
        };
        let by_hand = by_hand(*kind, catalog);
        self.explain_order(EventKind::Move, None, what, Manual::Texts { by_hand, undo });
    }
}

/// The command that orders a change.
pub(crate) fn by_hand(kind: PlannedKind, catalog: &Catalog) -> String {
    match kind {
        PlannedKind::AddNode(_) | PlannedKind::Expand => "cortado rebalance --replicas".to_owned(),
        PlannedKind::RemoveNode(node) => format!("cortado node remove {node}"),
        PlannedKind::ReplaceNode { from, to } => format!("cortado node replace {from} --by {to}"),
        PlannedKind::Manual { partition, from, to } => {
            let database = catalog.database_by_id(partition.database);
            let name = database.map_or("DB", |database| database.name.as_str());
            format!("cortado moves start {name}/{} --from {from} --to {to}", partition.number)
        }
    }
}

fn next_after(catalog: &Catalog) -> u32 {
    // Four thousand million changes are more than any cluster sees.
    u32::try_from(catalog.next_change.0 + 1).unwrap_or(u32::MAX)
}

/// Where replicas should be after a change.
///
/// # Errors
/// It cannot be planned.
pub(crate) fn targets_of(
    kind: PlannedKind,
    catalog: &Catalog,
) -> Result<Vec<MoveTarget>, AdminError> {
    let located = movable(catalog).into_iter().filter_map(|partition| {
        let database = catalog.database_by_id(partition.database)?;
        let placement = Placement::new(database.placement(partition.number).to_vec())?;
        let replication = catalog.replication_without(database, kind.leaving());
        Some(Located { partition, placed: Placed { placement, replication } })
    });
    let located: Vec<Located> = located.collect();
    let members = catalog.members().filter_map(|node| catalog.node(node));
    let nodes: Vec<PlacementNode> = members.map(NodeFacts::placed).collect();
    if let Some(node) = kind.leaving()
        && !nodes.iter().any(|known| known.node == node)
    {
        return Err(not_planned(&PlanError::NoSuchNode { node }, catalog));
    }
    plan_moves(kind, &located, &nodes).map_err(|error| not_planned(&error, catalog))
}

/// The reason in the words of operators, who know databases by their names.
fn not_planned(error: &PlanError, catalog: &Catalog) -> AdminError {
    let mut why = error.to_string();
    let partition = match error {
        PlanError::TooFewNodes { partition, .. }
        | PlanError::NoSuchReplica { partition, .. }
        | PlanError::ReplicaExists { partition, .. } => Some(partition),
        PlanError::LastNode { .. } | PlanError::NoSuchNode { .. } => None,
    };
    if let Some(partition) = partition
        && let Some(database) = catalog.database_by_id(partition.database)
    {
        let named = format!("{}/{}", database.name, partition.number);
        why = why.replacen(&partition.to_string(), &named, 1);
    }
    AdminError::NotPlanned { why: catalog.with_node_names(&why) }
}

/// The replicas that come and go for one target.
fn moves_of(catalog: &Catalog, target: &MoveTarget) -> Vec<PlannedMove> {
    let partition = target.partition;
    let database = catalog.database_by_id(partition.database);
    let placed = database.map_or(&[][..], |database| database.placement(partition.number));
    let to: Vec<_> =
        target.placement.nodes().iter().copied().filter(|node| !placed.contains(node)).collect();
    let from: Vec<_> =
        placed.iter().copied().filter(|node| !target.placement.contains(*node)).collect();
    let moves = 0..to.len().max(from.len());
    let one = |at: usize| {
        let (from, to) = (from.get(at).copied(), to.get(at).copied());
        PlannedMove { partition, from, to }
    };
    moves.map(one).collect()
}
