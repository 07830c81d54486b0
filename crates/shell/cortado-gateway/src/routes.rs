//! Who leads each partition, as far as it is known here.
//!
//! Decides nothing about leadership: a newer one is believed, no matter which node tells of it.
//! Start reading at [`Route`].

use arc_swap::ArcSwap;
use cortado_cluster::{KnownLeader, KnownRoute};
use cortado_model::{DatabaseId, NodeId, PartitionId};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::Instant;

/// All partitions that have been asked for here.
#[derive(Default)]
pub struct Routes {
    partitions: RwLock<HashMap<PartitionId, Arc<Route>>>,
}

impl Routes {
    /// The route of `partition`, which need not have a leader yet.
    pub fn route(&self, partition: PartitionId) -> Arc<Route> {
        if let Some(route) = self.partitions.read().get(&partition) {
            return Arc::clone(route);
        }
        let mut partitions = self.partitions.write();
        Arc::clone(partitions.entry(partition).or_insert_with(|| Arc::new(Route::new(partition))))
    }

    /// Forgets databases that are no more.
    pub fn retain(&self, exists: impl Fn(DatabaseId) -> bool) {
        let kept = |partition: &PartitionId| {
            partition.database == DatabaseId::CLUSTER || exists(partition.database)
        };
        self.partitions.write().retain(|partition, _| kept(partition));
    }
}

/// The way to the leader of one partition.
pub struct Route {
    /// Which.
    pub partition: PartitionId,
    /// Looked at by every request, so without a lock.
    state: ArcSwap<RouteState>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
    /// Held by whoever asks the replicas who leads.
    turn: Mutex<()>,
}

#[derive(Clone, Copy, Default)]
struct RouteState {
    known: KnownRoute,
    /// Since when requests have found no node that serves, if so.
    unserved_since: Option<Instant>,
}

impl Route {
    fn new(partition: PartitionId) -> Route {
        let (changes, _) = watch::channel(0);
        Route { partition, state: ArcSwap::default(), changes, turn: Mutex::default() }
    }

    /// Who leads, as far as it is known here.
    pub fn leader(&self) -> KnownLeader {
        self.state.load().known.leader()
    }

    /// The node to ask first.
    pub(crate) fn first(&self) -> Option<NodeId> {
        self.state.load().known.first()
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A node has said who leads: believed if that is newer than what was known.
    pub fn learn(&self, leader: KnownLeader) {
        // Nearly always it is known.
        if !leader.is_newer_than(&self.leader()) {
            return;
        }
        let before = self.state.rcu(|state| {
            let mut learned = **state;
            learned.known.learn(leader);
            learned
        });
        if leader.is_newer_than(&before.known.leader()) {
            self.changed();
        }
    }

    /// Wakes requests that wait here: another node leads, or a replica of this node has changed.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// The turn to ask the replicas who leads; `None` while somebody else has it.
    pub(crate) fn take_turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.try_lock().ok()
    }

    /// A request has found no node that serves.
    pub fn note_unserved(&self) {
        if self.state.load().unserved_since.is_none() {
            self.state.rcu(|state| RouteState {
                unserved_since: state.unserved_since.or_else(|| Some(Instant::now())),
                ..**state
            });
        }
    }

    /// `node` has served a request; answers for how long none was, if that had been so.
    ///
    /// It is asked first from now on, until a newer leadership is told of.
    ///
    /// * `known`: the leader that was known when it was asked. What was told since is newer.
    pub(crate) fn note_served(&self, node: NodeId, known: &KnownLeader) -> Option<Duration> {
        let state = self.state.load();
        if state.unserved_since.is_none() && state.known.first() == Some(node) {
            return None;
        }
        let before = self.state.rcu(|state| {
            let mut noted = RouteState { unserved_since: None, ..**state };
            noted.known.note_served(node, known);
            noted
        });
        before.unserved_since.map(|since| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::Generation;

    const N1: NodeId = NodeId(1);
    const N2: NodeId = NodeId(2);

    fn leader(generation: u32, node: NodeId) -> KnownLeader {
        KnownLeader { generation: Generation(generation), stepped_down: false, node: Some(node) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_ends_when_any_node_serves() {
        let route = Route::new(PartitionId::CLUSTER);
        assert_eq!(route.note_served(N1, &KnownLeader::default()), None);
        route.note_unserved();
        tokio::time::advance(Duration::from_millis(70)).await;
        route.note_unserved();
        route.learn(leader(2, N2));
        let gap = route.note_served(N1, &KnownLeader::default());
        assert_eq!(gap, Some(Duration::from_millis(70)));
        assert_eq!(route.note_served(N2, &leader(2, N2)), None);
    }
}
