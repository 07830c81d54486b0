//! Carrying out planned changes of where replicas live, while this node leads `_cluster`.
//!
//! What comes next is decided by `cortado-cluster` from what stands in `_cluster` and what nodes
//! say; here is done what that needs. Nothing is remembered that counts: any later controller goes
//! on. Start reading at [`Gateway::move_replicas`]. Source: docs/protocols/moves.md.

mod writes;

use crate::catalog::Catalog;
use crate::cluster_log::{
    COUNTERS, CounterDocument, NODES, NodeDocument, database_counter_key, node_key, write,
};
use crate::conditions::{if_absent, if_still};
use crate::decisions::Manual;
use crate::events::EventKind;
use crate::gateway::{AdminError, Gateway, by_hand, not_done, put, targets_of};
use crate::moves::{CHANGES, TARGETS, change_key, targets_key};
use crate::pins::DRAINS;
use crate::seen_moves::{Told, concerned, movable};
use cortado_cluster::{
    ChangeId, ChangeState, MoveDecision, MoveStep, MoveWait, PlannedChange, next_steps, repair,
    waiting,
};
use cortado_document::{Condition, DocumentAction, Operation};
use cortado_model::{DatabaseId, NodeId, PartitionId, with_causes};
use cortado_peer::{ChangeReplicas, ChangeReplicasAnswer};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};
use writes::MoveWrites;

/// How often the controller looks while a change is under way.
const LOOK: Duration = Duration::from_millis(100);
/// And so much less often for each partition that is concerned: a look asks every node about all of
/// them, and what moves thousands is not at its end within a second.
const LOOK_EACH: Duration = Duration::from_micros(200);
/// How often it looks whether one is.
const IDLE_LOOK: Duration = Duration::from_millis(500);
/// How often it looks for replica sets that are not as placed, where nothing moves. That takes an
/// order which came late: rare, and harmless until something else fails.
const REPAIR_LOOK: Duration = Duration::from_secs(30);
/// And as long as one of them is being brought back to its placement.
const REPAIRING_LOOK: Duration = Duration::from_secs(1);
/// What the writes of one look may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// What a leader may take to have an order in line.
const ORDER_TIMEOUT: Duration = Duration::from_secs(2);

/// What the controller remembers between looks; nothing that a decision rests on.
#[derive(Default)]
struct Mover {
    /// When replica sets were looked at last without a change.
    repaired_at: Option<Instant>,
    /// Something was found then that can be repaired.
    repairs: bool,
    /// What partitions waited for when that was told last.
    told_waits: Vec<String>,
}

impl Gateway {
    /// Moves replicas as planned while this node leads `_cluster`, until it ends.
    ///
    /// * `leads`: whether it does now.
    pub async fn move_replicas(self, leads: impl Fn() -> bool + Send) {
        let mut mover = Mover::default();
        loop {
            let catalog = self.catalog();
            let change = catalog.changes().next().filter(|_| leads());
            let concerned = change.map(|change| concerned(&catalog, change.id).len() as u32);
            sleep(concerned.map_or(IDLE_LOOK, |partitions| LOOK + LOOK_EACH * partitions)).await;
            if !leads() {
                mover = Mover::default();
                continue;
            }
            if let Err(error) = mover.look(&self).await {
                warn!(error = with_causes(&error), "replicas not moved; retrying");
            }
        }
    }
}

impl Mover {
    async fn look(&mut self, gateway: &Gateway) -> Result<(), AdminError> {
        let catalog = gateway.catalog();
        let Some(change) = catalog.changes().next().copied() else {
            return self.repair(gateway, &catalog).await;
        };
        // Once it is over, what was ordered last may come late.
        self.repaired_at = None;
        let told = gateway.told_of(&catalog, Some(&concerned(&catalog, change.id))).await;
        let partitions = told.partitions(&catalog, &change);
        let members: BTreeSet<NodeId> = catalog.members().collect();
        gateway.rate_of(&change, &partitions);
        let decisions = next_steps(&change, &partitions, &members, &told.alive());
        self.tell_waits(&catalog, &change, &decisions);
        if decisions.iter().all(|decision| matches!(decision.step, MoveStep::Done)) {
            return end_change(gateway, &change).await;
        }
        carry_out(gateway, &catalog, Some(&change), decisions).await
    }

    /// Brings replica sets back to the placements, where no change is under way.
    async fn repair(&mut self, gateway: &Gateway, catalog: &Catalog) -> Result<(), AdminError> {
        if gateway.grow_journal(catalog).await? {
            // Its replica sets are not as placed any more.
            self.repaired_at = None;
            return Ok(());
        }
        let pause = if self.repairs { REPAIRING_LOOK } else { REPAIR_LOOK };
        if self.repaired_at.is_some_and(|at| at.elapsed() < pause) {
            return Ok(());
        }
        self.repaired_at = Some(Instant::now());
        let told: Told = gateway.told_of(catalog, None).await;
        let repaired = movable(catalog).into_iter().filter_map(|partition| {
            let step = repair(&told.partition(catalog, partition)?)?;
            Some(MoveDecision { partition, step, evidence: Vec::new() })
        });
        let repaired: Vec<MoveDecision> = repaired.collect();
        let goes_on = |one: &MoveDecision| {
            !matches!(one.step, MoveStep::Wait(MoveWait::NodeIsAway(_) | MoveWait::HandsOver(_)))
        };
        self.repairs = repaired.iter().any(goes_on);
        carry_out(gateway, catalog, None, repaired).await
    }

    /// Tells what partitions wait for, once for each reason.
    fn tell_waits(&mut self, catalog: &Catalog, change: &PlannedChange, decided: &[MoveDecision]) {
        let waits: Vec<_> = waiting(decided);
        let reasons: Vec<String> = waits.iter().map(|(wait, _, _)| wait.to_string()).collect();
        if reasons == self.told_waits {
            return;
        }
        for (wait, first, partitions) in waits {
            let reason = catalog.with_node_names(&wait.to_string());
            debug!(change = change.id.0, partition = %first, partitions, reason, "moves wait");
        }
        self.told_waits = reasons;
    }
}

/// Gives the orders, and writes down the rest together; what was overtaken is decided anew.
async fn carry_out(
    gateway: &Gateway,
    catalog: &Catalog,
    change: Option<&PlannedChange>,
    decisions: Vec<MoveDecision>,
) -> Result<(), AdminError> {
    let mut orders = JoinSet::new();
    let mut writes = MoveWrites::new(catalog, change);
    for MoveDecision { partition, step, evidence } in decisions {
        match step {
            MoveStep::Done | MoveStep::Wait(_) => {}
            MoveStep::ChangeReplicas { leader, generation, from, to, declared_at } => {
                let deadline = Instant::now() + ORDER_TIMEOUT;
                let order =
                    ChangeReplicas { partition, generation, from, to, declared_at, deadline };
                orders.spawn(give_order(gateway.clone(), leader, order));
            }
            step => writes.add(partition, step, evidence),
        }
    }
    // Before the writes: these make what the orders rest on another declaration.
    while orders.join_next().await.is_some() {}
    let MoveWrites { operations, told, .. } = writes;
    if operations.is_empty() {
        return Ok(());
    }
    let deadline = Instant::now() + WRITE_TIMEOUT;
    if gateway.declare(operations, deadline).await?.is_none() {
        debug!("moves not written: something else was written meanwhile");
        return Ok(());
    }
    for (partition, what, evidence) in told {
        info!(%partition, what = catalog.with_node_names(&what), "replica moves");
        let evidence = evidence.into_iter().collect();
        gateway.parts().decisions.explain(EventKind::Move, Some(partition), what, evidence);
    }
    Ok(())
}

async fn give_order(gateway: Gateway, leader: NodeId, order: ChangeReplicas) {
    let Some(target) = gateway.target(leader) else { return };
    let (partition, deadline) = (order.partition, order.deadline);
    match timeout_at(deadline, target.change_replicas(order)).await {
        Ok(Ok(ChangeReplicasAnswer::Taken)) => {}
        // The next look decides by what there is then.
        answer => debug!(%partition, %leader, ?answer, "order to change the replica set not taken"),
    }
}

/// Everything is where it should be: forgets the change, and the node that was to leave is a member
/// no more.
async fn end_change(gateway: &Gateway, change: &PlannedChange) -> Result<(), AdminError> {
    let deadline = Instant::now() + WRITE_TIMEOUT;
    let leaving = change.kind.leaving().filter(|_| change.state != ChangeState::Cancelled);
    // Before the catalog: what is created meanwhile may be placed on the node that leaves.
    let counter = gateway.etag_of(COUNTERS, &database_counter_key(), deadline).await?;
    let registered = match leaving {
        Some(node) => gateway.registered(node, deadline).await.map_err(not_done)?,
        None => None,
    };
    let catalog = gateway.newest_catalog(deadline).await?;
    let Some((change, etag)) = catalog.changes.get(&change.id).copied() else { return Ok(()) };
    if let Some(node) = leaving
        && catalog.placements().any(|(_, nodes)| nodes.contains(&node))
    {
        return plan_again(gateway, &catalog, &change, deadline).await;
    }
    let mut operations = forget(&catalog, &change, if_still(etag));
    if let Some((mut facts, registered)) = registered {
        facts.removed = true;
        let (key, next) = (node_key(facts.node), catalog.next_database.0);
        let removed = write(&NodeDocument::of(&facts));
        operations.push(put(NODES, key.clone(), removed, if_still(registered)));
        operations.push(deletion(DRAINS, key, Condition::default()));
        // A creation that does not know of it yet is refused, and looks again.
        let counted = write(&CounterDocument::new(next));
        let condition = counter.map_or_else(if_absent, if_still);
        operations.push(put(COUNTERS, database_counter_key(), counted, condition));
    }
    if gateway.declare(operations, deadline).await?.is_some() {
        let state = match change.state {
            ChangeState::Cancelled => "given up",
            ChangeState::Running | ChangeState::Paused => "done",
        };
        let what = format!("change {} is {state}: {}", change.id, change.kind);
        info!(change = change.id.0, what = catalog.with_node_names(&what), "change of replicas");
        let by_hand = by_hand(change.kind, &catalog);
        let undo = match leaving {
            Some(_) => {
                "start a node with an empty data directory, then cortado rebalance --replicas"
            }
            None => "cortado rebalance --replicas",
        };
        let manual = Manual::Texts { by_hand, undo: undo.to_owned() };
        let decisions = &gateway.parts().decisions;
        decisions.explain_order(gateway.own(), EventKind::Move, None, what, manual);
    }
    Ok(())
}

/// Something was placed on the node that leaves before others knew that it does.
async fn plan_again(
    gateway: &Gateway,
    catalog: &Catalog,
    change: &PlannedChange,
    deadline: Instant,
) -> Result<(), AdminError> {
    let targets = targets_of(change.kind, catalog)?;
    info!(change = change.id.0, partitions = targets.len(), "change of replicas planned again");
    gateway.declare_targets(change.id, &targets, deadline).await
}

/// Removes what stands of a change in `_cluster`.
///
/// A change has targets in at most as many databases as one transaction takes at a time: what is
/// left over is no change's, and counts for nothing.
fn forget(catalog: &Catalog, change: &PlannedChange, unchanged: Condition) -> Vec<Operation> {
    let mut operations = vec![deletion(CHANGES, change_key(change.id), unchanged)];
    let of_change = |(_, (of, _)): &(&PartitionId, &(ChangeId, Vec<NodeId>))| *of == change.id;
    let databases: BTreeSet<DatabaseId> =
        catalog.targets.iter().filter(of_change).map(|(partition, _)| partition.database).collect();
    let targets = databases.into_iter().take(TARGETS_FORGOTTEN_MAX);
    operations.extend(
        targets.map(|database| {
            deletion(TARGETS, targets_key(change.id, database), Condition::default())
        }),
    );
    operations
}

/// Of the 1,000 operations of a transaction, some are needed for the change itself.
const TARGETS_FORGOTTEN_MAX: usize = 900;

fn deletion(
    table: cortado_model::TableId,
    key: cortado_model::DocumentKey,
    condition: Condition,
) -> Operation {
    Operation { table, key, action: DocumentAction::Delete, condition }
}
