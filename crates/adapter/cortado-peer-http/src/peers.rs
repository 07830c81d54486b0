//! The other nodes, as this one reaches them: an address book, and two connections to each.
//!
//! Start reading at [`HttpPeers`].

use crate::address::PeerAddress;
use crate::codec::{WireAnswer, WireCall, encode_message};
use crate::identity::{PeerIdentity, Speaker};
use crate::keeper::{Keeper, LinkState};
use crate::limits::PeerTiming;
use crate::link::Link;
use arc_swap::ArcSwap;
use cortado_driver::PeerStanding;
use cortado_model::{DatabaseId, NodeId, PartitionId};
use cortado_peer::{
    CallError, ChangeReplicas, ChangeReplicasAnswer, HandOff, HandOffAnswer, Holdings, Message,
    NodeReport, Peer, Peers, Pending, Read, ReadAnswer, SnapshotAnswer, SnapshotChunk, SnapshotId,
    VerifyAnswer, Write, WriteAnswer,
};
use cortado_peer_security::Security;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// The other nodes over HTTP/2. Its address book is filled from outside.
pub struct HttpPeers {
    speaker: Arc<Speaker>,
    timing: PeerTiming,
    runtime: Handle,
    /// Looked up by every request, so without a lock.
    book: ArcSwap<Book>,
    changing: Mutex<()>,
}

type Book = BTreeMap<NodeId, Arc<HttpPeer>>;

/// A node at one place, in one life.
struct HttpPeer {
    address: PeerAddress,
    /// Calls and messages.
    calls: Link,
    /// Snapshots, which would hold up everything else.
    snapshots: Link,
}

/// How a node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerLinkReport {
    /// The node.
    pub node: NodeId,
    /// Where it should be.
    pub address: PeerAddress,
    /// Calls and messages go through.
    pub is_connected: bool,
    /// Why not.
    pub error: Option<String>,
    /// Calls that wait for an answer.
    pub calls: usize,
    /// Messages that were lost because there was no room.
    pub lost_messages: u64,
}

impl HttpPeers {
    /// Knows no node yet.
    ///
    /// # Panics
    /// Outside of a runtime, on which the connections live.
    pub fn new(me: PeerIdentity, security: Security, timing: PeerTiming) -> HttpPeers {
        HttpPeers {
            speaker: Arc::new(Speaker::new(me, security)),
            timing,
            runtime: Handle::current(),
            book: ArcSwap::default(),
            changing: Mutex::new(()),
        }
    }

    /// Says where a node is. If that is news, what is on its way to where it was is lost, and it
    /// is connected to at once.
    ///
    /// Answers `false`, and changes nothing, if a newer life of the node is known.
    pub fn set(&self, node: NodeId, address: PeerAddress) -> bool {
        let _changing = self.changing.lock();
        let book = self.book.load();
        if let Some(known) = book.get(&node) {
            let (known, news) = (&known.address, &address);
            if known == news {
                return true;
            }
            let is_older = known.incarnation.zip(news.incarnation).is_some_and(|(k, n)| k > n);
            if is_older || known.incarnation.is_some() && news.incarnation.is_none() {
                return false;
            }
        }
        let mut changed = Book::clone(&book);
        let former = changed.insert(node, Arc::new(self.connect(node, address)));
        self.book.store(Arc::new(changed));
        drop(former.inspect(|former| former.close()));
        true
    }

    /// Forgets a node. What is on its way to it is lost.
    pub fn remove(&self, node: NodeId) {
        let _changing = self.changing.lock();
        let mut changed = Book::clone(&self.book.load());
        let former = changed.remove(&node);
        self.book.store(Arc::new(changed));
        drop(former.inspect(|former| former.close()));
    }

    /// There is a sign that a node lives: if it was not reached, it is tried at once.
    pub fn nudge(&self, node: NodeId) {
        if let Some(peer) = self.book.load().get(&node) {
            peer.calls.nudge();
            peer.snapshots.nudge();
        }
    }

    /// Waits until a node is connected to; `false` if it is not known, or not any more.
    pub async fn connected(&self, node: NodeId) -> bool {
        let Some(peer) = self.book.load().get(&node).cloned() else { return false };
        peer.calls.opened().await && peer.snapshots.opened().await
    }

    /// How each node is reached, in ascending order.
    pub fn links(&self) -> Vec<PeerLinkReport> {
        let book = self.book.load();
        book.iter().map(|(node, peer)| peer.report(*node)).collect()
    }

    fn connect(&self, node: NodeId, address: PeerAddress) -> HttpPeer {
        let link = |carries| {
            let (speaker, address) = (Arc::clone(&self.speaker), address.clone());
            let keeper = Keeper { speaker, timing: self.timing, node, address, carries };
            Link::new(keeper, &self.runtime)
        };
        HttpPeer { calls: link("calls"), snapshots: link("snapshots"), address }
    }
}

impl Peers for HttpPeers {
    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        self.book.load().get(&node).map(|peer| Arc::clone(peer) as Arc<dyn Peer>)
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.book.load().keys().copied().collect()
    }
}

impl HttpPeer {
    fn close(&self) {
        self.calls.close();
        self.snapshots.close();
    }

    fn report(&self, node: NodeId) -> PeerLinkReport {
        let (is_connected, error) = match self.calls.state() {
            LinkState::Open(_) => (true, None),
            LinkState::Trying => (false, None),
            LinkState::Down(down) => (false, Some(down.why.clone())),
        };
        PeerLinkReport {
            node,
            address: self.address.clone(),
            is_connected,
            error,
            calls: self.calls.calls() + self.snapshots.calls(),
            lost_messages: self.calls.lost_messages(),
        }
    }
}

/// Asks, and takes the answer to that kind of call out of the reply.
macro_rules! ask {
    ($link:expr, $call:expr, $answer:path) => {{
        let (link, call) = (&$link, $call);
        Box::pin(async move {
            match link.call(call).await? {
                $answer(answer) => Ok(answer),
                // The link has seen that the reply is one to this call.
                _ => Err(CallError::Lost),
            }
        })
    }};
}

impl Peer for HttpPeer {
    fn write(&self, write: Write) -> Pending<'_, Result<WriteAnswer, CallError>> {
        ask!(self.calls, WireCall::Write(write), WireAnswer::Write)
    }

    fn read(&self, read: Read) -> Pending<'_, Result<ReadAnswer, CallError>> {
        ask!(self.calls, WireCall::Read(read), WireAnswer::Read)
    }

    fn hand_off(&self, order: HandOff) -> Pending<'_, Result<HandOffAnswer, CallError>> {
        ask!(self.calls, WireCall::HandOff(order), WireAnswer::HandOff)
    }

    fn verify(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<VerifyAnswer, CallError>> {
        ask!(self.calls, WireCall::Verify(partition, deadline), WireAnswer::Verify)
    }

    fn report(
        &self,
        database: Option<DatabaseId>,
        deadline: Instant,
    ) -> Pending<'_, Result<NodeReport, CallError>> {
        ask!(self.calls, WireCall::Report(database, deadline), WireAnswer::Report)
    }

    fn change_replicas(
        &self,
        order: ChangeReplicas,
    ) -> Pending<'_, Result<ChangeReplicasAnswer, CallError>> {
        ask!(self.calls, WireCall::ChangeReplicas(order), WireAnswer::ChangeReplicas)
    }

    fn holdings(
        &self,
        partitions: Option<Vec<PartitionId>>,
        deadline: Instant,
    ) -> Pending<'_, Result<Holdings, CallError>> {
        ask!(self.calls, WireCall::Holdings(partitions, deadline), WireAnswer::Holdings)
    }

    fn standing(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<Option<PeerStanding>, CallError>> {
        ask!(self.calls, WireCall::Standing(partition, deadline), WireAnswer::Standing)
    }

    fn open_snapshot(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotAnswer, CallError>> {
        ask!(self.snapshots, WireCall::OpenSnapshot(partition, deadline), WireAnswer::OpenSnapshot)
    }

    fn snapshot_chunk(
        &self,
        snapshot: SnapshotId,
        number: u64,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotChunk, CallError>> {
        let call = WireCall::SnapshotChunk(snapshot, number, deadline);
        ask!(self.snapshots, call, WireAnswer::SnapshotChunk)
    }

    fn refuses(&self) -> bool {
        matches!(self.calls.state(), LinkState::Down(down) if down.refused)
    }

    fn tell(&self, message: Message) {
        self.calls.tell(encode_message(&message));
    }
}
