//! How a life of a node comes to reach others, and to be reached by them.
//!
//! A component of the process: within one process by memory, between machines by an adapter. Start
//! reading at [`PeerNetwork`].

use crate::{Membership, MemoryPeers, Peer, Peers, Pending};
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

/// The way of this process's nodes to all others.
pub trait PeerNetwork: Send + Sync + 'static {
    /// Gives a life its place. It may ask others at once; they reach it when it serves.
    fn enter(&self, life: PeerLife) -> Arc<dyn PeerPlace>;
}

/// One life's place in the network, until it leaves.
pub trait PeerPlace: Send + Sync + 'static {
    /// The others, as this life reaches them.
    fn peers(&self) -> Arc<dyn Peers>;

    /// Lets the others reach the life, if it is one that they ask. Once for each place.
    ///
    /// # Errors
    /// They cannot reach it: it must not go on.
    fn serve(&self, serves: Arc<dyn Peer>) -> Pending<'_, Result<(), PeerPlaceError>>;

    /// Where the others are to look for it, once it serves; empty where they need not be told.
    fn address(&self) -> String;

    /// The nodes that there are, and where: replaces what was said before.
    fn know(&self, nodes: &[PeerWhereabouts]);

    /// Takes nothing new, answers what has begun as far as it can, and lets go of the rest. The
    /// next life of the node may enter when this is done.
    fn leave(&self) -> Pending<'_, ()>;
}

/// A life that takes a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLife {
    /// Of which cluster.
    pub cluster: ClusterUuid,
    /// Of which node, or router.
    pub node: NodeId,
    /// Which one.
    pub incarnation: NodeIncarnation,
    /// Whether others ask it. A router asks, and is not asked.
    pub is_asked: bool,
}

/// Where a node says that its peers find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerWhereabouts {
    /// The node.
    pub node: NodeId,
    /// What it is called.
    pub name: String,
    /// As its [`PeerPlace::address`] was.
    pub address: String,
}

/// Why a life cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("other nodes cannot reach this one")]
pub struct PeerPlaceError(#[source] pub Box<dyn Error + Send + Sync>);

/// The nodes of one process, which find one another without being told.
#[derive(Default)]
pub struct MemoryNetwork {
    peers: Arc<MemoryPeers>,
}

struct MemoryPlace {
    peers: Arc<MemoryPeers>,
    life: PeerLife,
    membership: Mutex<Option<Membership>>,
}

impl PeerNetwork for MemoryNetwork {
    fn enter(&self, life: PeerLife) -> Arc<dyn PeerPlace> {
        let (peers, membership) = (Arc::clone(&self.peers), Mutex::default());
        Arc::new(MemoryPlace { peers, life, membership })
    }
}

impl PeerPlace for MemoryPlace {
    fn peers(&self) -> Arc<dyn Peers> {
        Arc::clone(&self.peers) as Arc<dyn Peers>
    }

    fn serve(&self, serves: Arc<dyn Peer>) -> Pending<'_, Result<(), PeerPlaceError>> {
        let membership = self.peers.join(self.life.node, serves);
        *self.membership.lock().unwrap_or_else(PoisonError::into_inner) = Some(membership);
        Box::pin(std::future::ready(Ok(())))
    }

    fn address(&self) -> String {
        String::new()
    }

    fn know(&self, _nodes: &[PeerWhereabouts]) {}

    fn leave(&self) -> Pending<'_, ()> {
        drop(self.membership.lock().unwrap_or_else(PoisonError::into_inner).take());
        Box::pin(std::future::ready(()))
    }
}
