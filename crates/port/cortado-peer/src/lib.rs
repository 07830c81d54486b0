//! The peer port: what one node asks of another, and how it reaches it.
//!
//! Messages are plain data: nothing of a node's memory is in them, so that every one of them can
//! cross a wire. Decides nothing about generations or leaders: a node that is asked for what only a
//! leader may do answers with the leader that it knows. Start reading at [`Peer`] and [`Peers`].
//! Source: docs/protocols/peers.md.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(any(test, feature = "conformance"))]
mod faults;
#[cfg(any(test, feature = "conformance"))]
mod faulty;
mod given_snapshots;
mod gossip;
mod holdings;
mod memory;
mod message;
mod network;
mod order;
mod peer_progress;
mod read;
mod report;
mod snapshot;
mod snapshot_format;
mod trace;
mod write;

pub use cortado_cluster::KnownLeader;
pub use cortado_driver::Level;
#[cfg(any(test, feature = "conformance"))]
pub use faults::{Faults, Passage};
#[cfg(any(test, feature = "conformance"))]
pub use faulty::FaultyPeers;
pub use given_snapshots::{ChunkSink, GivenSnapshots};
pub use gossip::{
    Gossip, GossipMember, GossipView, Liveness, MemberFacts, MemberRole, MemoryGossip,
    MemoryGossiper, SelfAwareness,
};
pub use holdings::{Holding, Holdings};
pub use memory::{Membership, MemoryPeers};
pub use message::{Message, Progress, Reach, ReplicaProgress};
pub use network::{
    MemoryNetwork, PeerLife, PeerNetwork, PeerPlace, PeerPlaceError, PeerWhereabouts, PlaceUsage,
};
pub use order::{ChangeReplicas, ChangeReplicasAnswer, HandOff, HandOffAnswer, VerifyAnswer};
pub use peer_progress::{LifeNumber, PeerProgress};
pub use read::{DocumentPage, Look, Read, ReadAnswer, Seen, ServedRole, Sight, Unserved};
pub use report::{NodeReport, ReplicaReport};
pub use snapshot::{SnapshotAnswer, SnapshotChunk, SnapshotId};
pub use snapshot_format::{SnapshotName, SnapshotReader, write_snapshot};
pub use trace::{TRACEPARENT, TraceContext};
pub use write::{Write, WriteAnswer};

use cortado_driver::PeerStanding;
use cortado_model::{DatabaseId, NodeId, PartitionId};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::Instant;

/// An answer to come. Nothing is asked before it is awaited. Dropping it gives up the answer; what
/// was asked for may still be done.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The other nodes, as one of them reaches them.
pub trait Peers: Send + Sync + 'static {
    /// The node of that name; `None` if it is not known how it could be reached.
    ///
    /// It may reach one life of the node only: ask for it anew for each call.
    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>>;

    /// The nodes of which it is known how they could be reached, in ascending order.
    fn nodes(&self) -> Vec<NodeId>;
}

/// What a node does for others: served by the node itself, and called through an adapter that
/// carries question and answer.
///
/// Every question has a deadline, by which there is an answer of some kind. A node that is asked
/// answers for its own replicas only; it asks no other. A [`CallError`] of its own is carried
/// like any answer: nothing was done, or the outcome stays unknown.
///
/// An adapter may drop what the node has begun when the caller is gone: what must come to an end,
/// once begun, does so in a task of its own.
pub trait Peer: Send + Sync + 'static {
    /// Does a write where the partition is led.
    fn write(&self, write: Write) -> Pending<'_, Result<WriteAnswer, CallError>>;

    /// Looks at a replica that may serve the read.
    fn read(&self, read: Read) -> Pending<'_, Result<ReadAnswer, CallError>>;

    /// What [`read`](Self::read) would answer, if nothing need be waited for: most reads of a node
    /// in this process. `None` says nothing but that it has to be asked; a node that has left
    /// answers nothing else.
    fn read_at_once(&self, _read: &Read) -> Option<ReadAnswer> {
        None
    }

    /// Gives a leadership up; answered when the step-down is committed.
    fn hand_off(&self, order: HandOff) -> Pending<'_, Result<HandOffAnswer, CallError>>;

    /// Begins a round of digests where the partition is led.
    fn verify(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<VerifyAnswer, CallError>>;

    /// How the node and its replicas are.
    ///
    /// * `database`: of this one alone.
    fn report(
        &self,
        database: Option<DatabaseId>,
        deadline: Instant,
    ) -> Pending<'_, Result<NodeReport, CallError>>;

    /// Changes who may claim where the partition is led; answered when the leader has it in line.
    fn change_replicas(
        &self,
        order: ChangeReplicas,
    ) -> Pending<'_, Result<ChangeReplicasAnswer, CallError>>;

    /// What the node holds, for whoever moves replicas.
    ///
    /// * `partitions`: of these alone; `None` for all.
    fn holdings(
        &self,
        partitions: Option<Vec<PartitionId>>,
        deadline: Instant,
    ) -> Pending<'_, Result<Holdings, CallError>>;

    /// How its replica of a partition stands, for one that compares histories; `None` if it has
    /// none that has begun.
    fn standing(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<Option<PeerStanding>, CallError>>;

    /// Begins a snapshot of a replica's state.
    fn open_snapshot(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotAnswer, CallError>>;

    /// The next chunk of a snapshot, or the last one once more.
    ///
    /// * `number`: counts from 0; a chunk is kept until the next one is asked for.
    fn snapshot_chunk(
        &self,
        snapshot: SnapshotId,
        number: u64,
        deadline: Instant,
    ) -> Pending<'_, Result<SnapshotChunk, CallError>>;

    /// Whether the node's machine has answered, at the last try to reach this life of it, that
    /// nothing listens there.
    fn refuses(&self) -> bool {
        false
    }

    /// Tells something without waiting. It may be lost, and come in another order. The node
    /// that is told does not wait either: it runs on the thread of the teller, or of the adapter.
    fn tell(&self, message: Message);
}

/// Why a call was not answered. Source: docs/protocols/peers.md, "What an error lets one conclude".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Certainly nothing was done: the node was not reached.
    #[error("the node cannot be reached")]
    Unreachable,
    /// Perhaps it was done: the connection was lost while the answer was awaited.
    #[error("the connection to the node was lost during the call")]
    Lost,
    /// Perhaps it was done: the deadline passed while the answer was awaited.
    #[error("the node did not answer in time")]
    Late,
}
