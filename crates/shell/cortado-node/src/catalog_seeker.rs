//! Finding a copy of `_cluster` whose log does not reach back far enough.
//!
//! Nodes tell their progress to those that stand in `_cluster`, or speak to them; who has not read
//! it is not told, and asks. Start reading at [`seek_catalog`].

use crate::replica_host::ReplicaHost;
use cortado_model::{DatabaseId, PartitionId};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// How often it is looked whether that is so.
const LOOK: Duration = Duration::from_millis(500);
/// What all nodes together may take to answer.
const ANSWERS: Duration = Duration::from_secs(1);

/// Asks the nodes that can be reached how their replicas of `_cluster` are, whenever this node's
/// own cannot be read, until the node ends.
pub(crate) async fn seek_catalog(host: Arc<ReplicaHost>) {
    let own = host.routes.route(PartitionId::CLUSTER);
    loop {
        sleep(LOOK).await;
        if !own.replica().is_some_and(|replica| replica.role().is_readable()) {
            ask_all(&host).await;
        }
    }
}

async fn ask_all(host: &ReplicaHost) {
    let deadline = Instant::now() + ANSWERS;
    let mut asked = JoinSet::new();
    for node in host.peers.nodes().into_iter().filter(|node| *node != host.node()) {
        let Some(target) = host.peers.peer(node) else { continue };
        asked.spawn(async move {
            let report = target.report(Some(DatabaseId::CLUSTER), deadline);
            Some((node, timeout_at(deadline, report).await.ok()?.ok()?))
        });
    }
    for (node, report) in asked.join_all().await.into_iter().flatten() {
        let replicas = report.replicas.iter().map(|replica| replica.progress);
        host.progress.answered(node, report.incarnation, replicas, host.clock.steady());
    }
}
