//! Which of several histories of a partition goes on.
//!
//! Start reading at [`resolve`].

use super::{find_partition, registered_node};
use crate::answer::{Answer, json};
use crate::body::ReceivedBody;
use crate::call::Call;
use crate::failure::Failure;
use crate::json_body;
use crate::refusal;
use crate::target::find_any_database;
use cortado_gateway::{CLUSTER_NAME, Catalog, ReplicaHistory};
use cortado_model::{NodeId, PartitionId};
use cortado_wire::{Code, HistoryAnswer, ResolveAnswer, ResolveBody};
use http::StatusCode;

/// Shows what each replica has, and lets the history of one go on.
pub(crate) async fn resolve(call: &Call<'_>, body: ReceivedBody) -> Result<Answer, Failure> {
    let asked: ResolveBody =
        if body.bytes.is_empty() { ResolveBody::default() } else { json_body::read(&body)? };
    let keep = asked.keep.as_deref().map(|name| registered_node(call, name)).transpose()?;
    let partition = find_any_partition(call)?;
    let services = call.services();
    let found = services.histories(partition).await;
    let in_doubt = found.iter().any(ReplicaHistory::is_in_doubt);
    let mut answer = ResolveAnswer {
        partition: partition.number,
        in_doubt,
        resolved: false,
        replicas: views(&found, keep, call.catalog),
    };
    if let Some(keep) = keep.filter(|_| !asked.dry_run) {
        let resolved = services.resolve(partition, keep, call.deadline).await;
        resolved.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
        answer.resolved = in_doubt;
    }
    Ok(json(StatusCode::OK, &answer))
}

/// The partition that the path names: one of `_cluster`'s, too, which may be in doubt like others.
fn find_any_partition(call: &Call<'_>) -> Result<PartitionId, Failure> {
    if call.captures.database != CLUSTER_NAME {
        let database = find_any_database(call.catalog, call.captures.database)?;
        return Ok(database.partition_id(find_partition(call, database)?));
    }
    let is_there = call.captures.item == "0";
    let none = || Failure::new(Code::NoSuchPartition, "_cluster has partition 0 alone");
    is_there.then_some(PartitionId::CLUSTER).ok_or_else(none)
}

/// What each replica has, and what of it would be lost with the history of `keep`.
fn views(found: &[ReplicaHistory], keep: Option<NodeId>, catalog: &Catalog) -> Vec<HistoryAnswer> {
    let kept = keep.and_then(|keep| found.iter().find(|one| one.node == keep));
    let view = |one: &ReplicaHistory| {
        let accepted = one.folded().map(|folded| folded.accepted);
        HistoryAnswer {
            node: catalog.name_of(one.node),
            role: one.role().map_or_else(|| "unknown".to_owned(), |role| role.name().to_owned()),
            scn: accepted.map(|accepted| accepted.scn.to_string()),
            history: accepted.map(|accepted| format!("{:032x}", accepted.chain.0)),
            below: one.folded().map(|folded| folded.below.0),
            loses: kept.and_then(|kept| loss(one, kept)),
        }
    };
    found.iter().map(view).collect()
}

/// What `one` has and `kept` has not, in words, if it is to copy that.
fn loss(one: &ReplicaHistory, kept: &ReplicaHistory) -> Option<String> {
    let (own, other) = (one.folded()?.accepted, kept.folded()?.accepted);
    if own == other {
        return None;
    }
    let is_ahead = own.scn.generation == other.scn.generation && own.scn > other.scn;
    Some(if is_ahead {
        let records = own.scn.sequence.0 - other.scn.sequence.0;
        format!("its last {records} records, behind {}", other.scn)
    } else {
        format!("whatever it has up to {} that is not in the history that goes on", own.scn)
    })
}
