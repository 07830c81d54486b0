//! Writing the decision log, and again until it is written.
//!
//! Start reading at [`write_decisions`].

use crate::cluster_log::{EVENTS, EventDocument, key, write};
use crate::decisions::Entry;
use crate::events::EventKind;
use crate::gateway::{Gateway, WriteRequest};
use cortado_cluster::Command;
use cortado_document::{Action, Condition, Operation};
use cortado_model::{DatabaseId, PartitionId};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Entries that share one write.
const ENTRIES_PER_WRITE: usize = 100;
/// An entry that could not be written in this time is tried again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(500);

/// Writes entries to the cluster's log until the node ends.
pub(crate) async fn write_decisions(gateway: Gateway, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Vec::new();
    while entries.recv_many(&mut batch, ENTRIES_PER_WRITE).await > 0 {
        let operations: Vec<_> = batch.drain(..).map(|entry| put(&gateway, entry)).collect();
        for attempt in 0_u64.. {
            let request = WriteRequest {
                operations: operations.clone(),
                // The same entry written twice is the same document.
                idempotency: None,
                deadline: Instant::now() + WRITE_TIMEOUT,
            };
            match gateway.publish(PartitionId::CLUSTER, request).await {
                Ok(_) => break,
                Err(error) => {
                    // Once is enough: what keeps it from being written is told elsewhere.
                    if attempt == 0 {
                        warn!(%error, entries = operations.len(), "decision log not written");
                    }
                    sleep(RETRY).await;
                }
            }
        }
    }
}

fn put(gateway: &Gateway, entry: Entry) -> Operation {
    let database = entry.partition.and_then(|partition| match partition.database {
        DatabaseId::CLUSTER => Some("_cluster".to_owned()),
        id => gateway.catalog().database_by_id(id).map(|database| database.name.clone()),
    });
    let place = database.as_deref().zip(entry.partition);
    let (by_hand, undo) = manual(entry.kind);
    let filled_in = |text: &str| match place {
        Some((name, partition)) => {
            text.replace("DATABASE/PARTITION", &format!("{name}/{}", partition.number))
        }
        None => text.to_owned(),
    };
    let typed = |command: Option<Command>| {
        let Command::HandOff { to, .. } = command?;
        let (name, partition) = place?;
        Some(format!("cortado handoff {name}/{} --to {to}", partition.number))
    };
    let by_hand = typed(entry.by_hand).unwrap_or_else(|| filled_in(by_hand));
    let undo = typed(entry.undo).unwrap_or_else(|| filled_in(undo));
    let document = EventDocument {
        version: EventDocument::VERSION,
        time_ms: entry.time.0,
        node: entry.node.0,
        kind: entry.kind,
        database,
        partition: entry.partition.map(|partition| partition.number),
        what: entry.what,
        evidence: entry.evidence,
        by_hand,
        undo,
    };
    // Sorts by time; the node and a count keep entries of one millisecond apart.
    let name = format!("{:015}-{}-{:08}", entry.time.0, entry.node, entry.number);
    Operation {
        table: EVENTS,
        key: key(&[name]),
        action: Action::Put { value: write(&document) },
        condition: Condition::default(),
    }
}

/// How a person does the same, and how to undo it.
fn manual(kind: EventKind) -> (&'static str, &'static str) {
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
            "watch the node's append and store latency; hand its leaderships over",
            "hand the leaderships back when the node is well",
        ),
        EventKind::Declaration => (
            "PUT or DELETE under /admin/v1/databases",
            "declare the former state; a dropped database comes back empty",
        ),
    }
}
