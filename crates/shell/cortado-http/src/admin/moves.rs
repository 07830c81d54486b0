//! Moving replicas: planned, begun, paused, throttled, cancelled, and looked at.
//!
//! Start reading at [`order`].

use super::{no_such_node, registered_node};
use crate::answer::{Answer, empty, json};
use crate::body::ReceivedBody;
use crate::call::Call;
use crate::failure::Failure;
use crate::json_body;
use crate::refusal;
use crate::target::find_any_database;
use cortado_gateway::{AdminError, Catalog, ChangeOrder, ChangePlan, ChangeStatus, PlannedMove};
use cortado_model::{NodeId, PartitionId};
use cortado_node::{ChangeId, ChangeState, MoveLimits, PlannedKind};
use cortado_wire::{
    Code, MoveChangeAnswer, MoveLimitsAnswer, MoveLimitsBody, MoveOrderBody, MovePlanAnswer,
    MoveWaitingAnswer, MovesAnswer, PlannedMoveAnswer,
};
use http::StatusCode;

/// Plans a change of where replicas live, and lets it begin unless it is only asked for.
pub(crate) async fn order(call: &Call<'_>, body: ReceivedBody) -> Result<Answer, Failure> {
    let asked: MoveOrderBody = json_body::read(&body)?;
    let kind = match asked.kind.as_deref() {
        Some("rebalance") => PlannedKind::Expand,
        Some("remove_node") => PlannedKind::RemoveNode(named(call, &asked.node, "node")?),
        Some("replace_node") => {
            let from = named(call, &asked.from, "from")?;
            PlannedKind::ReplaceNode { from, to: named(call, &asked.to, "to")? }
        }
        Some("move_replica") => {
            let database = asked.database.as_deref().ok_or_else(|| needs("database"))?;
            let partition = asked.partition.ok_or_else(|| needs("partition"))?;
            by_hand(call, &asked, database, partition)?
        }
        Some(_) | None => {
            let detail = "the member kind must be rebalance, remove_node, replace_node or \
                          move_replica";
            return Err(Failure::new(Code::BadBody, detail));
        }
    };
    carry_out(call, kind, &asked).await
}

/// A node is to leave for good.
pub(crate) async fn remove_node(call: &Call<'_>, body: ReceivedBody) -> Result<Answer, Failure> {
    let asked = optional(&body)?;
    let node = registered_node(call, call.captures.item)?;
    carry_out(call, PlannedKind::RemoveNode(node), &asked).await
}

/// One replica goes from one node to another.
pub(crate) async fn move_replica(call: &Call<'_>, body: ReceivedBody) -> Result<Answer, Failure> {
    let asked = optional(&body)?;
    let number = call.captures.item.parse().ok().unwrap_or(u32::MAX);
    let kind = by_hand(call, &asked, call.captures.database, number)?;
    carry_out(call, kind, &asked).await
}

/// The changes that are not over.
pub(crate) async fn list(call: &Call<'_>) -> Result<Answer, Failure> {
    let found = call.services().changes_status().await;
    let changes = found.iter().map(|status| change(status, call.catalog)).collect();
    Ok(json(StatusCode::OK, &MovesAnswer { changes }))
}

/// Lets a change rest, go on, or end.
pub(crate) async fn set_state(call: &Call<'_>, state: ChangeState) -> Result<Answer, Failure> {
    let done = call.services().set_change_state(change_id(call)?, state, call.deadline).await;
    done.map_err(|error| failure(error, call.catalog))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Lets a change go on faster, or slower.
pub(crate) async fn throttle(call: &Call<'_>, body: ReceivedBody) -> Result<Answer, Failure> {
    let asked: MoveLimitsBody = json_body::read(&body)?;
    check_limits(&asked)?;
    let throttle = move |limits: &mut MoveLimits| *limits = limited(*limits, &asked);
    let done = call.services().throttle_change(change_id(call)?, &throttle, call.deadline).await;
    done.map_err(|error| failure(error, call.catalog))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn carry_out(
    call: &Call<'_>,
    kind: PlannedKind,
    asked: &MoveOrderBody,
) -> Result<Answer, Failure> {
    check_limits(&asked.limits())?;
    let limits = limited(MoveLimits::default(), &asked.limits());
    let (order, begins) = (ChangeOrder { kind, limits }, !asked.dry_run);
    let planned = call.services().order_change(&order, begins, call.deadline).await;
    let planned = planned.map_err(|error| failure(error, call.catalog))?;
    let status = if planned.id.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &plan(&planned, call.catalog)))
}

fn optional(body: &ReceivedBody) -> Result<MoveOrderBody, Failure> {
    if body.bytes.is_empty() { Ok(MoveOrderBody::default()) } else { json_body::read(body) }
}

fn by_hand(
    call: &Call<'_>,
    asked: &MoveOrderBody,
    database: &str,
    number: u32,
) -> Result<PlannedKind, Failure> {
    let database = find_any_database(call.catalog, database)?;
    if number >= database.partitions {
        let detail = format!("the database has partitions 0 to {}", database.partitions - 1);
        return Err(Failure::new(Code::NoSuchPartition, detail));
    }
    let (from, to) = (named(call, &asked.from, "from")?, named(call, &asked.to, "to")?);
    Ok(PlannedKind::Manual { partition: database.partition_id(number), from, to })
}

/// The node that a member of the body names.
fn named(call: &Call<'_>, name: &Option<String>, member: &str) -> Result<NodeId, Failure> {
    let name = name.as_deref().ok_or_else(|| needs(member))?;
    call.catalog.node_named(name).map(|known| known.node).ok_or_else(no_such_node)
}

fn needs(member: &str) -> Failure {
    Failure::new(Code::BadBody, format!("this kind of change needs the member {member}"))
}

fn check_limits(asked: &MoveLimitsBody) -> Result<(), Failure> {
    if asked.copies_per_node == Some(0) || asked.copies_per_cluster == Some(0) {
        let detail = "copies_per_node and copies_per_cluster are 1 or more; to let a change rest, \
                      pause it";
        return Err(Failure::new(Code::BadBody, detail));
    }
    Ok(())
}

fn limited(limits: MoveLimits, asked: &MoveLimitsBody) -> MoveLimits {
    MoveLimits {
        copies_per_node: asked.copies_per_node.unwrap_or(limits.copies_per_node),
        copies_per_cluster: asked.copies_per_cluster.unwrap_or(limits.copies_per_cluster),
        bytes_per_second: asked.bytes_per_second.unwrap_or(limits.bytes_per_second),
    }
}

fn change_id(call: &Call<'_>) -> Result<ChangeId, Failure> {
    let id = call.captures.item.parse().ok().map(ChangeId);
    id.ok_or_else(|| Failure::new(Code::NoSuchChange, "GET /admin/v1/moves lists the changes"))
}

/// The error, with nodes by their names.
fn failure(error: AdminError, catalog: &Catalog) -> Failure {
    match error {
        AdminError::ChangeUnderWay { .. } => {
            Failure::new(Code::Conflict, catalog.with_node_names(&error.to_string()))
        }
        error => refusal::of_admin(error, Code::Conflict),
    }
}

fn plan(plan: &ChangePlan, catalog: &Catalog) -> MovePlanAnswer {
    let one = |planned: &PlannedMove| {
        let (database, partition) = place(planned.partition, catalog);
        let name = |node: Option<NodeId>| node.map(|node| catalog.name_of(node));
        PlannedMoveAnswer { database, partition, from: name(planned.from), to: name(planned.to) }
    };
    MovePlanAnswer {
        change: plan.id.map(|id| id.0),
        what: what(&plan.kind, catalog),
        replicas: plan.replicas as u64,
        bytes: plan.bytes,
        all_measured: plan.all_measured,
        partitions: plan.partitions as u64,
        limits: limits(&plan.limits),
        moves: plan.moves.iter().map(one).collect(),
    }
}

fn change(status: &ChangeStatus, catalog: &Catalog) -> MoveChangeAnswer {
    let ChangeStatus { change, progress, waiting } = status;
    let state = match change.state {
        ChangeState::Running => "running",
        ChangeState::Paused => "paused",
        ChangeState::Cancelled => "cancelled",
    };
    let waiting = waiting.iter().map(|waiting| {
        let (database, partition) = place(waiting.first, catalog);
        let why = catalog.with_node_names(&waiting.why);
        MoveWaitingAnswer { why, partitions: waiting.partitions as u64, database, partition }
    });
    MoveChangeAnswer {
        change: change.id.0,
        what: what(&change.kind, catalog),
        state: state.to_owned(),
        replicas_done: progress.replicas_done,
        replicas: progress.replicas,
        copying: progress.copying,
        bytes_done: progress.bytes_done,
        bytes: progress.bytes,
        eta_ms: progress.eta_ms,
        limits: limits(&change.limits),
        waiting: waiting.collect(),
    }
}

fn limits(limits: &MoveLimits) -> MoveLimitsAnswer {
    let MoveLimits { copies_per_node, copies_per_cluster, bytes_per_second } = *limits;
    MoveLimitsAnswer { copies_per_node, copies_per_cluster, bytes_per_second }
}

/// What a change is for, in the words of operators.
fn what(kind: &PlannedKind, catalog: &Catalog) -> String {
    let mut text = kind.to_string();
    if let PlannedKind::Manual { partition, .. } = kind {
        let (database, number) = place(*partition, catalog);
        text = text.replacen(&partition.to_string(), &format!("{database}/{number}"), 1);
    }
    catalog.with_node_names(&text)
}

/// The name of a partition's database, and its number.
fn place(partition: PartitionId, catalog: &Catalog) -> (String, u32) {
    let database = catalog.database_by_id(partition.database);
    let name = database.map_or_else(|| partition.database.0.to_string(), |it| it.name.clone());
    (name, partition.number)
}
