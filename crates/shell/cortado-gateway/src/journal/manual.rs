//! The entry of a decision, with how a person does the same, and how to undo it.
//!
//! Start reading at [`entry_of`].

use super::document::{EntryDocument, VERSION};
use crate::catalog::Catalog;
use crate::decisions::{JournalEntry, Manual};
use crate::events::EventKind;
use cortado_cluster::Command;
use cortado_model::{DatabaseId, PartitionId};

/// What is written of `entry`.
///
/// * `catalog`: knows the name of its database.
pub(super) fn entry_of(entry: JournalEntry, catalog: &Catalog) -> EntryDocument {
    let database = entry.database.and_then(|database| match database {
        DatabaseId::CLUSTER => Some("_cluster".to_owned()),
        id => catalog.database_by_id(id).map(|database| database.name.clone()),
    });
    let place = database.as_deref().zip(entry.partition);
    let (by_hand, undo) = usual(entry.kind);
    let filled_in = |text: &str| match place {
        Some((name, partition)) => {
            text.replace("DATABASE/PARTITION", &format!("{name}/{}", partition.number))
        }
        None => text.to_owned(),
    };
    let typed = |command: Command| match command {
        // What no handoff moves: it goes to the first node that is well and not drained.
        Command::HandOff { partition: PartitionId::CLUSTER, to } => {
            Some(format!("cortado node drain NODE, for each node before {to}, then resume"))
        }
        Command::HandOff { to, .. } => {
            let (name, partition) = place?;
            Some(format!("cortado handoff {name}/{} --to {to}", partition.number))
        }
        Command::Drain { node } => Some(format!("cortado node drain {node}")),
        Command::Resume { node } => Some(format!("cortado node resume {node}")),
    };
    let (by_hand, undo) = match entry.manual {
        Manual::OfKind => (filled_in(by_hand), filled_in(undo)),
        Manual::Commands(command, back) => (
            typed(command).unwrap_or_else(|| filled_in(by_hand)),
            back.and_then(typed).unwrap_or_else(|| filled_in(undo)),
        ),
        Manual::HandOffEach(to) => {
            let name = database.as_deref().unwrap_or("DATABASE");
            (format!("cortado handoff {name}/PARTITION --to {to}, for each"), filled_in(undo))
        }
        Manual::Texts { by_hand, undo } => (by_hand, undo),
    };
    EntryDocument {
        version: VERSION,
        time_ms: entry.time.0,
        node: entry.node.0,
        kind: entry.kind,
        database,
        partition: entry.partition.map(|partition| partition.number),
        what: entry.what,
        evidence: entry.evidence,
        by_hand,
        undo,
    }
}

/// How a person does the same, and how to undo it.
fn usual(kind: EventKind) -> (&'static str, &'static str) {
    match kind {
        EventKind::NodeStarted => ("start the node's process", "end the node's process"),
        EventKind::NodeReplaced => (
            "cortado node replace NODE",
            "start the node once with its former directory: it takes its name back",
        ),
        EventKind::Claim => (
            "cortado handoff DATABASE/PARTITION --to NODE, while the leader still answers",
            "cortado handoff DATABASE/PARTITION --to NODE, another that is well",
        ),
        EventKind::HandOff => (
            "cortado handoff DATABASE/PARTITION --to NODE",
            "cortado handoff DATABASE/PARTITION --to the node that led before",
        ),
        EventKind::Resolution => (
            "cortado partition resolve DATABASE/PARTITION --keep NODE",
            "cannot be undone; a copy of a data directory holds what was given up",
        ),
        EventKind::Resync => (
            "stop the node, delete its store, start it: it copies its peers",
            "nothing to undo: the replica holds the same state again",
        ),
        EventKind::Offline => (
            "nothing was done: the replica serves nothing until its storage is repaired",
            "repair or replace the storage, check it with cortado log verify, start the node",
        ),
        EventKind::DigestMismatch => (
            "compare the replicas' documents; stop the odd node, delete its store, start it",
            "nothing to undo: the odd replica is built anew from one that the others agree with",
        ),
        EventKind::Trim => (
            "nothing a person could do better: replicas compare their state first",
            "cannot be undone; documents are not affected, old changes can not be followed again",
        ),
        EventKind::Health => (
            "watch the node's append and store latency; cortado node drain NODE",
            "cortado node resume NODE, when it is well",
        ),
        EventKind::Move => (
            "cortado moves start DATABASE/PARTITION --from NODE --to NODE",
            "cortado moves list, then cortado moves cancel with its id",
        ),
        EventKind::Declaration => (
            "PUT or DELETE under /admin/v1/databases",
            "declare the former state; a dropped database comes back empty",
        ),
    }
}
