//! Which nodes the requests of a gateway reach, as evidence for all.
//!
//! Concludes nothing. Start reading at [`ObservedPeers`]. Source: docs/protocols/failover.md,
//! "Evidence".

use cortado_driver::PeerStanding;
use cortado_model::{DatabaseId, NodeId, PartitionId};
use cortado_peer::{
    CallError, ChangeReplicas, ChangeReplicasAnswer, HandOff, HandOffAnswer, Holdings, Message,
    NodeReport, Peer, Peers, Pending, Reach, Read, ReadAnswer, SnapshotAnswer, SnapshotChunk,
    SnapshotId, VerifyAnswer, Write, WriteAnswer,
};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::Instant;

/// What became of a process's requests since that was last told. Bounded by the nodes that there
/// are.
#[derive(Debug)]
pub(crate) struct RequestReach {
    /// In whose name that is told: all of a process go the same ways, and are one witness.
    by: NodeId,
    /// Some node was not reached, and has not answered since: else there is nothing to note.
    any_failed: AtomicBool,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    /// Not reached, and have not answered since.
    unreached: BTreeSet<NodeId>,
    /// Not reached since that was last told.
    failed: BTreeSet<NodeId>,
    /// Answered again since.
    served: BTreeSet<NodeId>,
}

impl RequestReach {
    /// * `by`: the router of the process.
    pub(crate) fn new(by: NodeId) -> RequestReach {
        RequestReach { by, any_failed: AtomicBool::new(false), noted: Mutex::default() }
    }

    fn note(&self, node: NodeId, is_reached: bool) {
        if is_reached && !self.any_failed.load(Ordering::Acquire) {
            return;
        }
        let mut noted = self.noted.lock();
        if !is_reached {
            noted.unreached.insert(node);
            noted.failed.insert(node);
            noted.served.remove(&node);
        } else if noted.unreached.remove(&node) {
            noted.failed.remove(&node);
            noted.served.insert(node);
        }
        self.any_failed.store(!noted.unreached.is_empty(), Ordering::Release);
    }

    /// What there is to tell; `None` if nothing.
    pub(crate) fn take(&self) -> Option<Reach> {
        let (failed, served) = {
            let mut noted = self.noted.lock();
            (std::mem::take(&mut noted.failed), std::mem::take(&mut noted.served))
        };
        let (failed, served, by) = (Vec::from_iter(failed), Vec::from_iter(served), self.by);
        (!failed.is_empty() || !served.is_empty()).then_some(Reach { by, failed, served })
    }
}

/// Peers, as a gateway asks them; what becomes of it is noted.
pub(crate) struct ObservedPeers {
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) reach: Arc<RequestReach>,
}

struct ObservedPeer {
    node: NodeId,
    peer: Arc<dyn Peer>,
    reach: Arc<RequestReach>,
}

impl Peers for ObservedPeers {
    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        let (peer, reach) = (self.peers.peer(node)?, Arc::clone(&self.reach));
        Some(Arc::new(ObservedPeer { node, peer, reach }))
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.peers.nodes()
    }
}

impl ObservedPeer {
    fn observe<'a, T>(
        &'a self,
        asked: Pending<'a, Result<T, CallError>>,
    ) -> Pending<'a, Result<T, CallError>>
    where
        T: Send + 'a,
    {
        Box::pin(async move {
            let answered = asked.await;
            match &answered {
                Ok(_) => self.reach.note(self.node, true),
                Err(CallError::Unreachable) => self.reach.note(self.node, false),
                // It may be slow, or what it waits for.
                Err(CallError::Lost | CallError::Late) => {}
            }
            answered
        })
    }
}

impl Peer for ObservedPeer {
    fn write(&self, write: Write) -> Pending<'_, Result<WriteAnswer, CallError>> {
        self.observe(self.peer.write(write))
    }

    fn read(&self, read: Read) -> Pending<'_, Result<ReadAnswer, CallError>> {
        self.observe(self.peer.read(read))
    }

    fn read_at_once(&self, read: &Read) -> Option<ReadAnswer> {
        self.peer.read_at_once(read)
    }

    fn hand_off(&self, order: HandOff) -> Pending<'_, Result<HandOffAnswer, CallError>> {
        self.observe(self.peer.hand_off(order))
    }

    fn verify(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<VerifyAnswer, CallError>> {
        self.observe(self.peer.verify(partition, deadline))
    }

    fn report(
        &self,
        database: Option<DatabaseId>,
        deadline: Instant,
    ) -> Pending<'_, Result<NodeReport, CallError>> {
        self.observe(self.peer.report(database, deadline))
    }

    fn change_replicas(
        &self,
        order: ChangeReplicas,
    ) -> Pending<'_, Result<ChangeReplicasAnswer, CallError>> {
        self.observe(self.peer.change_replicas(order))
    }

    fn holdings(
        &self,
        partitions: Option<Vec<PartitionId>>,
        deadline: Instant,
    ) -> Pending<'_, Result<Holdings, CallError>> {
        self.observe(self.peer.holdings(partitions, deadline))
    }

    fn standing(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<Option<PeerStanding>, CallError>> {
        self.observe(self.peer.standing(partition, deadline))
    }

    fn open_snapshot(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotAnswer, CallError>> {
        self.observe(self.peer.open_snapshot(partition, deadline))
    }

    fn snapshot_chunk(
        &self,
        snapshot: SnapshotId,
        number: u64,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotChunk, CallError>> {
        self.observe(self.peer.snapshot_chunk(snapshot, number, deadline))
    }

    fn tell(&self, message: Message) {
        self.peer.tell(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_told_again_and_what_answers_again_once() {
        let reach = RequestReach::new(NodeId(9));
        let told = || reach.take().map(|told| (told.failed, told.served));
        reach.note(NodeId(1), true);
        assert_eq!(told(), None, "nothing was wrong with it");
        for _ in 0..2 {
            reach.note(NodeId(1), false);
            reach.note(NodeId(2), false);
            assert_eq!(told(), Some((vec![NodeId(1), NodeId(2)], vec![])));
        }
        assert_eq!(told(), None, "nothing was asked since");
        reach.note(NodeId(2), true);
        reach.note(NodeId(2), true);
        assert_eq!(told(), Some((vec![], vec![NodeId(2)])));
        reach.note(NodeId(1), false);
        reach.note(NodeId(1), true);
        reach.note(NodeId(1), true);
        assert_eq!(told(), Some((vec![], vec![NodeId(1)])));
        assert!(!reach.any_failed.load(Ordering::Acquire));
    }
}
