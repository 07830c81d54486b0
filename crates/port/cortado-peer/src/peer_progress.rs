//! How far the replicas of other nodes are, as these have told.
//!
//! What is told may be lost, so it is numbered: a node that misses one is told everything again.
//! Start reading at [`PeerProgress`]. Source: docs/protocols/peers.md, "Progress".

use crate::{Progress, ReplicaProgress};
use cortado_model::{Millis, NodeId, NodeIncarnation, PartitionId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A node that is silent for longer is not counted on. Many times the pace: a busy machine may
/// hold it up for seconds, and a call to a node that is gone fails at once.
const SILENCE_MS: u64 = 10_000;

/// What a node has said of its way to the log is true for so long: it says so several times a
/// second, and at once when it changes.
const REACHES_MS: u64 = 1_000;

/// A number, and the life that it counts in.
pub type LifeNumber = (NodeIncarnation, u64);

/// What the peers of one node have told it.
#[derive(Default)]
pub struct PeerProgress {
    peers: RwLock<BTreeMap<NodeId, Heard>>,
}

/// What one peer has told, in one life.
struct Heard {
    incarnation: NodeIncarnation,
    /// When it has spoken last.
    at: Millis,
    /// The highest number; 0 before the first.
    number: u64,
    /// Something has not arrived, and everything has not been told since.
    missed: bool,
    /// What it has heard from here, and from which life.
    heard: Option<LifeNumber>,
    /// It is well enough to be given leaderships.
    fit: bool,
    reaches_log: bool,
    /// Partitions that it leads and to whose logs it does not get.
    unreached: Vec<PartitionId>,
    replicas: HashMap<PartitionId, ReplicaProgress>,
}

impl Heard {
    fn nothing(incarnation: NodeIncarnation, now: Millis) -> Heard {
        let (heard, replicas) = (None, HashMap::new());
        Heard {
            incarnation,
            at: now,
            number: 0,
            missed: true,
            heard,
            fit: false,
            reaches_log: false,
            unreached: Vec::new(),
            replicas,
        }
    }
}

impl PeerProgress {
    /// A peer tells how far it is.
    ///
    /// * `now`: a steady clock; also below.
    pub fn hear(&self, progress: Progress, now: Millis) {
        let mut peers = self.write();
        let fresh = || Heard::nothing(progress.incarnation, now);
        let peer = peers.entry(progress.node).or_insert_with(fresh);
        if progress.incarnation < peer.incarnation {
            return;
        }
        if progress.incarnation > peer.incarnation {
            *peer = fresh();
        }
        if progress.number <= peer.number {
            // Late news would be taken for newer than it is.
            return;
        }
        peer.missed = !progress.complete && (peer.missed || progress.number != peer.number + 1);
        (peer.at, peer.number, peer.heard) = (now, progress.number, progress.heard);
        (peer.fit, peer.reaches_log) = (progress.fit, progress.reaches_log);
        peer.unreached = progress.unreached;
        if progress.complete {
            peer.replicas.clear();
        }
        peer.replicas.extend(progress.replicas.iter().map(|told| (told.partition, *told)));
    }

    /// A peer has answered how some replicas are. It may tell this node nothing by itself.
    pub fn answered(
        &self,
        node: NodeId,
        incarnation: NodeIncarnation,
        replicas: impl Iterator<Item = ReplicaProgress>,
        now: Millis,
    ) {
        let mut peers = self.write();
        let peer = peers.entry(node).or_insert_with(|| Heard::nothing(incarnation, now));
        if incarnation < peer.incarnation {
            return;
        }
        if incarnation > peer.incarnation {
            *peer = Heard::nothing(incarnation, now);
        }
        peer.at = now;
        peer.replicas.extend(replicas.map(|replica| (replica.partition, replica)));
    }

    /// How far the replicas of `partition` are on the nodes that can be counted on.
    pub fn of(&self, partition: PartitionId, now: Millis) -> Vec<(NodeId, ReplicaProgress)> {
        let peers = self.read();
        let alive = peers.iter().filter(|(_, peer)| now.since(peer.at) <= SILENCE_MS);
        alive.filter_map(|(node, peer)| Some((*node, *peer.replicas.get(&partition)?))).collect()
    }

    /// Whether `node` has said last that it is well enough to be given leaderships.
    pub fn is_fit(&self, node: NodeId) -> bool {
        self.read().get(&node).is_some_and(|peer| peer.fit)
    }

    /// Whether some of `nodes` has said within a second that it reaches the log.
    pub fn any_reaches_log(&self, nodes: &[NodeId], now: Millis) -> bool {
        let peers = self.read();
        let says = |peer: &Heard| peer.reaches_log && now.since(peer.at) <= REACHES_MS;
        nodes.iter().any(|node| peers.get(node).is_some_and(says))
    }

    /// The partitions that `node` leads and to whose logs it does not get, as it has said last.
    pub fn unreached(&self, node: NodeId) -> Vec<PartitionId> {
        self.read().get(&node).map(|peer| peer.unreached.clone()).unwrap_or_default()
    }

    /// The nodes that have spoken here and are not silent.
    pub fn speakers(&self, now: Millis) -> Vec<NodeId> {
        let peers = self.read();
        let alive = peers.iter().filter(|(_, peer)| now.since(peer.at) <= SILENCE_MS);
        alive.map(|(node, _)| *node).collect()
    }

    /// The last number heard of `node` if none is missed, and what it says that it has heard from
    /// here.
    pub fn heard(&self, node: NodeId) -> (Option<LifeNumber>, Option<LifeNumber>) {
        let peers = self.read();
        let Some(peer) = peers.get(&node) else { return (None, None) };
        let known = (!peer.missed).then_some((peer.incarnation, peer.number));
        (known, peer.heard)
    }

    /// Forgets partitions that are no more.
    pub fn retain(&self, exists: impl Fn(PartitionId) -> bool) {
        for peer in self.write().values_mut() {
            peer.replicas.retain(|partition, _| exists(*partition));
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<NodeId, Heard>> {
        // No update leaves the map half done.
        self.peers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<NodeId, Heard>> {
        self.peers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
