//! Giving up all leaderships before a node ends.
//!
//! Start reading at [`hand_over`].

use crate::local_routes::LocalRoute;
use crate::replica_handle::ReplicaHandle;
use crate::replica_host::ReplicaHost;
use crate::service::NodeService;
use cortado_driver::{Event, ReplicaRole};
use cortado_model::{NodeId, PartitionId};
use cortado_peer::{HandOff, HandOffAnswer};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

/// Hands over so many at once, each until its successor leads: if all went together, they would
/// wait for one another, and the clients of each partition for all of them.
const AT_ONCE: RangeInclusive<usize> = 2..=64;
/// What one of them takes on a busy cluster: some appends.
const EACH_TAKES: Duration = Duration::from_millis(100);
/// How long a successor has to claim. What it does later is waited for by no other one.
const CLAIMS_WITHIN: Duration = Duration::from_secs(1);
/// Others find out in about this time that a node is gone.
const STEP_DOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// How often it is looked at what became of step-downs.
const STEP_DOWN_LOOK: Duration = Duration::from_millis(2);

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
    let mut led = host.routes.replicas();
    led.retain(|replica| replica.role() == ReplicaRole::Leader);
    let at_once = at_once(led.len(), deadline.saturating_duration_since(Instant::now()));
    for replica in led {
        if handing.len() >= at_once {
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

/// How many of `led` leaderships to hand over side by side: as few as half of `time` allows.
fn at_once(led: usize, time: Duration) -> usize {
    let one_by_one = EACH_TAKES.as_secs_f64() * led as f64;
    let enough = one_by_one / (time / 2).as_secs_f64();
    (enough.ceil() as usize).clamp(*AT_ONCE.start(), *AT_ONCE.end())
}

/// Steps down in the log wherever this node leads, in nobody's favour: its store has failed, and it
/// does not see what its replicas commit.
///
/// Waits until the log has taken the step-downs, but no longer than others need to find out.
pub(crate) async fn step_down(host: &Arc<ReplicaHost>, why: &str) {
    // First: it claims nothing, and is given nothing.
    host.health.leave();
    let leads = |replica: &Arc<ReplicaHandle>| replica.role() == ReplicaRole::Leader;
    let led: Vec<_> = host.routes.replicas().into_iter().filter(leads).collect();
    for replica in &led {
        replica.send_beside(&host.tasks, Event::StoreFailed { why: why.to_owned() });
    }
    let give_up_at = Instant::now() + STEP_DOWN_TIMEOUT;
    // A replica hands its step-down to the log before it shows that it leads no more.
    while led.iter().any(leads) || !host.health.appends.is_idle() {
        if Instant::now() >= give_up_at {
            warn!(node = %host.node(), "ending before the log has answered the step-downs");
            break;
        }
        sleep(STEP_DOWN_LOOK).await;
    }
}

/// Whether a leadership was given up to some other replica, which leads by then unless it is slow.
async fn give_up(
    host: &Arc<ReplicaHost>,
    service: &Arc<NodeService>,
    partition: PartitionId,
    deadline: Instant,
) -> bool {
    let placed = host.cluster.placed(partition);
    let node = host.node();
    let others = || placed.iter().copied().filter(|other| *other != node);
    for to in ranked(host, partition, &placed).into_iter().chain(others()) {
        if Instant::now() >= deadline {
            return false;
        }
        match service.answer_hand_off(HandOff { partition, to, deadline }).await {
            HandOffAnswer::SteppedDown(_) => {
                let within = deadline.min(Instant::now() + CLAIMS_WITHIN);
                let _ = timeout_at(within, succeeded(&host.routes.route(partition), node)).await;
                return true;
            }
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

/// Returns when another node than `former` leads.
async fn succeeded(route: &LocalRoute, former: NodeId) {
    let mut changes = route.changes();
    while route.leader().node.is_none_or(|node| node == former) {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// The others in the order in which operators want them to follow.
fn ranked(host: &Arc<ReplicaHost>, partition: PartitionId, placed: &[NodeId]) -> Vec<NodeId> {
    let catalog = host.cluster.catalog.newest();
    let order = catalog.succession(partition, placed);
    let order = order.map(|order| order.nodes().to_vec()).unwrap_or_default();
    order.into_iter().filter(|node| *node != host.node()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_leaderships_move_at_once_unless_time_is_short() {
        let check = |led, seconds, want| {
            assert_eq!(at_once(led, Duration::from_secs(seconds)), want, "{led} in {seconds} s");
        };
        check(0, 15, 2);
        check(150, 15, 2);
        check(333, 15, 5);
        check(1_000, 15, 14);
        check(100_000, 15, 64);
        check(1, 0, 64);
    }
}
