//! Peers in one process: every call is a call, and every message is heard.
//!
//! Start reading at [`MemoryPeers::join`].

use crate::{
    CallError, ChangeReplicas, ChangeReplicasAnswer, HandOff, HandOffAnswer, Holdings, Message,
    NodeReport, Peer, Peers, Pending, Read, ReadAnswer, SnapshotAnswer, SnapshotChunk, SnapshotId,
    VerifyAnswer, Write, WriteAnswer,
};
use arc_swap::ArcSwap;
use cortado_driver::PeerStanding;
use cortado_model::{DatabaseId, NodeId, PartitionId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// The nodes of a process.
#[derive(Default)]
pub struct MemoryPeers {
    /// Looked up by every request, so without a lock.
    members: ArcSwap<Members>,
    changing: Mutex<()>,
}

type Members = BTreeMap<NodeId, Arc<Member>>;

/// As long as it is kept, the others reach the node; then calls on their way to it are lost.
pub struct Membership {
    peers: Weak<MemoryPeers>,
    node: NodeId,
    member: Arc<Member>,
}

/// A node that can be reached.
struct Member {
    serves: Arc<dyn Peer>,
    /// Closed when it leaves, and for nothing else.
    left: Semaphore,
}

impl MemoryPeers {
    /// Lets the others reach `node`. A former life of it leaves.
    ///
    /// * `serves`: answers for it.
    pub fn join(self: &Arc<Self>, node: NodeId, serves: Arc<dyn Peer>) -> Membership {
        let member = Arc::new(Member { serves, left: Semaphore::new(0) });
        self.change(|members| {
            if let Some(former) = members.insert(node, Arc::clone(&member)) {
                former.left.close();
            }
        });
        Membership { peers: Arc::downgrade(self), node, member }
    }

    fn change(&self, change: impl FnOnce(&mut Members)) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut members = Members::clone(&self.members.load());
        change(&mut members);
        self.members.store(Arc::new(members));
    }
}

impl Peers for MemoryPeers {
    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        self.members.load().get(&node).map(|member| Arc::clone(member) as Arc<dyn Peer>)
    }

    fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.members.load().keys().copied().collect();
        nodes.sort_unstable();
        nodes
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.member.left.close();
        let Some(peers) = self.peers.upgrade() else { return };
        peers.change(|members| {
            if members.get(&self.node).is_some_and(|member| Arc::ptr_eq(member, &self.member)) {
                members.remove(&self.node);
            }
        });
    }
}

impl Member {
    /// Asks, unless the node has left; waits until the deadline, or until it leaves.
    fn call<'a, T, A>(&'a self, deadline: Instant, ask: A) -> Pending<'a, Result<T, CallError>>
    where
        T: Send + 'a,
        A: FnOnce(&'a dyn Peer) -> Pending<'a, Result<T, CallError>> + Send + 'a,
    {
        Box::pin(async move {
            if self.left.is_closed() {
                return Err(CallError::Unreachable);
            }
            let answer = ask(self.serves.as_ref());
            tokio::select! {
                // What is answered counts, whatever became of the node.
                biased;
                answer = timeout_at(deadline, answer) => answer.unwrap_or(Err(CallError::Late)),
                _ = self.left.acquire() => Err(CallError::Lost),
            }
        })
    }
}

impl Peer for Member {
    fn write(&self, write: Write) -> Pending<'_, Result<WriteAnswer, CallError>> {
        self.call(write.deadline, move |peer| peer.write(write))
    }

    fn read(&self, read: Read) -> Pending<'_, Result<ReadAnswer, CallError>> {
        self.call(read.deadline, move |peer| peer.read(read))
    }

    fn read_at_once(&self, read: &Read) -> Option<ReadAnswer> {
        if self.left.is_closed() { None } else { self.serves.read_at_once(read) }
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
        self.call(deadline, move |peer| peer.snapshot_chunk(snapshot, number, deadline))
    }

    fn tell(&self, message: Message) {
        if !self.left.is_closed() {
            self.serves.tell(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::FnPeer;
    use std::future::pending;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_former_life_is_lost() {
        let (peers, node) = (Arc::new(MemoryPeers::default()), NodeId(1));
        let silent = || -> Arc<dyn Peer> {
            Arc::new(FnPeer {
                call: Box::new(|_| Box::pin(pending())),
                at_once: Box::new(|_| None),
                tell: Box::new(drop),
            })
        };
        let _former = peers.join(node, silent());
        let peer = peers.peer(node).expect("it has joined");
        let call = peer.report(None, Instant::now() + Duration::from_secs(10));
        let newer = async { peers.join(node, silent()) };
        let (answer, _newer) = tokio::join!(call, newer);
        assert_eq!(answer, Err(CallError::Lost));
        let kept = peer.report(None, Instant::now() + Duration::from_secs(10)).await;
        assert_eq!(kept, Err(CallError::Unreachable));
    }
}
