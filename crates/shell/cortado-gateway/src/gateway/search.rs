//! The way to a partition's leader: which node to ask next, and when.
//!
//! What is asked next is `cortado-cluster`'s to say; here is the waiting. Start reading at
//! [`Search::next`]. Source: docs/protocols/peers.md, "Duties of the asking node", 1 and 2.

use super::Gateway;
use crate::routes::Route;
use cortado_cluster::LeaderSearch;
use cortado_model::{NodeId, PartitionId};
use cortado_peer::{KnownLeader, Level, Look, Peer, Read, ReadAnswer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

/// A leader that serves not yet, or no longer, is asked again after this if nothing is heard, or
/// after some times as long when no replica has known better for a while.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// A leader that has not answered for so long may be cut off: the other replicas are asked who
/// leads, again and again, each time after twice as long.
const PATIENCE: Duration = Duration::from_millis(400);
const PATIENCE_MAX: Duration = Duration::from_secs(2);
/// How long a replica has to say who leads.
const SAYS_WITHIN: Duration = Duration::from_millis(300);
/// A former leader that lives folds the new leadership, and has settled what it was asked by then.
const SETTLES_WITHIN: Duration = Duration::from_millis(300);

/// One request on its way.
pub(super) struct Search<'a> {
    gateway: &'a Gateway,
    pub(super) route: Arc<Route>,
    search: LeaderSearch,
    /// The leader that was known when a node was asked last, and which node that was.
    known: KnownLeader,
    asked: Option<NodeId>,
    changes: Option<watch::Receiver<u64>>,
    placed: Option<Vec<NodeId>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(gateway: &'a Gateway, partition: PartitionId) -> Search<'a> {
        let route = gateway.cluster().routes.route(partition);
        let search = LeaderSearch::default();
        Search {
            gateway,
            route,
            search,
            known: KnownLeader::default(),
            asked: None,
            changes: None,
            placed: None,
        }
    }

    /// Whether an attempt has failed already.
    pub(super) fn has_begun(&self) -> bool {
        self.changes.is_some()
    }

    /// The node to ask now; `None` if none is known, or it cannot be reached.
    pub(super) fn next(&mut self) -> Option<(NodeId, Arc<dyn Peer>)> {
        self.known = self.route.leader();
        let (search, first) = (self.search, self.route.first());
        self.asked = search.next(first, || self.placed());
        let node = self.asked?;
        Some((node, self.gateway.target(node)?))
    }

    /// The node that was asked serves.
    pub(super) fn served(&self) {
        if let Some(gap) = self.asked.and_then(|node| self.route.note_served(node, &self.known)) {
            self.gateway.metrics().write_gap.observe(gap);
            let (partition, gap_ms) = (self.route.partition, gap.as_millis() as u64);
            info!(%partition, gap_ms, "partition served again");
        }
    }

    /// The node that was asked does not lead, or was not reached: waits for news, or a moment.
    ///
    /// * `known`: the leader, as far as that node knows.
    pub(super) async fn wait(&mut self, known: Option<KnownLeader>, deadline: Instant) {
        if let Some(known) = known {
            self.route.learn(known);
        }
        let placed = self.placed().len();
        let changes = self.changes.get_or_insert_with(|| self.route.changes());
        changes.mark_unchanged();
        // Another request may have learned of it before this one.
        let newer = self.route.leader().is_newer_than(&self.known);
        if self.search.failed(newer, placed) {
            return;
        }
        self.route.note_unserved();
        let pause = ASK_AGAIN * self.search.pauses();
        let pause = pause.min(deadline.saturating_duration_since(Instant::now()));
        // Either a change or the pause: both mean to look again.
        let _ = timeout(pause, changes.changed()).await;
        if self.route.leader().is_newer_than(&self.known) {
            self.search = LeaderSearch::default();
        }
    }

    /// While the node that was asked answers nothing: waits until another one leads, so that no
    /// answer will come any more, or none that counts.
    ///
    /// Without a word of its machine's end a connection may stand for long behind the failover.
    pub(super) async fn superseded(&self) {
        let (mut patience, mut changes) = (PATIENCE, self.route.changes());
        loop {
            // Another request may hear of it first, or this node's own replica.
            let told = timeout(patience, changes.changed()).await.is_ok();
            if !told && !self.is_superseded() {
                self.ask_the_others().await;
            }
            if self.is_superseded() {
                sleep(SETTLES_WITHIN).await;
                return;
            }
            if !told {
                patience = PATIENCE_MAX.min(2 * patience);
            }
        }
    }

    /// Whether another node is known to lead since a node was asked.
    fn is_superseded(&self) -> bool {
        let leader = self.route.leader();
        leader.is_newer_than(&self.known) && leader.node.is_some() && leader.node != self.asked
    }

    /// Asks the other replicas who leads; once at a time, for all requests that wait.
    async fn ask_the_others(&self) {
        let Some(_turn) = self.route.take_turn() else { return };
        let partition = self.route.partition;
        for node in self.gateway.cluster().placed(partition) {
            let Some(peer) = self.gateway.target(node).filter(|_| Some(node) != self.asked) else {
                continue;
            };
            let deadline = Instant::now() + SAYS_WITHIN;
            let read = Read { partition, level: Level::Strong, look: Look::Position, deadline };
            let leader = match peer.read(read).await {
                Ok(ReadAnswer::WrongNode(leader)) => leader,
                // It leads itself.
                Ok(ReadAnswer::Seen(sight)) => KnownLeader {
                    generation: sight.applied.generation,
                    stepped_down: false,
                    node: Some(node),
                },
                Ok(_) | Err(_) => continue,
            };
            self.route.learn(leader);
            if self.is_superseded() {
                return;
            }
        }
    }

    fn placed(&mut self) -> &[NodeId] {
        let (gateway, partition) = (self.gateway, self.route.partition);
        self.placed.get_or_insert_with(|| gateway.cluster().placed(partition))
    }
}
