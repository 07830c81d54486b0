//! Giving up all leaderships before a node ends.
//!
//! Start reading at [`hand_over`].

use crate::replica_host::ReplicaHost;
use crate::service::NodeService;
use cortado_driver::ReplicaRole;
use cortado_model::{NodeId, PartitionId};
use cortado_peer::{HandOff, HandOffAnswer};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

/// Hands over at once: each takes an append, and those of all partitions go side by side.
const AT_ONCE: usize = 64;

/// Gives up what this node leads to the replicas that can take it, in their order of succession.
pub(crate) async fn hand_over(
    host: &Arc<ReplicaHost>,
    service: &Arc<NodeService>,
    deadline: Instant,
) {
    // First: the others must not hand back what they are given.
    host.health.leave();
    let (mut handing, mut kept, mut gone) = (JoinSet::new(), 0_usize, 0_usize);
    let mut count = |given: Result<bool, _>| match given {
        Ok(true) => gone += 1,
        Ok(false) | Err(_) => kept += 1,
    };
    for replica in host.routes.replicas() {
        if replica.role() != ReplicaRole::Leader {
            continue;
        }
        if handing.len() >= AT_ONCE {
            handing.join_next().await.into_iter().for_each(&mut count);
        }
        let (host, service) = (Arc::clone(host), Arc::clone(service));
        handing.spawn(async move { give_up(&host, &service, replica.partition, deadline).await });
    }
    while let Some(given) = handing.join_next().await {
        count(given);
    }
    let node = host.node();
    if kept > 0 {
        warn!(%node, kept, gone, "ending with leaderships that no other node could take");
    } else if gone > 0 {
        info!(%node, gone, "handed over all leaderships");
    }
}

/// Whether a leadership was given up to some other replica.
async fn give_up(
    host: &Arc<ReplicaHost>,
    service: &Arc<NodeService>,
    partition: PartitionId,
    deadline: Instant,
) -> bool {
    let placed = host.cluster.placed(partition);
    let others = || placed.iter().copied().filter(|node| *node != host.node());
    for to in ranked(host, partition, &placed).into_iter().chain(others()) {
        if Instant::now() >= deadline {
            return false;
        }
        match service.answer_hand_off(HandOff { partition, to, deadline }).await {
            HandOffAnswer::SteppedDown(_) => return true,
            // It does not lead any more, or not yet.
            HandOffAnswer::WrongNode(_) => return true,
            HandOffAnswer::Leads
            | HandOffAnswer::NoSuccessor
            | HandOffAnswer::NotDone(_)
            | HandOffAnswer::Unknown => {}
        }
    }
    false
}

/// The others in the order in which operators want them to follow.
fn ranked(host: &Arc<ReplicaHost>, partition: PartitionId, placed: &[NodeId]) -> Vec<NodeId> {
    let catalog = host.cluster.catalog.newest();
    let order = catalog.succession(partition, placed);
    let order = order.map(|order| order.nodes().to_vec()).unwrap_or_default();
    order.into_iter().filter(|node| *node != host.node()).collect()
}
