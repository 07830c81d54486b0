//! Any peers, with faults on the way: for tests of what asks them.
//!
//! Start reading at [`FaultyPeers`].

use crate::{
    CallError, ChangeReplicas, ChangeReplicasAnswer, Faults, HandOff, HandOffAnswer, Holdings,
    Message, NodeReport, Peer, Peers, Pending, Read, ReadAnswer, SnapshotAnswer, SnapshotChunk,
    SnapshotId, VerifyAnswer, Write, WriteAnswer,
};
use cortado_driver::PeerStanding;
use cortado_model::{DatabaseId, NodeId, PartitionId};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// The other nodes as one of them reaches them, where [`Faults`] lets it.
///
/// A question that is cut off is [`Unreachable`](CallError::Unreachable), and nothing was done. One
/// whose answer is cut off is [`Lost`](CallError::Lost), as soon as it is answered. One that is
/// held, or whose answer is, is [`Late`](CallError::Late) at its deadline.
pub struct FaultyPeers {
    asking: NodeId,
    peers: Arc<dyn Peers>,
    faults: Arc<Faults>,
}

impl FaultyPeers {
    /// Puts `faults` between a node and its peers.
    ///
    /// * `asking`: the node that reaches others through this.
    pub fn new(asking: NodeId, peers: Arc<dyn Peers>, faults: &Arc<Faults>) -> FaultyPeers {
        FaultyPeers { asking, peers, faults: Arc::clone(faults) }
    }
}

impl Peers for FaultyPeers {
    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        let (asking, faults) = (self.asking, Arc::clone(&self.faults));
        let peer = self.peers.peer(node)?;
        Some(Arc::new(FaultyPeer { asking, asked: node, peer, faults }))
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.peers.nodes()
    }
}

struct FaultyPeer {
    asking: NodeId,
    asked: NodeId,
    peer: Arc<dyn Peer>,
    faults: Arc<Faults>,
}

impl FaultyPeer {
    /// Carries a question there and the answer back.
    fn call<'a, T, A>(&'a self, deadline: Instant, ask: A) -> Pending<'a, Result<T, CallError>>
    where
        T: Send + 'a,
        A: FnOnce(&'a dyn Peer) -> Pending<'a, Result<T, CallError>> + Send + 'a,
    {
        let carried = async move {
            if !self.faults.carry(self.asking, self.asked).await {
                return Err(CallError::Unreachable);
            }
            // An error has nothing to carry back.
            let answer = ask(self.peer.as_ref()).await?;
            if self.faults.carry(self.asked, self.asking).await {
                Ok(answer)
            } else {
                Err(CallError::Lost)
            }
        };
        Box::pin(async move { timeout_at(deadline, carried).await.unwrap_or(Err(CallError::Late)) })
    }
}

impl Peer for FaultyPeer {
    fn write(&self, write: Write) -> Pending<'_, Result<WriteAnswer, CallError>> {
        self.call(write.deadline, move |peer| peer.write(write))
    }

    fn read(&self, read: Read) -> Pending<'_, Result<ReadAnswer, CallError>> {
        self.call(read.deadline, move |peer| peer.read(read))
    }

    fn hand_off(&self, order: HandOff) -> Pending<'_, Result<HandOffAnswer, CallError>> {
        self.call(order.deadline, move |peer| peer.hand_off(order))
    }

    fn verify(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<VerifyAnswer, CallError>> {
        self.call(deadline, move |peer| peer.verify(partition, deadline))
    }

    fn report(
        &self,
        database: Option<DatabaseId>,
        deadline: Instant,
    ) -> Pending<'_, Result<NodeReport, CallError>> {
        self.call(deadline, move |peer| peer.report(database, deadline))
    }

    fn change_replicas(
        &self,
        order: ChangeReplicas,
    ) -> Pending<'_, Result<ChangeReplicasAnswer, CallError>> {
        self.call(order.deadline, move |peer| peer.change_replicas(order))
    }

    fn holdings(
        &self,
        partitions: Option<Vec<PartitionId>>,
        deadline: Instant,
    ) -> Pending<'_, Result<Holdings, CallError>> {
        self.call(deadline, move |peer| peer.holdings(partitions, deadline))
    }

    fn standing(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<Option<PeerStanding>, CallError>> {
        self.call(deadline, move |peer| peer.standing(partition, deadline))
    }

    fn open_snapshot(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotAnswer, CallError>> {
        self.call(deadline, move |peer| peer.open_snapshot(partition, deadline))
    }

    fn snapshot_chunk(
        &self,
        snapshot: SnapshotId,
        number: u64,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotChunk, CallError>> {
        let chunk =
            self.call(deadline, move |peer| peer.snapshot_chunk(snapshot, number, deadline));
        Box::pin(async move {
            let chunk = chunk.await?;
            if self.faults.loses_chunk(self.asking, self.asked, number) {
                Err(CallError::Lost)
            } else {
                Ok(chunk)
            }
        })
    }

    fn tell(&self, message: Message) {
        if let Some(message) = self.faults.send(self.asking, self.asked, message) {
            self.peer.tell(message);
        }
    }
}

#[cfg(test)]
mod tests;
